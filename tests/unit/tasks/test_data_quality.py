"""DataQuality and DataArchive: gaps, lateness and odd moves are told once; old bars are put away."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closingbell.core.bar import Bar
from closingbell.core.clock import from_micros
from closingbell.core.error import CalendarError
from closingbell.session_hours import session_hours
from closingbell.tasks.bar_quality import outliers
from closingbell.tasks.data_archive import DataArchive
from closingbell.tasks.data_quality import DataQuality
from closingbell.trading.market_bar import MarketBar
from closingbell.trading.money import Money
from tests.unit.tasks.desk_rig import START, DeskRig


def sessions(rig: DeskRig, symbol: str, closes: dict[int, float], leave_out: int = -1) -> None:
    """Store a bar of XNYS for each of the last sessions; the newest has number 0."""
    hours = session_hours("XNYS")(START.date() - timedelta(days=60), START.date())
    bars = []
    for age, (_, opens, over) in enumerate(reversed(hours)):
        price = Decimal(str(closes.get(age, 100)))
        if age != leave_out and over <= rig.clock.micros():
            bars.append(Bar(symbol, opens, over, price, price, price, price, Decimal(1)))
    rig.catalogue.store(symbol, bars[::-1], timeframe="1d")


def test_sound_data_has_no_troubles() -> None:
    rig = DeskRig()
    sessions(rig, "AAPL", {})

    assert rig.run(DataQuality()) == {}
    assert rig.alerts == []


def test_missing_session_is_a_gap_and_told_until_it_is_mended() -> None:
    rig, task = DeskRig(), DataQuality()
    sessions(rig, "AAPL", {}, leave_out=5)
    first, second = rig.run(task), rig.run(task)
    told = len(rig.alerts)
    sessions(rig, "AAPL", {})

    assert first["AAPL"]["gaps"] == [
        {
            "from": "2026-02-23T14:30:00+00:00",
            "to": "2026-02-23T21:00:00+00:00",
            "missing": 1,
        }
    ]
    assert (first, told) == (second, 1)
    assert rig.run(task) == {}


def test_bars_that_stop_coming_are_late_after_as_many_sessions_as_were_allowed() -> None:
    rig, task = DeskRig(), DataQuality(late_bars=1)
    sessions(rig, "AAPL", {})
    found = []
    for _ in range(3):
        rig.days(1)
        found.append(rig.run(task))

    assert found == [
        {},
        {"AAPL": {"late": "2 are missing at the end"}},
        {"AAPL": {"late": "3 are missing at the end"}},
    ]
    assert len(rig.alerts) == 1


def test_weekend_makes_no_bar_late() -> None:
    rig = DeskRig()
    rig.days(4)
    sessions(rig, "AAPL", {}, leave_out=-1)
    rig.days(2)

    assert rig.run(DataQuality(late_bars=0)) == {"AAPL": {"late": "4 are missing at the end"}}, (
        "Monday's bar was the last one: Tuesday to Friday are missing, and no weekend"
    )


def test_price_that_jumps_and_comes_back_is_an_outlier_twice() -> None:
    rig = DeskRig()
    sessions(rig, "AAPL", {3: 10})
    found = rig.run(DataQuality())

    assert [odd["change"] for odd in found["AAPL"]["outliers"]] == [-0.9, 9.0]


def test_market_that_never_closes_is_late_after_its_timeframe() -> None:
    rig = DeskRig()
    rig.store("BTC/EUR", [100] * 5, hours=24)
    task = DataQuality(venue=None)
    rig.days(1.5)
    first = rig.run(task)
    rig.days(1)

    assert (first, rig.run(task)["BTC/EUR"]) == ({}, {"late": "2 are missing at the end"})


@pytest.mark.parametrize(("symbols", "told"), [(None, 0), (["AAPL"], 1)])
def test_symbol_without_any_bar_is_told_only_when_it_was_named(
    symbols: list[str] | None, told: int
) -> None:
    rig = DeskRig()
    found = rig.run(DataQuality(symbols))

    assert len(rig.alerts) == told
    assert found == ({"AAPL": {"late": "there are none at all"}} if told else {})


def test_unknown_venue_is_refused_at_once() -> None:
    with pytest.raises(CalendarError):
        DataQuality(venue="XXXX")


def test_archive_puts_old_bars_away() -> None:
    rig = DeskRig()
    rig.store("AAPL", [100] * 20)
    found = rig.run(DataArchive(keep="10d"))

    assert found == {"bars": 10}
    assert len(rig.algorithm("look").get_market_data("AAPL", "1d")) == 10


def bars_of(prices: list[Any]) -> list[MarketBar]:
    made = []
    for number, price in enumerate(prices):
        end = from_micros(number * 86_400_000_000).replace(tzinfo=None)
        money = Money(str(price))
        made.append(MarketBar("A", end, end, money, money, money, money, Money(0)))
    return made


@given(st.lists(st.integers(95, 105), min_size=2, max_size=60))
def test_moves_that_are_usual_are_no_outliers(prices: list[int]) -> None:
    assert outliers(bars_of(prices), times=12, least=0.25) == []


@given(st.lists(st.integers(98, 102), min_size=6, max_size=60), st.data())
def test_tenfold_price_is_found_wherever_it_is(prices: list[int], data: st.DataObject) -> None:
    place = data.draw(st.integers(1, len(prices) - 1))
    prices[place] *= 10
    found = outliers(bars_of(prices), times=12, least=0.25)

    assert found[0].at == datetime(1970, 1, 1, tzinfo=UTC).replace(tzinfo=None) + timedelta(place)
    assert found[0].change > 8


def test_no_bars_and_one_bar_have_no_moves() -> None:
    assert outliers([], times=1, least=0) == outliers(bars_of([5]), times=1, least=0) == []
