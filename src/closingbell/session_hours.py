"""The sessions of a venue, as the rooms that know no calendar are given them."""

from __future__ import annotations

from datetime import date

from closingbell.core.bar import SessionHours
from closingbell.core.clock import to_micros
from closingbell.triggers import get_calendar


def session_hours(venue: str) -> SessionHours:
    """Return a venue's sessions between two dates, with their opens and closes in microseconds.

    The function that is returned raises CalendarError for dates that the calendar does not know.

    Raises:
        CalendarError: there is no such venue.
    """
    calendar = get_calendar(venue)

    def hours(first: date, last: date) -> list[tuple[date, int, int]]:
        return [
            (session.date, to_micros(session.open_at), to_micros(session.close_at))
            for session in calendar.sessions_between(first, last)
        ]

    return hours
