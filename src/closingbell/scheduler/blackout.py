"""Blackout: a window, daily or around a session, in which a schedule does not fire."""

from __future__ import annotations

import re
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Any

from closingbell.core.error import TriggerError
from closingbell.scheduler.calendar_book import CalendarBook, current_book
from closingbell.scheduler.local_time import require_utc, resolve, zone, zone_name
from closingbell.scheduler.session_grid import firing_grid
from closingbell.scheduler.session_rule import parse_session_rule
from closingbell.scheduler.trigger_text import (
    format_time,
    format_weekdays,
    parse_time_of_day,
    parse_weekdays,
    spoken_weekdays,
)

_EXPECTED = "a window such as '22:00-23:00' or 'XNYS open-30m..open+30m'"
_CLOCKS = re.compile(r"([0-9:.]+)\s*-\s*([0-9:.]+)")
_ONE_DAY = timedelta(days=1)
_MOST_LINKS = 32


@dataclass(frozen=True, init=False)
class Blackout:
    """A window of time, its start included and its end not.

    `Blackout("22:00-23:00", days="MON-FRI", timezone="Europe/London")` is local; a
    window over midnight belongs to the day on which it starts, and its end may be 24:00.
    `Blackout("XNYS open-30m..open+30m")` goes by sessions, in the words of `Session`
    (several venues: `XNYS+XLON all open..close`).

    Clock changes: a start or end that the clock skips moves right after the gap; of one
    that comes twice, the start counts in the first pass and the end in the second.
    Beyond the known calendar a session window covers nothing: `known_until` says where.

    Raises:
        TriggerError: the window or the days cannot be read, or it never ends.
        TimezoneError: the zone is unknown.
        CalendarError: a venue is unknown.
    """

    window: str
    days: tuple[int, ...] | None = None
    timezone: str = "UTC"

    def __init__(
        self,
        window: str,
        days: str | Iterable[str] | None = None,
        timezone: str = "UTC",
    ) -> None:
        if not isinstance(window, str):
            raise TriggerError("blackout", window, _EXPECTED)
        weekdays = parse_weekdays(days)
        if ".." in window:
            if weekdays is not None:
                raise TriggerError("blackout", window, "no weekdays on a window of sessions")
            normal = _normal_sessions(window)
        else:
            start, end = _clocks(window)
            if weekdays is None and start == time(0) and end is None:
                raise TriggerError("blackout", window, "a window that ends: this covers all time")
            normal = f"{format_time(start)}-{'24:00' if end is None else format_time(end)}"
        assign = object.__setattr__
        assign(self, "window", normal)
        assign(self, "days", weekdays)
        assign(self, "timezone", zone_name(timezone))

    @property
    def known_until(self) -> datetime | None:
        """The instant up to which the sessions are known; None for a local window."""
        if ".." not in self.window:
            return None
        book = current_book()
        venues = self.window.split()[0].split("+")
        return min(book.calendar(venue).knowledge_end() for venue in venues)

    def covers(self, instant: datetime) -> bool:
        """Say whether an instant lies in the window."""
        return self._end_of(require_utc(instant)) is not None

    def end_after(self, instant: datetime) -> datetime | None:
        """Return the first instant (UTC) from `instant` on that is not covered.

        Returns:
            None if `instant` is not covered. Windows that touch count as one.
        """
        end: datetime | None = None
        following = self._end_of(require_utc(instant))
        for _ in range(_MOST_LINKS):
            if following is None:
                break
            end = following
            following = self._end_of(end)
        return end

    def describe(self) -> str:
        """Say the window in plain English."""
        if ".." in self.window:
            return f"blackout {self.window}"
        days = "" if self.days is None else f" {spoken_weekdays(self.days)}"
        return f"blackout {self.window}{days} ({self.timezone})"

    def to_dict(self) -> dict[str, Any]:
        """Return the window as JSON values; `blackout_from_dict` reads them back."""
        return {
            "window": self.window,
            "days": None if self.days is None else format_weekdays(self.days),
            "timezone": self.timezone,
        }

    def _end_of(self, moment: datetime) -> datetime | None:
        if ".." in self.window:
            starts, ends = _spans(self.window, current_book())
            seconds = moment.timestamp()
            index = bisect_right(starts, seconds) - 1
            if index < 0 or seconds >= ends[index]:
                return None
            return datetime.fromtimestamp(ends[index], UTC)
        start, end = _clocks(self.window)
        where = zone(self.timezone)
        today = moment.astimezone(where).toordinal()
        for ordinal in (today - 1, today):
            day = date.fromordinal(ordinal)
            if self.days is not None and day.weekday() not in self.days:
                continue
            begins = resolve(datetime.combine(day, start), where).first
            last_day = day if end is not None and end > start else day + _ONE_DAY
            ending = resolve(datetime.combine(last_day, end or time(0)), where)
            ends_at = ending.second or ending.first
            if begins <= moment < ends_at:
                return ends_at
        return None


def blackout_from_dict(values: Mapping[str, Any]) -> Blackout:
    """Read what a blackout's `to_dict` wrote; the result equals it.

    Raises:
        TriggerError: a key is missing or unknown, or a value cannot be.
    """
    try:
        return Blackout(**values)
    except TypeError as problem:
        raise TriggerError("blackout", str(values), str(problem)) from None


@lru_cache(maxsize=1024)
def _clocks(window: str) -> tuple[time, time | None]:
    """Return start and end of a local window; the end is None for 24:00."""
    match = _CLOCKS.fullmatch(window.strip())
    if match is None:
        raise TriggerError("blackout", window, _EXPECTED)
    start = parse_time_of_day(match[1], "blackout")
    end = None if match[2] in ("24:00", "24:00:00") else parse_time_of_day(match[2], "blackout")
    if start == end:
        raise TriggerError(
            "blackout", window, "an end that is not the start (whole day: 00:00-24:00)"
        )
    return start, None if end == time(0) else end


def _normal_sessions(window: str) -> str:
    start_text, _, end_text = window.partition("..")
    canonical = current_book().canonical
    words = start_text.split()
    if len(words) < 2 or not end_text.strip():
        raise TriggerError("blackout", window, _EXPECTED)
    start = parse_session_rule(start_text, canonical)
    before_edge = " ".join(str(start).split()[:-1])
    end = parse_session_rule(f"{before_edge} {end_text}", canonical)
    if start.edge is None or end.edge is None:
        raise TriggerError("blackout", window, _EXPECTED)
    return f"{start}..{end.edge}"


@lru_cache(maxsize=64)
def _spans(window: str, book: CalendarBook) -> tuple[array[int], array[int]]:
    """Return starts and ends of a session window, those that touch or overlap joined."""
    start_text, _, end_text = window.partition("..")
    first = parse_session_rule(start_text, str)
    last = parse_session_rule(f"{' '.join(start_text.split()[:-1])} {end_text}", str)
    calendars = tuple(book.calendar(venue) for venue in first.venues)
    opening, closing = (firing_grid(rule, "clamp", calendars) for rule in (first, last))
    end_by_day = dict(zip(closing.dates, closing.lasts, strict=True))
    starts, ends = array("q"), array("q")
    for day, start in zip(opening.dates, opening.starts, strict=True):
        end = end_by_day.get(day, start)
        if end <= start:
            continue
        if ends and start <= ends[-1]:
            ends[-1] = max(ends[-1], end)
        else:
            starts.append(start)
            ends.append(end)
    return starts, ends
