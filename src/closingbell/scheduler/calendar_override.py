"""The user's own word on calendars: a TOML file merged on top of the frozen table.

[calendars.XNYS]
closed = [2026-12-28, {date = 2026-12-29, name = "data centre move"}]
known_until = 2029-12-31              # go on with the regular hours up to here

[[calendars.XNYS.session]]            # other hours, or a session on a day off
date = 2026-12-31
close = "13:00"                       # open, close, break default to the regular hours
name = "half day"

[calendars.DESK]                      # a venue of one's own
timezone = "Europe/Amsterdam"         # or: like = "XAMS", a copy to change
open = "08:00"                        # later than close: it opens the evening before
close = "18:00"
break = ["12:00", "13:00"]
days = "MON-FRI"
known_from = 2020-01-01
known_until = 2030-12-31
closed = [2026-12-25]
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from closingbell.core.error import CalendarError, DefinitionError, near_name
from closingbell.scheduler.calendar import Calendar, RegularHours
from closingbell.scheduler.local_time import zone_name
from closingbell.scheduler.trigger_text import parse_time_of_day, parse_weekdays

if TYPE_CHECKING:
    from closingbell.scheduler.calendar_book import CalendarBook

_OWN_KEYS = ("timezone", "open", "close", "break", "days", "known_from")
_KEYS = ("like", "closed", "session", "known_until", *_OWN_KEYS)
_SESSION_KEYS = ("date", "open", "close", "break", "name")
_WITHOUT_HOURS = ("24/7", "24/5")


@dataclass(frozen=True)
class SessionOverride:
    """Hours of one date; None means the regular ones."""

    date: date
    open: time | None = None
    close: time | None = None
    pause: tuple[time, time] | None = None
    name: str | None = None


@dataclass(frozen=True)
class OwnVenue:
    """A venue of the user's own that is not made like another."""

    timezone: str
    hours: RegularHours
    days: tuple[int, ...]


@dataclass(frozen=True)
class VenueOverride:
    """What the file says about one venue."""

    venue: str
    like: str | None = None
    closed: Mapping[date, str | None] = field(default_factory=dict)
    sessions: tuple[SessionOverride, ...] = ()
    known_until: date | None = None
    own: OwnVenue | None = None


@dataclass(frozen=True)
class CalendarOverrides:
    """A whole overrides file, read and checked.

    Attributes:
        digest: eight hex digits of its content's sha256; part of `calendar_version`.
    """

    by_venue: Mapping[str, VenueOverride]
    digest: str

    @property
    def venues(self) -> tuple[str, ...]:
        """The venues that the file names."""
        return tuple(self.by_venue)

    @classmethod
    def read(cls, path: Path) -> CalendarOverrides:
        """Read an overrides file.

        Raises:
            CalendarError: it cannot be read, is no TOML, or holds what cannot be.
        """
        import tomllib

        try:
            text = path.read_text(encoding="utf-8")
            content = tomllib.loads(text)
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as problem:
            raise CalendarError("*", f"overrides file {path.name}: {problem}") from None
        return cls.parse(content)

    @classmethod
    def parse(cls, content: Mapping[str, Any]) -> CalendarOverrides:
        """Read the content of an overrides file: a mapping with a table `calendars`.

        Raises:
            CalendarError: it holds what cannot be.
        """
        import hashlib
        import json

        from closingbell.scheduler.calendar_book import CalendarBook

        tables = content.get("calendars")
        if not isinstance(tables, Mapping):
            raise CalendarError("*", "the overrides file needs tables such as [calendars.XNYS]")
        plain = CalendarBook()
        by_venue = {}
        for given, table in tables.items():
            try:
                venue = plain.canonical(given)
            except CalendarError:
                venue = given.strip().upper()
            if not isinstance(table, Mapping):
                raise CalendarError(given, f"expected a table, found {table!r}")
            if venue in _WITHOUT_HOURS:
                raise CalendarError(
                    given, "a venue that trades around the clock has no hours to set"
                )
            if venue in by_venue:
                raise CalendarError(given, f"{venue} is named twice in the overrides file")
            if not venue or any(mark in venue for mark in "+ \t\n"):
                raise CalendarError(given, "a venue's name has no blanks and no '+'")
            by_venue[venue] = _VenueReader(venue, table, plain).read()
        text = json.dumps(content["calendars"], sort_keys=True, default=str)
        return cls(by_venue, hashlib.sha256(text.encode()).hexdigest()[:8])

    def applied(self, venue: str, frozen: Calendar | None, book: CalendarBook) -> Calendar:
        """Merge what the file says about a venue with its frozen calendar.

        Raises:
            CalendarError: the sessions would overlap, or a closed day is none of theirs.
        """
        from closingbell.scheduler.calendar_merge import empty_calendar, merged

        override = self.by_venue[venue]
        ground = frozen
        if override.like is not None:
            ground = book.frozen(book.canonical(override.like))
        if override.own is not None:
            ground = empty_calendar(venue, override.own)
        if ground is None:
            raise CalendarError(venue, "the overrides file gives it no hours")
        return merged(override, ground, f"{ground.version}+{self.digest}")


