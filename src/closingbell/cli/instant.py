"""Instants as people type them."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from closingbell.core.error import SubmitError


def read_instant(given: str, option: str, timezone: str) -> datetime:
    """Return an aware datetime; a naive one means the zone.

    Raises:
        SubmitError: it is not ISO text.
    """
    try:
        instant = datetime.fromisoformat(given)
    except ValueError as problem:
        raise SubmitError(option, given, "ISO text such as '2027-03-01T09:30'") from problem
    return instant if instant.tzinfo else instant.replace(tzinfo=ZoneInfo(timezone))
