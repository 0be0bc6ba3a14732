"""What trading's measurements do, each in a process of its own; prints one JSON line.

    python -m bench.desk_workloads T5 --folder F [--address DATABASE]

`bench/trading.py` calls it. The crossing of two averages, which other backtesters run too, is in
`bench/crossing.py`.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any

from bench import backtest, desk
from bench.crossing import peak_mib

_MARKET_BARS = 200_000
_MOMENTS = 100_000
_CHANGES = 2_000
Given = argparse.Namespace


def year(given: Given) -> dict[str, Any]:
    """A year of minutes with twenty tasks."""
    return {**backtest.year(backtest.YEAR), "peak_mib": peak_mib()}


def memory(given: Given) -> dict[str, Any]:
    """A quarter of a year, a year and four years from Parquet."""
    return backtest.memory(backtest.YEAR)


def moments(given: Given) -> dict[str, Any]:
    """The desk and the in-memory ledger without a clock and tasks."""
    held, _ = desk.quiet(1, 1)(_MOMENTS)
    idle, _ = desk.quiet(1, 0)(_MOMENTS)
    ten, _ = desk.quiet(10, 10)(_MOMENTS // 5)
    fills, _ = desk.trading(_MOMENTS)
    return {
        "idle_moments_per_s": round(idle),
        "moments_per_s": round(held),
        "ten_moments_per_s": round(ten),
        "fills_per_s": round(fills),
    }


def bars(given: Given) -> dict[str, Any]:
    """Bars stored as Parquet, and read again as the walk of a backtest does."""
    app = backtest.new_app(str(given.folder))
    made = list(islice(backtest.wandering(_MARKET_BARS), _MARKET_BARS))
    began = time.perf_counter()
    app.market_data.store(backtest.SYMBOL, made, timeframe="1m", facts=False)
    stored_s = time.perf_counter() - began
    began = time.perf_counter()
    slices = app.market_data.slices("1m", made[0].start, made[-1].end + 1, [backtest.SYMBOL])
    count = sum(len(each.bars) for each in slices)
    read_s = time.perf_counter() - began
    app.stop()
    if count != _MARKET_BARS:
        raise RuntimeError(f"{count} bars of {_MARKET_BARS} were read")
    size = sum(path.stat().st_size for path in given.folder.rglob("*.parquet"))
    return {
        "stored_bars_per_s": round(_MARKET_BARS / stored_s),
        "read_bars_per_s": round(_MARKET_BARS / read_s),
        "bytes_a_bar": round(size / _MARKET_BARS, 1),
    }


def ledger(given: Given) -> dict[str, Any]:
    """Changes of one account: an order, its fill and its end, each change a commit of its own."""
    from closingbell.core.clock import SimulatedClock
    from closingbell.core.entry import Entry, EntryKind
    from closingbell.core.ledger import AccountRecord, Change, OrderChange
    from closingbell.core.order import Order, OrderState, OrderType, Side
    from closingbell.store.store import open_store

    store = open_store(given.address, SimulatedClock(datetime(2026, 1, 2, tzinfo=UTC)))
    store.prepare()
    worth, one, price = Decimal(1_000_000), Decimal(1), Decimal("12.50")
    record = AccountRecord("main", "USD", worth, "paper", 1, peak=worth)
    record = store.ledger.open_account(record, Entry("main", 1, EntryKind.CASH, 1, "USD", worth))
    waits = []
    for number in range(_CHANGES):
        name = f"o{number}"
        order = Order(
            id=name,
            account="main",
            symbol="AAPL",
            side=Side.BUY,
            type=OrderType.MARKET,
            quantity=one,
            created_at=number,
            effective_at=number,
            updated_at=number,
        )
        seq = record.seq + 1
        fill = Entry(
            "main", seq, EntryKind.FILL, number, "USD", -price, Decimal(0), "AAPL", one
        )._replace(price=price, order_id=name)
        change = Change(
            record._replace(seq=seq),
            [fill],
            [order],
            [OrderChange(name, OrderState.FILLED, number, one)],
        )
        began = time.perf_counter()
        version = store.ledger.record(change)
        waits.append(time.perf_counter() - began)
        record = change.account._replace(version=version)
    began = time.perf_counter()
    entries = store.ledger.entries("main")
    read_s = time.perf_counter() - began
    store.close()
    if len(entries) != _CHANGES + 1:
        raise RuntimeError(f"{len(entries)} entries of {_CHANGES + 1}")
    waits.sort()
    return {
        "changes_per_s": round(_CHANGES / sum(waits)),
        "p50_ms": round(waits[len(waits) // 2] * 1000, 3),
        "p99_ms": round(waits[len(waits) * 99 // 100] * 1000, 3),
        "read_entries_per_s": round(len(entries) / read_s),
    }


def page(given: Given) -> dict[str, Any]:
    """Ten years of daily bars of five stocks, and the report's page of it."""
    from closingbell import create_app

    app = create_app(given.folder / "bench.db", timezone="America/New_York", guardian=False)
    app.add_account(cash=100_000)

    @app.task(session="XNYS close")
    def rebalance(algorithm: Any) -> None:
        if algorithm.now().day <= 7 and algorithm.now().weekday() == 0:
            if algorithm.get_positions():
                algorithm.close_position("IBM")
            else:
                algorithm.create_buy_order("IBM", percentage=0.9)

    began = time.perf_counter()
    report = app.backtest("2003-01-02", "2012-12-31", store=False)
    backtest_s = time.perf_counter() - began
    began, worked = time.perf_counter(), time.process_time()
    written = report.to_html(given.folder / "report.html")
    page_s, cpu_s = time.perf_counter() - began, time.process_time() - worked
    app.stop()
    if not report.trades:
        raise RuntimeError("nothing was traded")
    return {
        "backtest_s": round(backtest_s, 2),
        "page_s": round(page_s, 3),
        "page_cpu_s": round(cpu_s, 3),
        "page_kib": round(written.stat().st_size / 1024),
        "days": len(report.equity),
        "trades": len(report.trades),
    }


WORKLOADS: dict[str, Callable[[Given], dict[str, Any]]] = {
    "T2": year,
    "T3": memory,
    "T4": moments,
    "T5": bars,
    "T6": ledger,
    "T7": page,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("workload", choices=WORKLOADS)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--address")
    given = parser.parse_args()
    given.address = given.address or str(given.folder / "ledger.db")
    numbers = WORKLOADS[given.workload](given)
    print(json.dumps(numbers), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
