"""Stamp: the time of a row, as sources write it."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from closingbell.core.clock import from_micros, to_micros

#: Numbers are read by their size, which is unmistakable from 1973 to 2128:
#: (at least, less than, microseconds in one, of them in a microsecond).
_UNITS = (
    (10**8, 5 * 10**9, 1_000_000, 1),
    (10**11, 5 * 10**12, 1_000, 1),
    (10**14, 5 * 10**15, 1, 1),
    (10**17, 5 * 10**18, 1, 1_000),
)
_DAY = 86_400_000_000


class Stamp(NamedTuple):
    """What is known of a row's time.

    Attributes:
        at: the instant in microseconds; None for a plain date.
        day: the date, if it is a plain one or a midnight in the zone that it was written in.
    """

    at: int | None
    day: date | None


class StampError(ValueError):
    """A time that cannot be read.

    Attributes:
        problem: what is wrong.
        expected: what would have been right.
    """

    def __init__(self, problem: str, expected: str) -> None:
        super().__init__(f"{problem}; {expected}")
        self.problem = problem
        self.expected = expected


def read_stamp(given: Any, zone: ZoneInfo | None) -> Stamp:
    """Return what a time means.

    Args:
        given: a datetime, a date, ISO text, or seconds, milliseconds, microseconds or
            nanoseconds since the epoch, told apart by their size. A midnight without a zone is
            a plain date, for so most daily data is written.
        zone: of times that name none; None = such times are refused.

    Raises:
        StampError: it cannot be read, or names no zone.
    """
    value = given.item() if hasattr(given, "item") else given
    # NaN and NaT differ from themselves.
    if value is None or value != value:
        raise StampError(f"its time is {given!s}", "expected a time in every row")
    if isinstance(value, str):
        value = _parsed(value)
    if isinstance(value, datetime):
        return _of_datetime(value, zone)
    if isinstance(value, date):
        at = None if zone is None else to_micros(datetime.combine(value, time(0), zone))
        return Stamp(at, value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        for least, less_than, times, per in _UNITS:
            if least <= value < less_than:
                at = round(value * times) // per
                return Stamp(at, None if at % _DAY else from_micros(at).date())
    raise StampError(
        f"its time {given!r} cannot be read",
        "expected a datetime, a date, ISO text such as '2027-03-01T14:30:00Z', or seconds or "
        "milliseconds since 1970",
    )


def _of_datetime(value: datetime, zone: ZoneInfo | None) -> Stamp:
    day = value.date() if value.time() == time(0) else None
    if value.tzinfo is None:
        if zone is None and day is None:
            raise StampError(
                f"its time {value!s} names no zone",
                "give aware times, or the zone that they are in (timezone=)",
            )
        at = None if zone is None else to_micros(value.replace(tzinfo=zone).astimezone(UTC))
        return Stamp(at, day)
    return Stamp(to_micros(value.astimezone(UTC)), day)


def _parsed(text: str) -> date | datetime | str | float:
    plain = text.strip()
    try:
        if len(plain) <= 10:
            return date.fromisoformat(plain)
        return datetime.fromisoformat(plain)
    except ValueError:
        pass
    try:
        return float(plain) if "." in plain else int(plain)
    except ValueError:
        return text
