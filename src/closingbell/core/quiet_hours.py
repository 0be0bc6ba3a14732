"""QuietHours: when nobody is told of what is not critical."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from closingbell.core.error import PolicyError
from closingbell.core.zone import require_zone

#: The days of a week, Monday first.
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_CLOCK = re.compile(r"([01]\d|2[0-3]):([0-5]\d)|24:00", re.ASCII)
_MINUTES_A_DAY = 1_440
_SHAPE = "quiet hours such as {'zone': 'Europe/London', 'from': '22:00', 'to': '07:00'}"


@dataclass(frozen=True, slots=True)
class QuietHours:
    """A window of wall-clock time on some days of the week.

    Attributes:
        zone: of the wall clock.
        days: on which the window begins, 0 = Monday.
        start: minutes since midnight.
        end: the same; not after `start` = on the next day.
    """

    zone: str
    days: tuple[int, ...]
    start: int
    end: int

    def until(self, instant: datetime) -> datetime:
        """Return the first moment from `instant` on that is not quiet, in UTC."""
        at, zone = instant.astimezone(UTC), ZoneInfo(self.zone)
        # A window may begin where the one before it ends, at most for the days of a week.
        for _ in range(16):
            end = self._end(at, zone)
            if end is None:
                return at
            at = end
        raise AssertionError("quiet hours end somewhere: read_quiet_hours sees to that")

    def _end(self, at: datetime, zone: ZoneInfo) -> datetime | None:
        wall = at.astimezone(zone).replace(tzinfo=None)
        midnight = wall.replace(hour=0, minute=0, second=0, microsecond=0)
        length = self.end - self.start
        if length <= 0:
            length += _MINUTES_A_DAY
        for back in (0, 1):
            day = midnight - timedelta(days=back)
            opens = day + timedelta(minutes=self.start)
            closes = opens + timedelta(minutes=length)
            if day.weekday() in self.days and opens <= wall < closes:
                # An hour that is repeated passes its end twice: the one that is ahead counts.
                ends = (closes.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
                return next(end for end in ends if end > at)
        return None

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values, as `read_quiet_hours` takes them."""
        return {
            "zone": self.zone,
            "days": [DAYS[day] for day in self.days],
            "from": _clock(self.start),
            "to": _clock(self.end),
        }


def read_quiet_hours(given: Any, zone: str = "UTC") -> QuietHours:
    """Read quiet hours.

    Args:
        given: a mapping with "from" and "to" such as "22:00", and if need be "zone" and "days"
            (names such as "mon"; default all).
        zone: where none is given.

    Raises:
        PolicyError: it is none.
        TimezoneError: the zone is unknown.
    """
    if isinstance(given, QuietHours):
        return given
    if not isinstance(given, Mapping) or not {"from", "to"} <= set(given):
        raise PolicyError("quiet hours", given, _SHAPE)
    unknown = set(given) - {"from", "to", "zone", "days"}
    if unknown:
        raise PolicyError("quiet hours", sorted(map(str, unknown))[0], _SHAPE)
    start, end = _minutes(given["from"]), _minutes(given["to"])
    days = _days(given.get("days", DAYS))
    if start in (end, _MINUTES_A_DAY):
        raise PolicyError("quiet hours", given["from"], "a 'from' before midnight that is not 'to'")
    name = require_zone(given.get("zone", zone)).key
    if len(days) == len(DAYS) and end - start == _MINUTES_A_DAY:
        raise PolicyError("quiet hours", "all day, every day", "some time at which people are told")
    return QuietHours(name, days, start, end)


def _days(given: Any) -> tuple[int, ...]:
    expected = "days such as ['sat', 'sun']"
    if isinstance(given, str) or not isinstance(given, Sequence) or not given:
        raise PolicyError("days of quiet hours", given, expected)
    words = [str(day).strip().lower()[:3] for day in given]
    if not set(words) <= set(DAYS):
        raise PolicyError("days of quiet hours", given, expected)
    return tuple(sorted({DAYS.index(word) for word in words}))


def _minutes(given: Any) -> int:
    match = _CLOCK.fullmatch(str(given).strip())
    if match is None:
        raise PolicyError("quiet hours", given, "a time such as '22:00', or '24:00'")
    return _MINUTES_A_DAY if match[1] is None else int(match[1]) * 60 + int(match[2])


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"
