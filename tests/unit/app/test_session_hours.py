"""A venue's sessions, as the rooms that know no calendar are given them."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from closingbell.core.clock import to_micros
from closingbell.core.error import CalendarError
from closingbell.session_hours import session_hours


def test_hours_are_those_of_the_calendar_short_days_included() -> None:
    found = session_hours("XNYS")(date(2012, 11, 21), date(2012, 11, 24))
    assert found == [
        (date(2012, 11, 21), at(21, 14, 30), at(21, 21)),
        (date(2012, 11, 23), at(23, 14, 30), at(23, 18)),
    ]


def test_days_and_venues_that_are_not_known_are_refused() -> None:
    with pytest.raises(CalendarError):
        session_hours("XNYS")(date(1950, 1, 1), date(1950, 2, 1))
    with pytest.raises(CalendarError):
        session_hours("nowhere")


def at(day: int, hour: int, minute: int = 0) -> int:
    return to_micros(datetime(2012, 11, day, hour, minute, tzinfo=UTC))
