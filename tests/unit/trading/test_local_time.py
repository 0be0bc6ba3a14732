"""Times at the algorithm's door: naive in the app's zone, and back without loss."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closingbell.core.clock import to_micros
from closingbell.core.error import ArgumentRefused
from closingbell.trading.local_time import LocalTime
from tests.unit.trading.algorithm_rig import local

NEW_YORK = LocalTime(ZoneInfo("America/New_York"))
LONDON = LocalTime(ZoneInfo("Europe/London"))
#: A second before 2012 and one after 2013, in microseconds.
FIRST, LAST = 1_325_375_999_000_000, 1_388_534_401_000_000


@given(st.integers(FIRST, LAST), st.sampled_from([NEW_YORK, LONDON]))
def test_instant_shown_and_read_again_is_the_same(micros: int, there: LocalTime) -> None:
    shown = there.show(micros)

    assert shown.tzinfo is None
    assert there.read(shown, "at") == micros


def test_repeated_hour_is_told_apart_by_its_fold() -> None:
    """On 2012-11-04 New York's clocks went from 02:00 back to 01:00."""
    first = to_micros(datetime(2012, 11, 4, 5, 30, tzinfo=UTC))
    second = first + 3_600_000_000

    assert [NEW_YORK.show(first), NEW_YORK.show(second)] == [local("2012-11-04 01:30")] * 2
    assert [NEW_YORK.show(first).fold, NEW_YORK.show(second).fold] == [0, 1]
    assert NEW_YORK.read(local("2012-11-04 01:30"), "at") == first
    assert NEW_YORK.read(local("2012-11-04 01:30").replace(fold=1), "at") == second


def test_skipped_hour_is_read_as_if_the_clock_had_not_changed() -> None:
    """On 2012-03-11 New York's clocks went from 02:00 on to 03:00."""
    skipped = NEW_YORK.read(local("2012-03-11 02:30"), "at")

    assert skipped == to_micros(datetime(2012, 3, 11, 7, 30, tzinfo=UTC))
    assert NEW_YORK.show(skipped) == local("2012-03-11 03:30")


@pytest.mark.parametrize(
    ("given", "instant"),
    [
        (local("2012-11-21 09:30"), datetime(2012, 11, 21, 14, 30, tzinfo=UTC)),
        (
            datetime(2012, 11, 21, 15, 30, tzinfo=timezone(timedelta(hours=1))),
            datetime(2012, 11, 21, 14, 30, tzinfo=UTC),
        ),
        (date(2012, 11, 21), datetime(2012, 11, 21, 5, 0, tzinfo=UTC)),
        ("2012-11-21", datetime(2012, 11, 21, 5, 0, tzinfo=UTC)),
        ("2012-11-21T09:30:00+00:00", datetime(2012, 11, 21, 9, 30, tzinfo=UTC)),
    ],
)
def test_times_dates_and_their_text_are_read(given: Any, instant: datetime) -> None:
    assert NEW_YORK.read(given, "at") == to_micros(instant)


@pytest.mark.parametrize("given", ["yesterday", 5, None, 1.5])
def test_what_is_no_time_is_refused(given: Any) -> None:
    with pytest.raises(ArgumentRefused, match="before_date"):
        NEW_YORK.read(given, "before_date")
