"""Sessions: the frozen table, and triggers on it, against exchange_calendars for every venue."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from datetime import UTC, date, datetime
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from closingbell.scheduler.calendar import Calendar
from closingbell.scheduler.calendar_book import ALWAYS_OPEN, CalendarBook, current_book
from closingbell.scheduler.session_grid import firing_grid
from closingbell.scheduler.session_rule import parse_session_rule
from closingbell.triggers import Session

VENUES = [venue for venue in CalendarBook().venues if venue != ALWAYS_OPEN]
SOURCE_NAMES = {"US_FUTURES": "us_futures"}


@cache
def oracle(venue: str) -> Any:
    """Ask exchange_calendars for the venue, over the range that the table knows."""
    assert int(pd.__version__.split(".")[0]) < 3, "the oracle loses sessions under pandas 3"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from exchange_calendars.calendar_utils import get_calendar

        ours = current_book().calendar(venue)
        return get_calendar(
            SOURCE_NAMES.get(venue, venue),
            start=ours.known_from.isoformat(),
            end=ours.known_until.isoformat(),
        )


def seconds(column: Any) -> npt.NDArray[np.int64]:
    naive = column.dt.tz_convert("UTC").dt.tz_localize(None)
    values: npt.NDArray[np.int64] = naive.to_numpy(dtype="datetime64[s]").astype(np.int64)
    return values


def fired(text: str, book: CalendarBook) -> npt.NDArray[np.int64]:
    """Every firing of a rule over the whole known range, steps written out."""
    rule = parse_session_rule(text, book.canonical)
    grid = firing_grid(rule, "clamp", tuple(book.calendar(venue) for venue in rule.venues))
    runs = zip(grid.starts, grid.lasts, strict=True)
    return np.concatenate([np.arange(a, b + 1, grid.step) for a, b in runs])


@pytest.mark.parametrize("venue", VENUES)
def test_session_rules_over_the_whole_range_agree_with_the_source(venue: str) -> None:
    """Open, close, breaks, early closes, late opens, dates and special sessions, as arrays."""
    book = current_book()
    ours = book.calendar(venue)
    theirs = oracle(venue)
    schedule = theirs.schedule
    opens, closes = seconds(schedule["open"]), seconds(schedule["close"])
    days = np.array([stamp.date().toordinal() for stamp in schedule.index])

    np.testing.assert_array_equal(np.array(ours.dates), days)
    np.testing.assert_array_equal(fired(f"{venue} open", book), opens)
    np.testing.assert_array_equal(fired(f"{venue} close", book), closes)
    np.testing.assert_array_equal(
        fired(f"{venue} close-15m", book), np.maximum(closes - 900, opens)
    )
    with_break = schedule[schedule["break_start"].notna()]
    if len(with_break):
        np.testing.assert_array_equal(
            fired(f"{venue} break-start", book), seconds(with_break["break_start"])
        )
        np.testing.assert_array_equal(
            fired(f"{venue} break-end", book), seconds(with_break["break_end"])
        )
    assert len(ours.breaks) == len(with_break)
    assert dates_at(ours, ours.early) == {stamp.date() for stamp in theirs.early_closes}
    assert dates_at(ours, ours.late) == {stamp.date() for stamp in theirs.late_opens}


def dates_at(calendar: Calendar, indices: frozenset[int]) -> set[date]:
    return {date.fromordinal(calendar.dates[index]) for index in indices}


@pytest.mark.parametrize("venue", ["XNYS", "XHKG", "XBOM", "CMES", "XTAE"])
def test_next_after_walked_over_the_whole_range_gives_each_open_of_the_source(venue: str) -> None:
    trigger = Session(f"{venue} open")
    instant = datetime(1985, 1, 1, tzinfo=UTC)
    found = []
    while (fire_at := trigger.next_after(instant)) is not None:
        found.append(int(fire_at.timestamp()))
        instant = fire_at
    assert found == seconds(oracle(venue).schedule["open"]).tolist()


@pytest.mark.parametrize("venue", ["XNYS", "XTKS", "XHKG"])
def test_every_rule_over_the_whole_range_fires_in_the_sources_trading_minutes_only(
    venue: str,
) -> None:
    """Each open span gives its own grid; breaks, nights and the close are left out."""
    schedule = oracle(venue).schedule
    expected = []
    columns = ["open", "break_start", "break_end", "close"]
    frame = {name: schedule[name].to_numpy(dtype="datetime64[s]") for name in columns}
    for opened, pause, resume, closed in zip(*frame.values(), strict=True):
        spans = [(opened, closed)] if np.isnat(pause) else [(opened, pause), (resume, closed)]
        expected += [np.arange(*span, np.timedelta64(25, "m")) for span in spans]
    walked = fired(f"{venue} every 25m", current_book())
    np.testing.assert_array_equal(walked, np.concatenate(expected).astype(np.int64))


@pytest.mark.parametrize(
    ("which", "period"),
    [("first", "month"), ("last", "month"), ("first", "week"), ("last", "quarter")],
)
def test_first_and_last_sessions_of_a_period_agree_with_the_source(which: str, period: str) -> None:
    schedule = oracle("XNYS").schedule
    keys: dict[str, Callable[[Any], Any]] = {
        "month": lambda index: index.to_period("M"),
        "quarter": lambda index: index.to_period("Q"),
        "week": lambda index: index.to_period("W-SUN"),
    }
    picked = schedule["open"].groupby(keys[period](schedule.index))
    expected = seconds(picked.first() if which == "first" else picked.last())

    found = fired(f"XNYS {which}-of-{period} open", current_book())

    # The range begins on a Monday and ends with a quarter: no period of it is unknown.
    np.testing.assert_array_equal(found, expected)


def test_two_venues_over_the_whole_range_agree_with_the_source() -> None:
    frames = {venue: oracle(venue).schedule for venue in ("XNYS", "XLON")}
    joined = frames["XNYS"].join(frames["XLON"], how="inner", lsuffix="_n", rsuffix="_l")
    opens = np.maximum(seconds(joined["open_n"]), seconds(joined["open_l"]))
    closes = np.minimum(seconds(joined["close_n"]), seconds(joined["close_l"]))
    last_close = np.maximum(seconds(joined["close_n"]), seconds(joined["close_l"]))
    outer = frames["XNYS"].join(frames["XLON"], how="outer", lsuffix="_n", rsuffix="_l")
    first_open = outer[["open_n", "open_l"]].min(axis=1)
    meets = opens < closes
    book = current_book()

    np.testing.assert_array_equal(fired("XNYS+XLON all open", book), opens)
    np.testing.assert_array_equal(fired("XNYS+XLON all close", book), last_close)
    np.testing.assert_array_equal(fired("XNYS+XLON any open", book), seconds(first_open))
    np.testing.assert_array_equal(fired("XNYS+XLON overlap open", book), opens[meets])
    np.testing.assert_array_equal(fired("XNYS+XLON overlap close", book), closes[meets])