class _VenueReader:
    """Reads one table of the file, with errors that name the key."""

    def __init__(self, venue: str, table: Mapping[str, Any], plain: CalendarBook) -> None:
        self._venue = venue
        self._table = table
        self._plain = plain

    def read(self) -> VenueOverride:
        self._only(self._table, _KEYS)
        known = self._venue in self._plain.venues
        like = self._table.get("like")
        if like is not None:
            like = self._plain.canonical(like)
        if known or like is not None:
            for key in _OWN_KEYS:
                if key in self._table:
                    raise self._wrong(key, "only a venue of your own without 'like' sets it")
        if known and like is not None:
            raise self._wrong("like", "only a venue of your own is made like another")
        own = None
        if not known and like is None:
            for key in ("timezone", "open", "close", "known_from", "known_until"):
                if key not in self._table:
                    raise CalendarError(
                        self._venue,
                        f"an own venue needs {key} (or like = 'XNYS'); "
                        "known venues have a MIC such as 'XNYS'",
                    )
            pause = self._pause(self._table)
            hours = RegularHours(
                self._date("known_from"),
                self._clock(self._table, "open"),
                self._clock(self._table, "close"),
                *(pause or (None, None)),
            )
            own = OwnVenue(self._zone(), hours, self._days())
        return VenueOverride(
            venue=self._venue,
            like=like,
            closed=self._closed(),
            sessions=self._sessions(),
            known_until=self._date("known_until") if "known_until" in self._table else None,
            own=own,
        )

    def _wrong(self, key: str, problem: str) -> CalendarError:
        return CalendarError(self._venue, f"overrides file, {key}: {problem}")

    def _only(self, table: Mapping[str, Any], keys: tuple[str, ...]) -> None:
        for key in table:
            if key not in keys:
                near = near_name(key, keys)
                hint = f"did you mean {near!r}?" if near else f"expected one of {', '.join(keys)}"
                raise self._wrong(key, f"unknown key; {hint}")

    def _zone(self) -> str:
        try:
            return zone_name(self._table["timezone"])
        except DefinitionError as problem:
            raise self._wrong("timezone", str(problem)) from None

    def _days(self) -> tuple[int, ...]:
        try:
            days = parse_weekdays(self._table.get("days"))
        except DefinitionError as problem:
            raise self._wrong("days", str(problem)) from None
        return tuple(range(7)) if days is None else days

    def _clock(self, table: Mapping[str, Any], key: str) -> time:
        try:
            clock = parse_time_of_day(table[key])
        except DefinitionError as problem:
            raise self._wrong(key, str(problem)) from None
        if clock.microsecond:
            raise self._wrong(key, "expected whole seconds")
        return clock

    def _pause(self, table: Mapping[str, Any]) -> tuple[time, time] | None:
        given = table.get("break")
        if given is None:
            return None
        if not isinstance(given, list) or len(given) != 2:
            raise self._wrong("break", f"expected ['12:00', '13:00'], found {given!r}")
        start, end = (self._clock({"break": clock}, "break") for clock in given)
        return start, end

    def _plain_date(self, given: object, key: str) -> date:
        if isinstance(given, str):
            with suppress(ValueError):
                given = date.fromisoformat(given)
        if isinstance(given, date) and not isinstance(given, datetime):
            return given
        raise self._wrong(key, f"expected a date such as 2026-12-24, found {given!r}")

    def _date(self, key: str) -> date:
        return self._plain_date(self._table[key], key)

    def _closed(self) -> dict[date, str | None]:
        given = self._table.get("closed", [])
        if not isinstance(given, list):
            raise self._wrong("closed", f"expected a list of dates, found {given!r}")
        closed: dict[date, str | None] = {}
        for entry in given:
            if isinstance(entry, Mapping):
                self._only(entry, ("date", "name"))
                name = entry.get("name")
                if name is not None and not isinstance(name, str):
                    raise self._wrong("closed", f"expected a name as text, found {name!r}")
                closed[self._plain_date(entry.get("date"), "closed")] = name
            else:
                closed[self._plain_date(entry, "closed")] = None
        return closed

    def _sessions(self) -> tuple[SessionOverride, ...]:
        given = self._table.get("session", [])
        if not isinstance(given, list) or not all(isinstance(row, Mapping) for row in given):
            raise self._wrong("session", "expected tables such as [[calendars.XNYS.session]]")
        rows = []
        for row in given:
            self._only(row, _SESSION_KEYS)
            name = row.get("name")
            if name is not None and not isinstance(name, str):
                raise self._wrong("session", f"expected a name as text, found {name!r}")
            rows.append(
                SessionOverride(
                    date=self._plain_date(row.get("date"), "session.date"),
                    open=self._clock(row, "open") if "open" in row else None,
                    close=self._clock(row, "close") if "close" in row else None,
                    pause=self._pause(row),
                    name=name,
                )
            )
        return tuple(rows)
