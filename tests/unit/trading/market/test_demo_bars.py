"""The shipped history as bars of the exchange's sessions."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import pairwise

from closingbell.core.bar import Split
from closingbell.core.clock import from_micros, to_micros
from closingbell.session_hours import session_hours
from closingbell.trading.market.demo import DEMO_VENUE, demo_bars, load_history
from closingbell.trading.market.gap import find_gaps
from closingbell.trading.market.reader import MarketReader
from closingbell.trading.market.soundness import check_bars, check_digits
from tests.unit.trading.market.sample import EVER

HOURS = session_hours(DEMO_VENUE)
SOURCE = demo_bars(HOURS)


def test_every_shipped_day_is_a_sound_bar_and_none_is_missing() -> None:
    assert SOURCE.symbols() == ["AAPL", "FB", "GOOG", "IBM", "MSFT"]
    count = 0
    for symbol in SOURCE.symbols():
        bars = SOURCE.bars(symbol, "1d", 0, EVER)
        check_bars(symbol, bars, "1d")
        check_digits(symbol, bars)
        assert find_gaps(SOURCE, symbol, "1d", HOURS) == []
        count += len(bars)
    assert count == len(load_history()) == 12_154


def test_shipped_bar_lasts_from_the_open_to_the_close_also_on_a_short_day() -> None:
    early = to_micros(datetime(2012, 11, 23, 14, 30, tzinfo=UTC))
    (one,) = SOURCE.bars("AAPL", "1d", early, early + 4 * 3_600_000_000)
    assert from_micros(one.end) == datetime(2012, 11, 23, 18, tzinfo=UTC)
    assert SOURCE.span("1d") == (
        to_micros(datetime(2000, 3, 1, 14, 30, tzinfo=UTC)),
        to_micros(datetime(2013, 3, 1, 21, tzinfo=UTC)),
    )


def test_splits_come_with_the_opening_of_their_day() -> None:
    found = [(from_micros(part.start), part.actions) for part in SOURCE.slices("1d", 0, EVER)
             if part.actions]  # fmt: skip
    assert [at.date() for at, _ in found] == [
        date(2000, 6, 21), date(2003, 2, 18), date(2005, 2, 28),
    ]  # fmt: skip
    assert [actions for _, actions in found] == [
        (Split(symbol, to_micros(at), Decimal(2)),)
        for symbol, (at, _) in zip(("AAPL", "MSFT", "AAPL"), found, strict=True)
    ]


def test_adjusted_history_has_the_crash_of_september_2000_and_no_fall_at_a_split() -> None:
    reader = MarketReader(SOURCE, lambda: EVER)
    bars = reader.get("AAPL", adjusted=True)
    falls = {
        from_micros(after.start).date(): after.close / before.close - 1
        for before, after in pairwise(bars)
        if after.close / before.close < Decimal("0.6")
    }
    assert list(falls) == [date(2000, 9, 29)]
    assert round(falls[date(2000, 9, 29)], 2) == Decimal("-0.52")
    splits_only = bars[0].close * 4
    assert splits_only == SOURCE.bars("AAPL", "1d", 0, EVER)[0].close
