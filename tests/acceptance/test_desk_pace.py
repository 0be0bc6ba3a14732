"""A live desk keeps pace: a replay is the backtest, processes share an account, sleepers hold nothing up."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from closingbell.app import App
from closingbell.core.clock import ScaledClock, to_micros
from tests.acceptance.desk import eventually, make_app
from tests.acceptance.trading_days import TradingDays

START = datetime(2012, 9, 3, 12, 0, tzinfo=UTC)
END = datetime(2012, 9, 15, 0, 0, tzinfo=UTC)
#: Desk seconds in a machine second: a day is a little more than half a second.
SPEED = 150_000
#: On a clock that is so much faster, what is late by a moment is late by hours.
EACH: dict[str, Any] = {"catch_up": "all", "overlap": "buffer_all", "retries": 0}


def desk(address: str, **more: Any) -> App:
    """Tasks that trade by prices, positions, cash, events and time, and step on each other's toes."""
    app = make_app(address, timezone="America/New_York", **more)
    app.add_account(cash=100_000, fee="0.1%", slippage="0.05%", max_drawdown=0.008)

    @app.task(session="XNYS close", priority=3, **EACH)
    def strategy(algorithm: Any) -> None:
        closes = algorithm.get_market_data("AAPL", limit=5).closes()
        rising = algorithm.get_price("AAPL") > sum(closes) / len(closes)
        algorithm.order_target_percent("AAPL", 0.6 if rising else 0.2)

    @app.task(session="XNYS close", priority=4, **EACH)
    def spender(algorithm: Any) -> None:
        """What is free depends on whether it comes after the strategy."""
        algorithm.cancel_all_orders("MSFT")
        algorithm.create_limit_order("MSFT", 30.8, "buy", percentage=0.1, time_in_force="day")

    @app.task(session="XNYS close+30m", **EACH)
    def limits(algorithm: Any) -> None:
        for order in algorithm.get_open_orders("IBM"):
            if order.side == "buy":
                algorithm.cancel_order(order)
        price = algorithm.get_price("IBM")
        algorithm.create_limit_order("IBM", round(price * 0.999, 2), "buy", 10)

    @app.task(on_event="position_change", where="symbol == 'IBM'", priority=2, retries=0)
    def react(algorithm: Any, quantity: float) -> None:
        if quantity > 5:
            algorithm.create_sell_order("IBM", percentage=0.5)

    @app.task(on_event="drawdown_breach", timeout="1h", retries=0)
    def breach(algorithm: Any) -> None:
        algorithm.sleep(900)
        algorithm.create_sell_order("AAPL", percentage=0.25)

    @app.task(interval="3h", retries=0)
    def watch(algorithm: Any) -> float:
        return float(algorithm.get_portfolio().drawdown)

    return app


def trades(entries: Any) -> list[Any]:
    return [(e.symbol, e.quantity, e.price, e.fee, e.at, e.task) for e in entries]


@pytest.mark.timeout(240)
def test_replay_makes_exactly_the_trades_of_the_backtest(tmp_path: Path) -> None:
    simulated = desk(f"sqlite:///{tmp_path / 'simulated.db'}")
    report = simulated.backtest(START, END, store=False)
    simulated.stop()
    expected = trades(report.trades)

    replayed = desk(f"sqlite:///{tmp_path / 'replayed.db'}", clock=ScaledClock(START, SPEED))
    until = to_micros(END)
    with replayed.running():
        account = replayed.desk.account("main")
        for _ in range(20):
            # The wait for one thing is bounded; a loaded machine may take several.
            try:
                eventually(lambda: account.cursor > until, "the bars of two weeks have passed")
                break
            except AssertionError:
                continue
        entries = replayed.store.ledger.entries("main", kind="fill", before=until)
        runs = Counter((run.task, run.state.value) for run in replayed.list_runs(limit=1000))

    assert {task for *_, task in expected} >= {"strategy", "spender", "limits", "react", "breach"}
    assert trades(entries) == expected
    assert {state for _, state in runs} <= {"success", "running", "pending", "cancelled"}


def test_two_apps_on_one_store_walk_one_account_once(store_address: str) -> None:
    """Two workers let the same bars pass: what happens to money happens once."""
    first = TradingDays(store_address)
    second = TradingDays(store_address, clock=first.clock)
    for one in (first, second):
        one.app.add_account(cash=100_000, fee="0.1%")

        @one.app.task(session="XNYS close", retries=0)
        def strategy(algorithm: Any) -> None:
            algorithm.order_target_percent("AAPL", 0.5)

        @one.app.task(on_event="order_filled")
        def filled(symbol: str) -> None: ...

        one.app.start(block=False)
    try:
        for step in ("19 14:30", "19 21:00", "20 14:30", "20 21:00", "21 14:30", "21 21:00"):
            first.go(step)
            second.settle()
        fills = first.fills()
        points = first.app.store.ledger.snapshots("main")
        events = Counter(
            event["type"]
            for event in first.app.store.events.recent(limit=100)
            if event["type"] != "market_data_update"
        )
        values = {one.app.portfolio().total_value for one in (first, second)}
    finally:
        first.app.stop()
        second.app.stop()

    assert len(fills) == 2
    assert events == {"order_filled": 2, "position_change": 2, "daily_close": 3}
    assert len(points) == 3
    assert len(values) == 1


def test_sleeping_task_lets_the_market_go_on(sqlite_address: str) -> None:
    desk = TradingDays(sqlite_address)
    desk.app.add_account(cash=100_000)

    @desk.app.task(session="XNYS close", timeout="10d", retries=0)
    def patient(algorithm: Any) -> None:
        before = algorithm.get_price("AAPL")
        algorithm.sleep(86_400)
        desk.seen.append((before, algorithm.get_price("AAPL"), algorithm.now()))
        algorithm.create_buy_order("AAPL", quantity=1)

    desk.app.start(block=False)
    desk.clock.advance(desk.at("19 14:30"))
    desk.settle()
    desk.clock.advance(desk.at("19 21:00"))
    account = desk.app.desk.account("main")
    eventually(lambda: desk.app.machinery.floor._lockstep._asleep, "the task sleeps")
    for step in ("20 14:30", "20 20:00"):
        desk.clock.advance(desk.at(step))
    eventually(lambda: account.cursor == to_micros(desk.at("20 14:30")), "the market goes on")
    desk.clock.advance(desk.at("20 21:00"))
    eventually(lambda: desk.seen, "the task wakes")
    desk.clock.advance(desk.at("21 14:30"))
    eventually(desk.fills, "its order fills")
    desk.app.stop()

    [(before, after, now)] = desk.seen
    assert [before, after] == [pytest.approx(565.73), pytest.approx(560.9134)]
    assert f"{now:%d %H:%M}" == "20 16:00"
    assert desk.fills()[0][3] == "21 14:30"
