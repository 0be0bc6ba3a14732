"""CalendarBook: every venue that this process knows, frozen table and overrides together."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from closingbell.core.error import CalendarError, near_name
from closingbell.scheduler.calendar import Calendar, always_open
from closingbell.scheduler.local_time import require_utc, zone

if TYPE_CHECKING:
    from pathlib import Path

    from closingbell.scheduler.calendar_override import CalendarOverrides

ALWAYS_OPEN = "24/7"
# Everyday names on top of those of the source.
_ALIASES = {"CRYPTO": ALWAYS_OPEN, "ALWAYS": ALWAYS_OPEN, "XETRA": "XETR"}


@dataclass(frozen=True)
class EndingCalendar:
    """A calendar that ends soon, or has ended: `days_left` is then negative."""

    venue: str
    known_until: date
    days_left: int


@dataclass(frozen=True)
class KnownVenue:
    """A venue that rules may name; `overridden`: the user's own file changes it."""

    venue: str
    aliases: tuple[str, ...]
    overridden: bool


class CalendarBook:
    """The calendars of a process; decoded on first use, then kept.

    Args:
        overrides: what the user's overrides file says, merged on top of the table.
    """

    def __init__(self, overrides: CalendarOverrides | None = None) -> None:
        from closingbell.scheduler.calendar_table import CalendarTable

        self._table = CalendarTable()
        self._overrides = overrides
        self._calendars: dict[str, Calendar] = {}
        aliases = {**self._table.aliases, **_ALIASES}
        self._names: dict[str, str] = {name.upper(): venue for name, venue in aliases.items()}
        own = () if overrides is None else overrides.venues
        for venue in (*self._table.venues, ALWAYS_OPEN, *own):
            self._names[venue.upper()] = venue
        if overrides is not None:
            for venue in overrides.venues:
                self.calendar(venue)

    @property
    def version(self) -> str:
        """The table's version, and the overrides' digest: '4.13.2-c285ec41+3f9a0c2e'."""
        digest = "" if self._overrides is None else f"+{self._overrides.digest}"
        return self._table.version + digest

    @property
    def venues(self) -> tuple[str, ...]:
        """The names of all calendars, without aliases."""
        return tuple(sorted(set(self._names.values())))

    def known(self) -> list[KnownVenue]:
        """Return every venue with its aliases, by name."""
        own = () if self._overrides is None else self._overrides.venues
        names: dict[str, list[str]] = {venue: [] for venue in self.venues}
        for name, venue in sorted(self._names.items()):
            if name != venue.upper():
                names[venue].append(name)
        return [KnownVenue(venue, tuple(names[venue]), venue in own) for venue in names]

    def canonical(self, venue: object) -> str:
        """Return the calendar's name for a name or alias, in any case.

        Raises:
            CalendarError: there is no such calendar; a near name is offered.
        """
        name = self._names.get(venue.strip().upper()) if isinstance(venue, str) else None
        if name is not None:
            return name
        near = near_name(str(venue).upper(), self._names)
        hint = f"did you mean {near!r}?" if near else "use a MIC such as 'XNYS' or 'XLON'"
        raise CalendarError(
            str(venue), f"unknown venue: {hint} (own venues come from the overrides file)"
        )

    def calendar(self, venue: str) -> Calendar:
        """Return the calendar of a venue or alias.

        Raises:
            CalendarError: there is no such calendar.
        """
        name = self.canonical(venue)
        found = self._calendars.get(name)
        if found is None:
            found = self._overridden(name)
            self._calendars[name] = found
        return found

    def frozen(self, venue: str) -> Calendar | None:
        """Return a venue's calendar without overrides, or None if only they know it."""
        if venue == ALWAYS_OPEN:
            return always_open(venue)
        return self._table.calendar(venue) if venue in self._table.venues else None

    def _overridden(self, name: str) -> Calendar:
        plain = self.frozen(name)
        if self._overrides is not None and name in self._overrides.venues:
            return self._overrides.applied(name, plain, self)
        if plain is None:
            raise CalendarError(name, "the calendar table has no such entry")
        return plain


_book: CalendarBook | None = None


def current_book() -> CalendarBook:
    """Return the process's calendars, loading the frozen table on first use."""
    global _book
    if _book is None:
        _book = CalendarBook()
    return _book


def load_overrides(path: Path | str | None) -> CalendarBook:
    """Merge an overrides file on top of the table, for this process; None takes it away.

    The file is read and checked whole before anything changes.

    Raises:
        CalendarError: the file cannot be read or a rule in it cannot work.
    """
    global _book
    overrides = None
    if path is not None:
        from pathlib import Path

        from closingbell.scheduler.calendar_override import CalendarOverrides

        overrides = CalendarOverrides.read(Path(path))
    _book = CalendarBook(overrides)
    return _book


def get_calendar(venue: str) -> Calendar:
    """Return the calendar of a venue: 'XNYS', 'NYSE', '24/7', 'CRYPTO', or one of the user's.

    Raises:
        CalendarError: there is no such calendar; a near name is offered.
    """
    return current_book().calendar(venue)


def known_venues() -> list[KnownVenue]:
    """Return every venue of this process with its aliases, by name."""
    return current_book().known()


def calendar_version() -> str:
    """Return the version of all calendars of this process, overrides' digest included."""
    return current_book().version


def ending_calendars(
    now: datetime, within_days: int = 45, venues: tuple[str, ...] | None = None
) -> list[EndingCalendar]:
    """Return the calendars that end within some days of `now`, the nearest first.

    Args:
        now: an aware datetime.
        within_days: how far ahead to look.
        venues: the calendars in use; all by default.

    Raises:
        CalendarError: a venue is unknown.
    """
    book = current_book()
    today = require_utc(now).astimezone(UTC)
    found = []
    for venue in book.venues if venues is None else venues:
        calendar = book.calendar(venue)
        days_left = (calendar.known_until - today.astimezone(zone(calendar.timezone)).date()).days
        if timedelta(days=days_left) <= timedelta(days=within_days):
            found.append(EndingCalendar(calendar.venue, calendar.known_until, days_left))
    return sorted(found, key=lambda ending: (ending.days_left, ending.venue))
