"""Session: instants of the trading day, as the venue's own calendar has it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any

from closingbell.core.error import TriggerError
from closingbell.scheduler.calendar import Calendar
from closingbell.scheduler.calendar_book import CalendarBook, current_book
from closingbell.scheduler.local_time import local_text, require_utc, zone
from closingbell.scheduler.session_grid import FiringGrid, Outside, firing_grid
from closingbell.scheduler.session_rule import SessionRule, parse_session_rule


@lru_cache(maxsize=1024)
def _rule(text: str) -> SessionRule:
    return parse_session_rule(text, str)


@lru_cache(maxsize=256)
def _grid(text: str, outside: Outside, book: CalendarBook) -> FiringGrid:
    rule = _rule(text)
    return firing_grid(rule, outside, tuple(book.calendar(venue) for venue in rule.venues))


@dataclass(frozen=True, init=False)
class Session:
    """Fires at points of a venue's trading sessions: early closes, breaks and holidays count.

    The rule is written as VENUES [all|any|overlap] [ORDINAL-of-PERIOD] POINT:

    - `XNYS open+5m`, `XNYS close-15m`: each session, at or around an edge. Edges are
      open, close, break-start (break) and break-end (resume); a session without a
      break has no firing for the last two.
    - `XNYS every 15m [from open+30m] [to close-5m]`: within each session, breaks left
      out. The grid starts at the open (or at `from`) and anew when trading resumes;
      `from` and `to` themselves count, without `to` the close does not. An empty window
      has no firing.
    - `XNYS first-of-month open`, `XNYS last-of-week close-30m`: first to fifth, last,
      second-last ... session of each week (Monday to Sunday), month, quarter or year.
    - `XNYS+XLON all open`: on dates that are sessions of all, when the last of them gets
      there. `any`: on dates that are a session of at least one, when the first of those
      gets there; `any every` runs while at least one is open.
    - `XNYS+XLON overlap open|close|every 30m`: the time in which all are open at once; the
      first venue's session gives the date, several spans make breaks.

    An offset into the session stays within it: `close-4h` of a session of 3.5 hours fires
    at its open, `open+5h` at its close, and around a break neither passes the break's
    other end (`outside="skip"`: no firing). For several venues the session runs from the
    first open to the last close. Offsets before the open and after the close are taken as
    they are, and an offset counts breaks as time.

    Clock changes: sessions keep the venue's local clock; offsets and steps are real time.
    Beyond `knowledge_end()` nothing is known and `next_after` gives None: an unknown day
    never counts as open.

    Args:
        rule: the rule; venue aliases ('NYSE') are written out.
        outside: 'clamp' or 'skip', what becomes of an offset that leaves its session.

    Raises:
        TriggerError: the rule cannot be read.
        CalendarError: a venue is unknown.
    """

    rule: str
    outside: Outside = "clamp"

    def __init__(self, rule: str, *, outside: str = "clamp") -> None:
        parsed = parse_session_rule(rule, current_book().canonical)
        if outside not in ("clamp", "skip"):
            raise TriggerError("outside", outside, "'clamp' or 'skip'")
        object.__setattr__(self, "rule", str(parsed))
        object.__setattr__(self, "outside", outside)

    @property
    def venues(self) -> tuple[str, ...]:
        """The venues' own names, in the order given."""
        return _rule(self.rule).venues

    def next_after(self, instant: datetime) -> datetime | None:
        """Return the first known firing after `instant`, in UTC.

        Returns:
            None where no further firing is known: compare `knowledge_end()`.
        """
        if instant.tzinfo is None:
            instant = require_utc(instant)
        found = self._firings().next_after(math.floor(instant.timestamp()))
        return None if found is None else datetime.fromtimestamp(found, UTC)

    def session_date(self, fire_at: datetime) -> date | None:
        """Return the trading date of the session that a firing belongs to, or None.

        Args:
            fire_at: an instant; None is the answer if the rule does not fire at it.
        """
        run = self._run_of(fire_at)
        return None if run is None else date.fromordinal(self._firings().dates[run])

    def knowledge_end(self) -> datetime:
        """Return the instant (UTC) up to which the calendars of all venues are known."""
        return min(calendar.knowledge_end() for calendar in self._calendars())

    def explain(self, fire_at: datetime) -> str:
        """Say in one line why the rule names `fire_at`, with what is special about the day."""
        moment = require_utc(fire_at)
        where = zone(self._calendars()[0].timezone)
        day = self.session_date(moment)
        if day is None:
            return f"{self.rule}: no firing at {local_text(moment, where)}"
        rule = _rule(self.rule)
        text = f"{'+'.join(rule.venues)} session {day}, {rule.spoken_point()}"
        run = self._run_of(moment)
        if run in self._firings().clamped:
            text += "; moved to stay within the session"
        notes = [note for note in self.special_hours(day) if note]
        return "; ".join([text, *notes])

    def special_hours(self, day: date) -> list[str]:
        """Say what is special about a date at each venue: early close, late open, extra session."""
        notes = []
        for calendar in self._calendars():
            if calendar.known_from <= day <= calendar.known_until and calendar.is_session(day):
                note = calendar.special_hours(calendar.session(day))
                if note is not None:
                    notes.append(note if len(self.venues) == 1 else f"{calendar.venue} {note}")
        return notes

    def idle_days(self, after: datetime, before: datetime) -> Iterator[tuple[date, str]]:
        """Yield the dates between two instants on which one would expect a firing, and why none is.

        Days off of every week are expected to be idle; rules such as first-of-month
        are expected to be idle on most days, and yield nothing.
        """
        if _rule(self.rule).which:
            return
        grid = self._firings()
        fired = set(grid.dates)
        where = zone(self._calendars()[0].timezone)
        previous, following = self.session_date(after), self.session_date(before)
        # A session may open on the evening before its date, so dates are what counts.
        first = (
            require_utc(after).astimezone(where).toordinal()
            if previous is None
            else previous.toordinal() + 1
        )
        last = (
            require_utc(before).astimezone(where).toordinal()
            if following is None
            else following.toordinal() - 1
        )
        for ordinal in range(max(first, grid.known_from), min(last, grid.known_until) + 1):
            if ordinal not in fired and (reason := self._idle_reason(date.fromordinal(ordinal))):
                yield date.fromordinal(ordinal), reason

    def describe(self) -> str:
        """Say the rule in plain English."""
        return _rule(self.rule).spoken()

    def to_dict(self) -> dict[str, Any]:
        """Return the rule as JSON values; `trigger_from_dict` reads them back."""
        return {"kind": "session", "rule": self.rule, "outside": self.outside}

    def _calendars(self) -> tuple[Calendar, ...]:
        book = current_book()
        return tuple(book.calendar(venue) for venue in _rule(self.rule).venues)

    def _firings(self) -> FiringGrid:
        return _grid(self.rule, self.outside, current_book())

    def _run_of(self, fire_at: datetime) -> int | None:
        seconds = require_utc(fire_at).timestamp()
        return self._firings().run_of(int(seconds)) if seconds == int(seconds) else None

    def _idle_reason(self, day: date) -> str | None:
        closed = [(c.venue, c.closure_reason(day), c) for c in self._calendars()]
        if all(reason is not None and day.weekday() not in c.weekdays for _, reason, c in closed):
            return None
        reasons = [f"{venue} {reason}" for venue, reason, _ in closed if reason is not None]
        if reasons:
            return ", ".join(reasons)
        notes = self.special_hours(day)
        why = f" ({'; '.join(notes)})" if notes else ""
        if _rule(self.rule).edge is None or self.outside == "skip":
            return f"the rule's time lies outside the session{why}"
        return f"the session has no such edge{why}"
