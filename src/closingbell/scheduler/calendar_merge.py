"""Merging a venue's override with its calendar, and checking that the result can be."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta

from closingbell.core.error import CalendarError
from closingbell.scheduler.calendar import Calendar
from closingbell.scheduler.calendar_override import OwnVenue, SessionOverride, VenueOverride
from closingbell.scheduler.local_time import EPOCH, resolve, zone

_MOST_DAYS = 366 * 200


def empty_calendar(venue: str, own: OwnVenue) -> Calendar:
    """Return the calendar of an own venue that knows its hours, and no date yet."""
    return Calendar(
        venue=venue,
        timezone=own.timezone,
        known_from=own.hours.since,
        known_until=own.hours.since - timedelta(days=1),
        weekdays=frozenset(own.days),
        version="own",
        dates=(),
        opens=(),
        closes=(),
        regular=(own.hours,),
    )


@dataclass(frozen=True)
class _Hours:
    opened: int
    closed: int
    pause: tuple[int, int] | None = None
    early: bool = False
    late: bool = False


def _seconds(day: date, clock: time, timezone: str) -> int:
    instant = resolve(datetime.combine(day, clock), zone(timezone)).first
    return int((instant - EPOCH).total_seconds())


def _hours_of(calendar: Calendar, row: SessionOverride) -> _Hours:
    usual = calendar.regular_hours(row.date) or calendar.regular[0]
    opened, closed = row.open or usual.open, row.close or usual.close
    pause = row.pause
    if (
        pause is None
        and usual.break_start is not None
        and usual.break_end is not None
        and opened < usual.break_start
        and usual.break_end < closed
    ):
        pause = (usual.break_start, usual.break_end)
    usual_overnight = usual.open >= usual.close
    # Hours that run over midnight belong to the date on which they end.
    evening = row.date - timedelta(days=1)

    def at(clock: time) -> int:
        begun = usual_overnight and opened >= closed and clock >= opened
        return _seconds(evening if begun else row.date, clock, calendar.timezone)

    start = at(opened)
    end = _seconds(row.date, closed, calendar.timezone)
    usual_start = _seconds(evening if usual_overnight else row.date, usual.open, calendar.timezone)
    usual_end = _seconds(row.date, usual.close, calendar.timezone)
    span = None if pause is None else (at(pause[0]), at(pause[1]))
    if span is not None and not start < span[0] < span[1] < end:
        raise CalendarError(calendar.venue, f"{row.date}: the break does not lie in the session")
    return _Hours(start, end, span, early=end < usual_end, late=start > usual_start)


def merged(override: VenueOverride, ground: Calendar, version: str) -> Calendar:
    """Return `ground` with an override on top, under the override's name.

    Raises:
        CalendarError: sessions would overlap, or the override contradicts the calendar.
    """
    calendar = replace(ground, venue=override.venue)
    known_until = override.known_until or ground.known_until
    if known_until < ground.known_from:
        raise CalendarError(
            override.venue, f"known_until {known_until} is before {ground.known_from}"
        )
    if (known_until - ground.known_from).days > _MOST_DAYS:
        raise CalendarError(override.venue, "known_from and known_until are over 200 years apart")
    days: dict[int, _Hours] = {
        ordinal: _Hours(
            ground.opens[index],
            ground.closes[index],
            ground.breaks.get(index),
            index in ground.early,
            index in ground.late,
        )
        for index, ordinal in enumerate(ground.dates)
        if ordinal <= known_until.toordinal()
    }
    for ordinal in range(ground.known_until.toordinal() + 1, known_until.toordinal() + 1):
        day = date.fromordinal(ordinal)
        if day.weekday() in ground.weekdays:
            days[ordinal] = _hours_of(calendar, SessionOverride(day))
    notes = dict(ground.notes)
    named: set[date] = set()
    for day, name in override.closed.items():
        _require_within(override.venue, day, ground.known_from, known_until)
        if days.pop(day.toordinal(), None) is None:
            raise CalendarError(override.venue, f"{day} is closed already: it has no session")
        notes[day.toordinal()] = name or "closed by the overrides file"
        named.add(day)
    for row in override.sessions:
        _require_within(override.venue, row.date, ground.known_from, known_until)
        if row.date in named:
            raise CalendarError(override.venue, f"{row.date} is named twice in the overrides file")
        named.add(row.date)
        days[row.date.toordinal()] = _hours_of(calendar, row)
        notes[row.date.toordinal()] = row.name or "by the overrides file"
    return _in_order(calendar, days, notes, known_until, version)


def _require_within(venue: str, day: date, first: date, last: date) -> None:
    if not first <= day <= last:
        raise CalendarError(venue, f"{day} is outside {first} to {last}; known_until extends it")


def _in_order(
    calendar: Calendar,
    days: Mapping[int, _Hours],
    notes: Mapping[int, str],
    known_until: date,
    version: str,
) -> Calendar:
    ordinals = sorted(days)
    rows = [days[ordinal] for ordinal in ordinals]
    for index, row in enumerate(rows):
        day = date.fromordinal(ordinals[index])
        if row.opened >= row.closed:
            raise CalendarError(calendar.venue, f"{day}: the session closes before it opens")
        if index and rows[index - 1].closed > row.opened:
            raise CalendarError(
                calendar.venue, f"{day}: the session opens before the one before it has closed"
            )
    return replace(
        calendar,
        known_until=known_until,
        version=version,
        dates=array("l", ordinals),
        opens=array("q", [row.opened for row in rows]),
        closes=array("q", [row.closed for row in rows]),
        breaks={index: row.pause for index, row in enumerate(rows) if row.pause is not None},
        early=frozenset(index for index, row in enumerate(rows) if row.early),
        late=frozenset(index for index, row in enumerate(rows) if row.late),
        notes=notes,
    )
