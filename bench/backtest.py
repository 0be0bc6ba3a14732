"""A year of one-minute bars with twenty scheduled tasks, and one strategy beside backtesting.py.

    python bench/backtest.py [--minutes 525600] [--only year|strategy|memory] [--json FILE]

year       one symbol, a bar each minute, and twenty tasks: 5 minutes, 15 minutes, hours, days and
           cron; some read the portfolio, one trades. How many clock-and-ledger events a second.
strategy   the crossing of two moving averages, all in or all out, on the same bars in both.
memory     the year from Parquet, after a quarter of it and after all of it.

Each part runs in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
from collections import deque
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
if __name__ == "__main__":
    # Not this folder, whose names must not stand for other modules.
    sys.path[0] = str(ROOT)

from bench.lock import alone  # noqa: E402
from closingbell import App, create_app  # noqa: E402
from closingbell.core.bar import Bar  # noqa: E402
from closingbell.core.clock import to_micros  # noqa: E402

START = datetime(2023, 1, 1, tzinfo=UTC)
YEAR = 525_600
SYMBOL = "BTC/USD"
FAST, SLOW = 60, 240
_MINUTE = 60_000_000


def bars(count: int) -> list[Bar]:
    """Return one-minute bars that wander as a price does."""
    chance, price, made = Random(7), 30_000.0, []
    start = to_micros(START)
    for number in range(count):
        opened = Decimal(f"{price:.2f}")
        price *= 1 + chance.gauss(0, 0.0006) + 0.00002 * math.sin(number / 700)
        closed = Decimal(f"{price:.2f}")
        spread = Decimal(f"{price * abs(chance.gauss(0, 0.0003)):.2f}")
        at = start + number * _MINUTE
        high, low = max(opened, closed) + spread, min(opened, closed) - spread
        volume = Decimal(1 + number % 9)
        made.append(Bar(SYMBOL, at, at + _MINUTE, opened, high, low, closed, volume))
    return made


def new_app(folder: str) -> App:
    app = create_app(Path(folder) / "bench.db")
    app.add_account(cash=100_000, timeframe="1m", calendar="24/7", fee="0.1%")
    return app


def desk(folder: str) -> App:
    """Return an app with twenty tasks."""
    app = new_app(folder)

    def idle() -> None:
        return None

    def reads(algorithm: Any) -> None:
        algorithm.get_portfolio().get_total_value()

    def positions(algorithm: Any) -> None:
        for position in algorithm.get_positions():
            position.current_value  # noqa: B018

    def trades(algorithm: Any) -> None:
        if algorithm.get_positions():
            algorithm.close_position(SYMBOL)
        else:
            algorithm.create_buy_order(target_symbol=SYMBOL, percentage=0.25)

    def add(name: str, handler: Any, **when: Any) -> None:
        app.registry.register_task(name, handler, **when)

    for number, handler in enumerate((reads, positions, idle, idle)):
        add(f"five_{number}", handler, interval="5m")
    for number, handler in enumerate((reads, positions, idle, idle, idle)):
        add(f"quarter_{number}", handler, interval="15m")
    for number, handler in enumerate((reads, positions, idle, idle)):
        add(f"hour_{number}", handler, interval="1h")
    for number, handler in enumerate((reads, idle, idle)):
        add(f"day_{number}", handler, time=f"0{number}:30")
    add("cron_10", idle, cron="*/10 * * * *")
    add("cron_weekday", reads, cron="0 9 * * MON-FRI")
    add("session", reads, session="XNYS close-15m")
    add("trader", trades, interval="4h")
    return app


def year(minutes: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        app, data = desk(folder), {SYMBOL: bars(minutes)}
        began, worked = time.perf_counter(), time.process_time()
        report = app.backtest(data=data, store=False)
        whole_s, cpu_s = time.perf_counter() - began, time.process_time() - worked
        failed = sum(count.failed for count in report.tasks.values())
        events = report.events
        simulated_s = report.machine_s or 0.0
        app.stop()
    return {
        "minutes": minutes,
        "tasks": len(report.tasks),
        "whole_s": round(whole_s, 2),
        "whole_cpu_s": round(cpu_s, 2),
        "simulation_s": round(simulated_s, 2),
        "events": events.total,
        "events_per_s": round(events.total / simulated_s),
        "market": events.market,
        "firings": events.firings,
        "entries": events.entries,
        "failed": failed,
        "trades": len(report.trades),
        "final": str(report.equity[-1].value),
    }


def strategy(minutes: int) -> dict[str, Any]:
    data = bars(minutes)
    return {"minutes": minutes, **_ours(data), **_theirs(data)}


def _ours(data: list[Bar]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        app = new_app(folder)
        closes: deque[Decimal] = deque(maxlen=SLOW)
        sums = [Decimal(0), Decimal(0)]
        state = {"was": 0, "in": False}

        @app.task(interval="1m")
        def crossing(algorithm: Any) -> None:
            price = algorithm.get_price(SYMBOL)
            if len(closes) == SLOW:
                sums[1] -= closes[0]
            if len(closes) >= FAST:
                sums[0] -= closes[-FAST]
            closes.append(price)
            sums[0] += price
            sums[1] += price
            if len(closes) < SLOW:
                return
            side = 1 if sums[0] * SLOW > sums[1] * FAST else -1
            if side != state["was"] and state["was"]:
                if side > 0:
                    algorithm.create_buy_order(target_symbol=SYMBOL, percentage=0.99)
                    state["in"] = True
                elif state["in"]:
                    algorithm.close_position(SYMBOL)
                    state["in"] = False
            state["was"] = side

        began = time.perf_counter()
        report = app.backtest(START + timedelta(minutes=1), data={SYMBOL: data}, store=False, fee=0)
        seconds = time.perf_counter() - began
        app.stop()
    failed = report.tasks["crossing"].last_error
    return {
        "closingbell_s": round(seconds, 2),
        "closingbell_trades": len(report.round_trips),
        "closingbell_final": str(report.equity[-1].value),
        "closingbell_error": failed,
    }


def _theirs(data: list[Bar]) -> dict[str, Any]:
    import warnings

    import pandas as pd

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from backtesting import Backtest, Strategy

        index = pd.to_datetime([bar.start for bar in data], unit="us")
        frame = pd.DataFrame(
            {
                "Open": [float(bar.open) for bar in data],
                "High": [float(bar.high) for bar in data],
                "Low": [float(bar.low) for bar in data],
                "Close": [float(bar.close) for bar in data],
                "Volume": [float(bar.volume) for bar in data],
            },
            index=index,
        )

        class Crossing(Strategy):  # type: ignore[misc, unused-ignore]
            def init(self) -> None:
                close = self.data.Close.s
                self.fast = self.I(lambda: close.rolling(FAST).mean())
                self.slow = self.I(lambda: close.rolling(SLOW).mean())
                self.was = 0

            def next(self) -> None:
                side = 1 if self.fast[-1] > self.slow[-1] else -1
                if side != self.was and self.was:
                    if side > 0:
                        self.buy(size=0.99)
                    elif self.position:
                        self.position.close()
                self.was = side

        began = time.perf_counter()
        # A unit of a millionth, so that fractions can be bought as ours does.
        scaled = frame.assign(
            **{name: frame[name] / 1e6 for name in ("Open", "High", "Low", "Close")}
        )
        stats = Backtest(scaled, Crossing, cash=100_000, commission=0).run()
        seconds = time.perf_counter() - began
    return {
        "backtesting_py_s": round(seconds, 2),
        "backtesting_py_trades": int(stats["# Trades"]),
        "backtesting_py_final": round(float(stats["Equity Final [$]"]), 2),
    }


def memory(minutes: int) -> dict[str, Any]:
    """Return the peak of resident memory after a quarter of the year, and after all of it."""
    grown: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        app = desk(folder)
        step = 20_000
        data = bars(minutes)
        for first in range(0, minutes, step):
            app.market_data.store(SYMBOL, data[first : first + step], timeframe="1m", facts=False)
        app.stop()
        del data
        for part in (4, 1):
            script = f"from bench.backtest import stored; stored({folder!r}, {minutes // part})"
            ran = subprocess.run(
                [sys.executable, "-c", script], cwd=ROOT, check=True, capture_output=True, text=True
            )
            numbers = json.loads(ran.stdout)
            grown |= {f"{name}_of_1_in_{part}": value for name, value in numbers.items()}
    return {"minutes": minutes, **grown}


def stored(folder: str, minutes: int) -> None:
    """Run the stored bars of so many minutes, and print what memory it took."""
    app = desk(folder)
    before = peak_mb()
    began = time.perf_counter()
    report = app.backtest(START, START + timedelta(minutes=minutes), store=False, symbols=[SYMBOL])
    seconds = time.perf_counter() - began
    peak = peak_mb()
    print(
        json.dumps(
            {
                "seconds": round(seconds, 2),
                "bars": report.events.bars,
                "before_mb": before,
                "peak_mb": peak,
            }
        )
    )
    app.stop()


def peak_mb() -> int:
    """Return this process's own peak; `getrusage` would also tell its parent's."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


PARTS = {"year": year, "strategy": strategy, "memory": memory}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=int, default=YEAR)
    parser.add_argument("--only", choices=PARTS)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.here:
        print(json.dumps(PARTS[given.only](given.minutes)))
        return 0
    lines = []
    for part in [given.only] if given.only else PARTS:
        command = [sys.executable, str(Path(__file__).resolve()), "--here", "--only", part]
        with alone():
            ran = subprocess.run(
                [*command, "--minutes", str(given.minutes)],
                check=True,
                capture_output=True,
                text=True,
            )
        numbers = json.loads(ran.stdout)
        lines.append({"part": part, **numbers})
        print(part)
        for name, value in numbers.items():
            print(f"    {name:28} {value}")
    if given.json is not None:
        with given.json.open("a") as file:
            file.writelines(json.dumps(line) + "\n" for line in lines)
    return 0


if __name__ == "__main__":
    sys.exit(main())
