"""Lengths of time as users write them."""

from __future__ import annotations

import re
from datetime import timedelta

from closingbell.core.error import TriggerError

_UNITS = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}
_TEXT = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|[smhdw]))+", re.ASCII)
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhdw])", re.ASCII)


def parse_duration(given: str | float | timedelta, *, kind: str = "duration") -> timedelta:
    """Read a duration.

    Args:
        given: seconds as a number, a timedelta, or text such as "90s", "5m", "1h30m", "2d".
        kind: the name of the option, for the error.

    Raises:
        TriggerError: it cannot be read, or is negative.
    """
    expected = "seconds, a timedelta, or text such as '90s', '5m', '1h30m'"
    if isinstance(given, bool):
        raise TriggerError(kind, given, expected)
    try:
        if isinstance(given, timedelta):
            value = given
        elif isinstance(given, (int, float)):
            value = timedelta(seconds=given)
        else:
            text = str(given).strip().lower().replace(" ", "")
            if not _TEXT.fullmatch(text):
                raise TriggerError(kind, given, expected)
            value = sum(
                (float(number) * _UNITS[unit] for number, unit in _PART.findall(text)),
                timedelta(),
            )
    except (OverflowError, ValueError) as problem:
        if isinstance(problem, TriggerError):
            raise
        raise TriggerError(kind, given, expected) from problem
    if value < timedelta():
        raise TriggerError(kind, given, expected + ", not negative")
    return value
