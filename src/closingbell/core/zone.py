"""Time zones by name."""

from __future__ import annotations

from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from closingbell.core.error import TimezoneError, near_name


def require_zone(name: str) -> ZoneInfo:
    """Return a time zone.

    Raises:
        TimezoneError: the tz database does not know the name; it carries the nearest one.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError, TypeError):
        raise TimezoneError(name, near_name(str(name), available_timezones())) from None
