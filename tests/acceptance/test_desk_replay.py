"""The same tasks and data trade exactly alike in a backtest and in a wall-clock replay on paper.

The replay is the real engine on SQLite: scheduler, worker, threads, paper broker; only the app's
clock runs faster than the machine's. Nothing of it waits for anything but that clock.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pytest

from closingbell import App, create_app
from closingbell.core.bar import Bar
from closingbell.core.clock import ScaledClock, to_micros
from closingbell.core.entry import Entry, EntryKind
from closingbell.core.order import Order
from closingbell.store.active import StoredActive

D = Decimal
FIVE_MINUTES = 300_000_000


@dataclass(frozen=True)
class Course:
    """Tasks and data of one comparison.

    Attributes:
        start, end: when the tasks may run.
        lead: so long before the start the replay's clock begins: the app needs time to start.
        speed: desk seconds in a machine second.
    """

    start: datetime
    end: datetime
    lead: timedelta
    speed: float
    account: dict[str, Any]
    prepare: Callable[[App], None]
    tasks: Callable[[App, Course], None]


def every_firing(course: Course) -> Any:
    """Options by which no firing is left out, however far a busy machine falls behind its clock."""
    return {
        "catch_up": "all",
        "catch_up_window": "400d",
        "overlap": "buffer_all",
        "start": course.start,
        "end": course.end,
        "retries": 0,
    }


# --- daily bars -----------------------------------------------------------------------------


def _daily_tasks(app: App, course: Course) -> None:
    when = every_firing(course)

    @app.task(session="XNYS close", priority=3, **when)
    def swing(algorithm: Any) -> None:
        """Hold what rose over two days; cancel yesterday's orders first."""
        algorithm.cancel_all_orders()
        weights = {}
        for symbol in ("AAPL", "GOOG", "IBM", "MSFT"):
            closes = algorithm.get_market_data(symbol, limit=3).closes()
            if closes[-1] > closes[0]:
                weights[symbol] = 0.24
        algorithm.set_target_weights(weights, tolerance=0.03, close_others=True)

    @app.task(session="XNYS close", priority=7, **when)
    def guard(algorithm: Any) -> None:
        """Stops and limits around what is held, after the other task of the same instant."""
        for position in algorithm.get_positions():
            if not algorithm.get_open_orders(position.symbol):
                stop = round(position.price * 0.99, 2)
                algorithm.create_stop_order(position.symbol, stop, percentage=0.5)
                limit = round(position.price * 1.02, 2)
                algorithm.create_limit_sell_order(position.symbol, limit, percentage=0.5)

    @app.task(on_event="order_filled", priority=2, retries=0)
    def dip(algorithm: Any, symbol: str, side: str, price: float, task: str) -> None:
        """Buy a part of what was just sold back, 1 % below."""
        if side == "sell" and task == "guard":
            algorithm.create_limit_buy_order(symbol, round(price * 0.99, 2), 3)

    @app.task(session="XNYS open+10m", priority=1, **when)
    def on_close(algorithm: Any) -> None:
        """A market-on-close order, and one for the day only."""
        algorithm.create_buy_order("IBM", quantity=1, order_type="MARKET_ON_CLOSE")
        price = round(algorithm.get_price("IBM") * 0.995, 2)
        algorithm.create_buy_order("IBM", quantity=2, limit_price=price, time_in_force="day")


DAILY = Course(
    start=datetime(2012, 10, 1, 12, tzinfo=UTC),
    end=datetime(2012, 10, 26, 22, tzinfo=UTC),
    lead=timedelta(days=4),
    speed=200_000,
    account={"cash": 100_000, "fee": "0.05%", "slippage": "0.02%"},
    prepare=lambda _app: None,
    tasks=_daily_tasks,
)


# --- bars of five minutes ---------------------------------------------------------------------


def _walk(app: App) -> None:
    """Two markets that never close, for two days, each step of them drawn from a seed."""
    first = to_micros(datetime(2026, 3, 1, 22, tzinfo=UTC))
    for symbol, price in (("BTC/EUR", 40_000.0), ("ETH/EUR", 2_000.0)):
        chance = Random(symbol)
        bars = []
        for number in range(2 * 288):
            opened = price
            path = [opened * (1 + chance.gauss(0, 0.001)) for _ in range(4)]
            price = path[-1]
            high, low = max(opened, *path), min(opened, *path)
            start, end = first + number * FIVE_MINUTES, first + (number + 1) * FIVE_MINUTES
            bars.append(
                Bar(symbol, start, end, cents(opened), cents(high), cents(low), cents(price), D(10))
            )
        app.market_data.store(symbol, bars, timeframe="5m")


def cents(price: float) -> Decimal:
    return D(f"{price:.2f}")


