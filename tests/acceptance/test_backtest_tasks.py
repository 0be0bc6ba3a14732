"""Tasks in a backtest that raise, hang, die, sleep, wait and start each other, by `app.backtest`."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from closingbell import App, create_app
from closingbell.core.error import LookAhead
from closingbell.core.retry import RetryPolicy
from tests.acceptance import chores

DAY = timedelta(days=1)
#: Monday to Friday.
WEEK = ("2004-01-05", "2004-01-09")
FIVE_CLOSES = [datetime(2004, 1, day, 16) for day in range(5, 10)]  # noqa: DTZ001


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    app = create_app(tmp_path / "desk.db", timezone="America/New_York", guardian=False)
    yield app
    app.stop()


def strategy(app: App) -> list[datetime]:
    """Add a strategy; return the instants at which it decided."""
    seen: list[datetime] = []

    @app.task(session="XNYS close", priority=5)
    def strategy(algorithm: Any) -> None:
        seen.append(algorithm.now())
        algorithm.create_buy_order(target_symbol="IBM", quantity=1)

    return seen


def test_tasks_that_fail_in_every_way_stop_neither_the_strategy_nor_the_clock(app: App) -> None:
    seen = strategy(app)
    release = threading.Event()

    @app.task(session="XNYS close-1h", priority=1, retries=0)
    def raises(algorithm: Any) -> None:
        algorithm.create_buy_order(target_symbol="NOPE", quantity=1)

    @app.task(session="XNYS close-2h", priority=1, retries=0, timeout=0.3)
    def hangs(algorithm: Any) -> None:
        if algorithm.now() < datetime(2004, 1, 6):  # noqa: DTZ001
            release.wait(60)

    @app.task(session="XNYS close", priority=1, retries=0)
    def leaves() -> None:
        raise SystemExit

    @app.task(session="XNYS close-3h", priority=1)
    def sleeps(algorithm: Any) -> None:
        for _ in range(2):
            algorithm.sleep(30)

    define = app.registry.register_task
    define("dies", chores.dies, executor="process", session="XNYS open", retry_count=0)
    define("adds", chores.adds, executor="process", session="XNYS open", payload={"a": 1, "b": 2})
    report = app.backtest(*WEEK, store=False)
    release.set()

    assert seen == FIVE_CLOSES
    assert [trade.task for trade in report.trades] == ["strategy"] * 4  # the fifth has no next open
    assert report.tasks["raises"].last_error == (
        "UnknownSymbol: unknown symbol 'NOPE': store market data for it first"
    )
    assert report.tasks["leaves"].failed == report.tasks["dies"].failed == 5
    assert (report.tasks["hangs"].timed_out, report.tasks["hangs"].success) == (1, 4)
    assert report.tasks["adds"].success == 5
    assert report.tasks["sleeps"].sleep_s == 5 * 60.0
    assert any("hung" in note for note in report.notes)


def test_a_process_task_that_dies_is_tried_again_with_its_backoff(app: App) -> None:
    backoff = RetryPolicy(retries=2, initial_delay=timedelta(minutes=1), jitter=False)
    app.registry.register_task("dies", chores.dies, executor="process", at="2004-01-05T12:00")
    task = app.registry.resolve("dies")
    object.__setattr__(task, "retry", backoff)
    report = app.backtest(*WEEK, store=False)
    (line,) = report.firings()

    assert (line.state, line.attempt, line.duration_s) == ("failed", 3, 180.0)


def test_facts_of_the_ledger_start_tasks_by_their_conditions(app: App) -> None:
    strategy(app)
    heard: list[Any] = []

    @app.task(on_event="order_filled", where="side == 'buy'", priority=2)
    def filled(algorithm: Any, symbol: str, quantity: str) -> None:
        heard.append(("filled", algorithm.now(), symbol, Decimal(quantity)))

    @app.task(on_event="position_change", priority=1)
    def changed(algorithm: Any, symbol: str) -> None:
        heard.append(("changed", algorithm.now(), symbol))

    @app.task(on_event="daily_close")
    def closed(algorithm: Any, session_date: str) -> None:
        heard.append(("closed", algorithm.now(), session_date))

    app.backtest(*WEEK, store=False)

    opened = datetime(2004, 1, 6, 9, 30)  # noqa: DTZ001
    assert heard[:3] == [
        ("closed", FIVE_CLOSES[0], "2004-01-05"),
        ("changed", opened, "IBM"),
        ("filled", opened, "IBM", Decimal(1)),
    ]
    assert len([one for one in heard if one[0] == "closed"]) == 5


def test_a_chain_of_tasks_runs_in_its_order(app: App) -> None:
    seen: list[str] = []

    @app.task(session="XNYS close")
    def prices() -> None:
        seen.append("prices")

    @app.task(after="prices")
    async def positions() -> None:
        await asyncio.sleep(60)
        seen.append("positions")

    @app.task(after=["prices", "positions"])
    def statement(algorithm: Any) -> None:
        seen.append("statement")
        assert algorithm.now().minute == 1

    app.backtest(*WEEK, store=False)

    assert seen == ["prices", "positions", "statement"] * 5


def test_limits_hold_in_simulated_time(app: App) -> None:
    starts: list[datetime] = []

    @app.task(rate="2/10m")
    def fetch(algorithm: Any, page: int) -> None:
        starts.append(algorithm.now())

    @app.task(at="2004-01-05T12:00")
    def plan() -> None:
        app.submit_many("fetch", [{"page": n} for n in range(5)])

    app.backtest(*WEEK, store=False)

    noon = datetime(2004, 1, 5, 12)  # noqa: DTZ001
    assert [(at - noon) // timedelta(minutes=1) for at in starts] == [0, 0, 10, 10, 20]


def test_nobody_sees_what_comes_later(app: App) -> None:
    seen: list[Any] = []

    @app.task(session="XNYS close")
    def looks(algorithm: Any) -> None:
        bars = algorithm.get_market_data("IBM", limit=1)
        seen.append((bars[-1].end, algorithm.now()))
        with pytest.raises(LookAhead):
            algorithm.get_market_data("IBM", end=algorithm.now() + DAY)

    @app.task(session="XNYS close-1h")
    def too_early(algorithm: Any) -> None:
        seen.append((algorithm.get_market_data("IBM", limit=1)[-1].end, algorithm.now() - DAY))

    report = app.backtest(*WEEK, store=False)

    assert report.tasks["looks"].failed == report.tasks["too_early"].failed == 0
    assert all(known <= at for known, at in seen[1::2])
    assert [known for known, at in seen[1::2]] == FIVE_CLOSES


def test_what_tasks_store_is_known_from_then_on_and_only_in_the_backtest(app: App) -> None:
    seen: list[Any] = []

    @app.task(session="XNYS close")
    def collects(algorithm: Any) -> None:
        algorithm.store_market_data("EUR/USD", {"time": algorithm.now(), "price": 1.25})

    @app.task(on_event="market_data_update", where="symbol == 'EUR/USD'")
    def hears(algorithm: Any, symbol: str, price: str) -> None:
        seen.append((algorithm.now(), symbol, price))

    app.backtest(*WEEK, store=False)

    assert [at for at, _, _ in seen] == FIVE_CLOSES
    assert "EUR/USD" not in app.market_data.symbols()
