"""Daily: a local time of day, on all days, some weekdays, or one day of the month."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from datetime import time as ClockTime  # noqa: N812
from typing import Any, Literal

from closingbell.core.error import TriggerError
from closingbell.scheduler.local_time import (
    OVERLAPS,
    Overlap,
    first_local_after,
    require_utc,
    resolve,
    zone,
    zone_name,
)
from closingbell.scheduler.trigger_text import (
    format_time,
    format_weekdays,
    parse_time_of_day,
    parse_weekdays,
    spoken_weekdays,
)

# From one month's day 31 to the next there are at most 62 days.
_SEARCH_DAYS = 64


def require_overlap(given: object) -> Overlap:
    """Return a checked `dst_overlap`.

    Raises:
        TriggerError: it is not one of 'first', 'second', 'both'.
    """
    for known in OVERLAPS:
        if given == known:
            return known  # type: ignore[return-value]
    raise TriggerError("dst_overlap", given, "'first', 'second' or 'both'")


def _require_month_day(given: object) -> int | Literal["last"] | None:
    if given is None:
        return None
    if isinstance(given, str):
        plain = given.strip().lower()
        if plain in ("first", "last"):
            return 1 if plain == "first" else "last"
        given = int(plain) if plain.isascii() and plain.isdigit() and len(plain) < 3 else given
    if isinstance(given, int) and not isinstance(given, bool) and 1 <= given <= 31:
        return given
    raise TriggerError("day_of_month", given, "1 to 31, 'first' or 'last'")


@dataclass(frozen=True, init=False)
class Daily:
    """Fires at one local time of day: daily, on weekdays (weekly), or monthly.

    Clock changes (the rule of Debian's cron): on the day that skips the hour it
    fires right after the gap (02:30 in New York on 2026-03-08 fires at 03:00); on
    the day that repeats the hour it fires once, in the first pass.

    Args:
        time: '02:00', '23:59:30' or a naive `datetime.time`.
        timezone: the IANA zone of that time.
        days: weekdays: 'MON-FRI', 'FRI', ['MON', 'WED']; None means all.
        day_of_month: 1 to 31, 'first' or 'last'; a month without day 29, 30 or 31
            has no firing, 'last' is in every month. Not together with `days`.
        dst_overlap: which pass of a repeated hour: 'first', 'second' or 'both'.

    Raises:
        TriggerError: a part cannot be read, or `days` and `day_of_month` are both given.
        TimezoneError: the zone is unknown.
    """

    time: ClockTime
    timezone: str = "UTC"
    days: tuple[int, ...] | None = None
    day_of_month: int | Literal["last"] | None = None
    dst_overlap: Overlap = "first"

    def __init__(
        self,
        time: str | ClockTime = "00:00",
        timezone: str = "UTC",
        days: str | Iterable[str] | None = None,
        *,
        day_of_month: int | str | None = None,
        dst_overlap: str = "first",
    ) -> None:
        if days is not None and day_of_month is not None:
            raise TriggerError("days", str(days), "either weekdays or day_of_month, not both")
        assign = object.__setattr__
        assign(self, "time", parse_time_of_day(time))
        assign(self, "timezone", zone_name(timezone))
        assign(self, "days", parse_weekdays(days))
        assign(self, "day_of_month", _require_month_day(day_of_month))
        assign(self, "dst_overlap", require_overlap(dst_overlap))

    def fires_on(self, day: date) -> bool:
        """Say whether the rule names this local day."""
        if self.days is not None:
            return day.weekday() in self.days
        if self.day_of_month is None:
            return True
        if self.day_of_month == "last":
            return date.fromordinal(day.toordinal() + 1).day == 1
        return day.day == self.day_of_month

    def next_after(self, instant: datetime) -> datetime | None:
        """Return the first firing after `instant`, in UTC."""
        moment = require_utc(instant)
        where = zone(self.timezone)
        return first_local_after(moment, where, self._next_day, (self.time,), self.dst_overlap)

    def _next_day(self, ordinal: int) -> int | None:
        if self.days is None and self.day_of_month is None:
            return ordinal
        try:
            for candidate in range(ordinal, ordinal + _SEARCH_DAYS):
                if self.fires_on(date.fromordinal(candidate)):
                    return candidate
        except ValueError:
            pass
        return None

    def explain(self, fire_at: datetime) -> str:
        """Say in one line why the rule names `fire_at`, with what the clock did that day."""
        moment = require_utc(fire_at)
        return self.describe() + clock_note(moment, self.time, self.timezone, self.dst_overlap)

    def describe(self) -> str:
        """Say the rule in plain English."""
        if self.day_of_month == "last":
            when = "on the last day of every month"
        elif self.day_of_month is not None:
            when = f"on day {self.day_of_month} of every month"
        else:
            when = spoken_weekdays(self.days)
        return f"{when} at {format_time(self.time)} ({self.timezone})"

    def to_dict(self) -> dict[str, Any]:
        """Return the rule as JSON values; `trigger_from_dict` reads them back."""
        return {
            "kind": "daily",
            "time": format_time(self.time),
            "timezone": self.timezone,
            "days": None if self.days is None else format_weekdays(self.days),
            "day_of_month": self.day_of_month,
            "dst_overlap": self.dst_overlap,
        }


def clock_note(fire_at: datetime, clock: ClockTime, timezone: str, overlap: Overlap) -> str:
    """Return what the clock change of that day did to a firing, or ''.

    Args:
        fire_at: a firing, in UTC.
        clock: the local time of day that the rule asked for.
        timezone: the rule's zone.
        overlap: which pass of a repeated hour the rule takes.
    """
    where = zone(timezone)
    today = fire_at.astimezone(where).toordinal()
    for ordinal in (today, today - 1):
        day = date.fromordinal(ordinal)
        resolved = resolve(datetime.combine(day, clock), where)
        if fire_at not in resolved.instants("both"):
            continue
        if resolved.in_gap:
            gap_end = format_time(fire_at.astimezone(where).timetz().replace(tzinfo=None))
            return f"; {day} {format_time(clock)} does not exist: fires {gap_end}"
        if resolved.second is not None:
            which = "first" if fire_at == resolved.first else "second"
            times = "in both passes" if overlap == "both" else "once"
            return f"; {format_time(clock)} comes twice on {day}: fires {times}, this is the {which} pass"
    return ""
