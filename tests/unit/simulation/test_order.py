"""One instant, in order; and what a window takes in."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from closingbell.core.clock import to_micros
from tests.unit.simulation.rig import START, Hand, Rig

MINUTE = timedelta(minutes=1)


def test_tasks_of_one_instant_run_by_priority_then_name() -> None:
    rig = Rig()
    seen: list[str] = []
    for name, priority in (("beta", 5), ("alpha", 5), ("last", 9), ("first", 1)):
        rig.app.registry.register_task(
            name, lambda algorithm, name=name: seen.append(name), priority=priority, interval="5m"
        )
    rig.run()

    assert seen[:4] == ["first", "alpha", "beta", "last"]
    assert seen[4:8] == seen[:4]


def test_a_decision_on_a_close_trades_at_the_next_open_of_the_same_instant() -> None:
    rig = Rig(prices=[100, 110, 120, 130])

    @rig.app.task(at=(START + MINUTE).isoformat())
    def buy(algorithm: Hand) -> None:
        assert algorithm.desk.account("main").price("BTC/USD") == 110  # the first bar's close
        algorithm.buy(1)

    fill = rig.run().accounts["main"].entries[1]

    assert fill.price == 110
    assert fill.at == to_micros(START + MINUTE)


def test_bars_that_end_are_known_to_the_tasks_of_their_instant_and_bars_that_start_are_not() -> (
    None
):
    rig = Rig(prices=[100, 110, 120])
    known: list[Any] = []

    @rig.app.task(interval="1m")
    def look(algorithm: Hand) -> None:
        account = algorithm.desk.account("main")
        known.append(account.prices.get("BTC/USD", (None, None))[1])

    rig.run()

    assert known == [None, 110, 120]


def test_what_a_fill_at_the_open_starts_runs_in_the_same_instant_after_it() -> None:
    rig = Rig()
    seen: list[tuple[str, timedelta]] = []

    @rig.app.task(at=(START + MINUTE).isoformat())
    def buy(algorithm: Hand) -> None:
        seen.append(("buy", algorithm.at))
        algorithm.buy(1)

    @rig.app.task(interval="1m", priority=9)
    def each_minute(algorithm: Hand) -> None:
        seen.append(("minute", algorithm.at))

    @rig.app.task(on_event="order_filled", priority=1)
    def filled(algorithm: Hand, symbol: str, price: str) -> None:
        seen.append((f"filled {symbol} {price}", algorithm.at))

    rig.run()

    assert seen[1:4] == [("buy", MINUTE), ("minute", MINUTE), ("filled BTC/USD 101", MINUTE)]


def test_the_daily_close_comes_before_the_tasks_of_its_instant_and_the_snapshot_after() -> None:
    rig = Rig(prices=[100] * 30, minutes=60, length=timedelta(hours=30))
    day = timedelta(days=1)
    seen: list[tuple[str, int]] = []

    def note(name: str, algorithm: Hand) -> None:
        if algorithm.at == day:
            points = algorithm.desk.ledger.snapshots("main")
            seen.append((name, len(points)))

    @rig.app.task(interval="1h", priority=1)
    def hourly(algorithm: Hand) -> None:
        note("hourly", algorithm)

    @rig.app.task(on_event="daily_close", priority=2)
    def closed(algorithm: Hand) -> None:
        note("closed", algorithm)

    @rig.app.task(on_event="market_data_update", priority=3)
    def updated(algorithm: Hand) -> None:
        note("updated", algorithm)

    result = rig.run()

    # The snapshot of the start is there, and that of the day is not yet.
    assert seen == [("hourly", 1), ("closed", 1), ("updated", 1)]
    instants = [point.at - result.start for point in result.accounts["main"].snapshots]
    hour = 3_600_000_000
    assert instants == [0, 24 * hour, 30 * hour]


def test_schedules_fire_from_the_start_on_and_before_the_end() -> None:
    rig = Rig(prices=[100] * 10)
    seen: list[timedelta] = []
    rig.app.registry.register_task(
        "five", lambda algorithm: seen.append(algorithm.at), interval="5m"
    )
    rig.run()

    assert seen == [timedelta(0), 5 * MINUTE]


def test_what_the_closing_at_the_end_starts_still_runs() -> None:
    rig = Rig(prices=[100] * 10)
    seen: list[timedelta] = []
    rig.app.registry.register_task(
        "update", lambda algorithm: seen.append(algorithm.at), on_event="market_data_update"
    )
    rig.run()

    assert seen[-1] == 10 * MINUTE


def test_without_bars_after_the_last_daily_close_there_is_no_point_at_the_end() -> None:
    rig = Rig(prices=[100] * 24, minutes=60, length=timedelta(hours=40))
    result = rig.run()

    hour = 3_600_000_000
    instants = [point.at - result.start for point in result.accounts["main"].snapshots]
    assert instants == [0, 24 * hour]