def _intraday_tasks(app: App, course: Course) -> None:
    when = every_firing(course)

    @app.task(interval="15m", priority=4, **when)
    def cross(algorithm: Any) -> None:
        """Hold the market that is above its average of an hour, half of the money each."""
        for symbol in ("BTC", "ETH"):
            closes = algorithm.get_market_data(symbol, limit=12).closes()
            above = closes[-1] > sum(closes) / len(closes)
            if not above:
                algorithm.cancel_all_orders(symbol)
            algorithm.order_target_percent(symbol, 0.45 if above else 0)

    @app.task(interval="5m", priority=2, **when)
    def brackets(algorithm: Any) -> None:
        """A resting bid below each market, moved along."""
        for order in algorithm.get_open_orders():
            if order.task == "brackets":
                algorithm.cancel_order(order)
        for symbol in ("BTC", "ETH"):
            price = round(algorithm.get_price(symbol) * 0.9985, 2)
            algorithm.create_limit_buy_order(symbol, price, value_of(100, price))

    @app.task(on_event="position_change", priority=6, retries=0)
    def takes_profit(algorithm: Any, symbol: str, change: float) -> None:
        """Offer a hundredth of what was bought."""
        if change > 0:
            price = round(algorithm.get_price(symbol) * 1.001, 2)
            algorithm.create_limit_sell_order(symbol, price, max(round(change / 100, 6), 0.0001))


def value_of(cash: int, price: Any) -> Decimal:
    return round(D(cash) / D(price), 6)


INTRADAY = Course(
    start=datetime(2026, 3, 2, 6, tzinfo=UTC),
    end=datetime(2026, 3, 2, 12, tzinfo=UTC),
    lead=timedelta(minutes=45),
    speed=1_200,
    account={
        "cash": 10_000, "currency": "EUR", "timeframe": "5m", "calendar": "24/7", "fee": "0.1%",
    },
    prepare=_walk,
    tasks=_intraday_tasks,
)  # fmt: skip


# --- the comparison ---------------------------------------------------------------------------


def _trade(entry: Entry) -> tuple[Any, ...]:
    return (
        entry.at, entry.symbol, entry.quantity, entry.price, entry.amount, entry.fee, entry.task,
    )  # fmt: skip


def _order(order: Order) -> tuple[Any, ...]:
    return (
        order.effective_at, order.task, order.symbol, str(order.side), str(order.type),
        order.quantity, order.limit_price, order.stop_price, str(order.state), order.filled,
    )  # fmt: skip


def _desk(address: str, folder: Path, course: Course, **more: Any) -> App:
    if course is INTRADAY:
        more["data"] = str(folder / "data")
    app = create_app(
        address, timezone="America/New_York", guardian=False, long_execution_s=1e9, **more
    )
    app.add_account(**course.account)
    course.tasks(app, course)
    return app


def _replayed(
    app: App, course: Course
) -> tuple[list[Entry], Sequence[Order], dict[str, int], dict[str, int]]:
    """Let the app work until all until the end is done; return fills, orders, runs, refused runs."""
    app.start(block=False)
    over = to_micros(course.end + course.lead)
    active, pump = StoredActive(app.store.database), app.machinery.floor._pump
    assert pump is not None
    while (
        app.clock.micros() < over
        or active.firings_until(over)
        or active.runs_until(over)
        or not pump.wait_for(over, 0.0)
    ):
        time.sleep(0.05)
    app.stop()
    ledger = app.store.ledger
    fills = ledger.entries("main", kind=EntryKind.FILL)
    orders = ledger.orders("main")
    runs, failed = Counter[str](), Counter[str]()
    for run in app.list_runs(limit=100_000):
        runs[run.task] += 1
        if run.error is not None:
            failed[run.task] += 1
            assert run.error["code"] == "insufficient_position"
    app.stop()
    return fills, orders, runs, failed


@pytest.mark.timeout(240)
@pytest.mark.parametrize("course", [DAILY, INTRADAY], ids=["daily bars", "bars of five minutes"])
def test_replay_on_paper_makes_the_trades_of_the_backtest(
    tmp_path: Path, sqlite_address: str, course: Course
) -> None:
    past = _desk(sqlite_address, tmp_path, course)
    course.prepare(past)
    report = past.backtest(course.start, course.end + course.lead, store=False)
    past.stop()
    clock = ScaledClock(course.start - course.lead, course.speed)
    paper = _desk(sqlite_address, tmp_path, course, clock=clock)
    fills, orders, runs, failed = _replayed(paper, course)

    assert len(report.trades) > 30
    assert {str(order.type) for order in report.orders} >= {"market", "limit"}
    assert [_trade(entry) for entry in fills] == [_trade(entry) for entry in report.trades]
    assert sorted(map(_order, orders), key=repr) == sorted(map(_order, report.orders), key=repr)
    assert runs == {name: count.runs for name, count in report.tasks.items()}
    assert failed == {name: count.failed for name, count in report.tasks.items() if count.failed}
