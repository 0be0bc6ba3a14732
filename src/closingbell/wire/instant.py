"""Instants and dates as requests write them: ISO 8601; naive instants mean the app's zone."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, WithJsonSchema

#: A day inside what any zone can shift out of the calendar's years.
_FIRST, _LAST = datetime(1970, 1, 2), datetime(2200, 1, 1)  # noqa: DTZ001


def _read(given: Any) -> datetime:
    if not isinstance(given, str):
        raise ValueError("expected ISO 8601 text such as '2027-03-01T09:30:00Z'")
    try:
        instant = datetime.fromisoformat(given.strip())
    except ValueError:
        raise ValueError(
            "expected ISO 8601 such as '2027-03-01T09:30:00Z' (in an address, write + as %2B)"
        ) from None
    if not _FIRST <= instant.replace(tzinfo=None) < _LAST:
        raise ValueError("expected an instant between 1970 and 2200")
    if abs(instant.utcoffset() or timedelta()) > timedelta(hours=18):
        raise ValueError("expected an offset of at most 18 hours")
    return instant


#: A datetime of a request. Numbers are refused: nobody can tell seconds from milliseconds.
Instant = Annotated[
    datetime,
    BeforeValidator(_read),
    WithJsonSchema(
        {
            "type": "string",
            "format": "date-time",
            "description": "ISO 8601; without an offset it means the app's zone",
        }
    ),
]


def _read_day(given: Any) -> date:
    if not isinstance(given, str):
        raise ValueError("expected a date such as '2026-11-27'")
    try:
        day = date.fromisoformat(given.strip())
    except ValueError:
        raise ValueError("expected a date such as '2026-11-27'") from None
    if not 1900 <= day.year < 2200:
        raise ValueError("expected a date between 1900 and 2200")
    return day


#: A date of a request.
Day = Annotated[
    date,
    BeforeValidator(_read_day),
    WithJsonSchema({"type": "string", "format": "date"}),
]


def aware(given: datetime, timezone: str) -> datetime:
    """Return an instant in UTC; a naive one is read in the zone."""
    local = given if given.tzinfo is not None else given.replace(tzinfo=ZoneInfo(timezone))
    return local.astimezone(UTC)
