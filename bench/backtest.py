"""A year of one-minute bars with twenty scheduled tasks.

    python bench/backtest.py [--minutes 525600] [--only year|memory] [--json FILE]

year       one symbol, a bar each minute, and twenty tasks: 5 minutes, 15 minutes, hours, days and
           cron; some read the portfolio, one trades. How many clock-and-ledger events a second.
memory     stored bars: a quarter of the year, the year, and four such years.

Each part runs in a process of its own. `bench/trading.py` runs them with all else about trading.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import islice
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

# Four years from here have passed.
START = datetime(2022, 1, 1, tzinfo=UTC)
YEAR = 525_600
SYMBOL = "BTC/USD"
_MINUTE = 60_000_000


def bars(count: int) -> list[Bar]:
    """Return one-minute bars that wander as a price does."""
    return list(wandering(count))


def wandering(count: int) -> Iterator[Bar]:
    """Yield them one by one: four years at once would be a gigabyte."""
    chance, price = Random(7), 30_000.0
    start = to_micros(START)
    for number in range(count):
        opened = Decimal(f"{price:.2f}")
        price *= 1 + chance.gauss(0, 0.0006) + 0.00002 * math.sin(number / 700)
        closed = Decimal(f"{price:.2f}")
        spread = Decimal(f"{price * abs(chance.gauss(0, 0.0003)):.2f}")
        at = start + number * _MINUTE
        high, low = max(opened, closed) + spread, min(opened, closed) - spread
        volume = Decimal(1 + number % 9)
        yield Bar(SYMBOL, at, at + _MINUTE, opened, high, low, closed, volume)


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
        "events_per_cpu_s": round(events.total / cpu_s),
        "market": events.market,
        "firings": events.firings,
        "entries": events.entries,
        "failed": failed,
        "trades": len(report.trades),
        "final": str(report.equity[-1].value),
    }


def memory(minutes: int) -> dict[str, Any]:
    """Return the peak of resident memory for a quarter of the year, the year, and four years."""
    grown: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        app = desk(folder)
        made = wandering(4 * minutes)
        while batch := list(islice(made, 20_000)):
            app.market_data.store(SYMBOL, batch, timeframe="1m", facts=False)
        app.stop()
        for name, part in (("quarter", minutes // 4), ("year", minutes), ("four", 4 * minutes)):
            script = f"from bench.backtest import stored; stored({folder!r}, {part})"
            ran = subprocess.run(
                [sys.executable, "-c", script], cwd=ROOT, check=True, capture_output=True, text=True
            )
            numbers = json.loads(ran.stdout)
            grown |= {f"{name}_{what}": value for what, value in numbers.items()}
    grown["growth_mb"] = grown["four_peak_mb"] - grown["year_peak_mb"]
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


PARTS = {"year": year, "memory": memory}


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
