"""Venues: the ends of their sessions, when accounts tell their day and are worth a point."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from datetime import date

from closingbell.core.clock import from_micros
from closingbell.core.error import BacktestError, CalendarError
from closingbell.scheduler.calendar_book import get_calendar
from closingbell.simulation.moment import DAILY_CLOSE, SNAPSHOT, Moment
from closingbell.simulation.timeline import Timeline
from closingbell.trading.desk import Desk

_SECOND = 1_000_000


class Venue:
    """The sessions of one calendar within the window.

    Attributes:
        calendar: its name, as accounts write it.
        accounts: the names of its accounts.
        closed_at: the last session's end so far, or None.
    """

    def __init__(
        self, calendar: str, accounts: list[str], desk: Desk, timeline: Timeline, start: int
    ) -> None:
        """Find its sessions.

        Raises:
            BacktestError: the calendar is unknown, or does not know the whole window.
        """
        self.calendar = calendar
        self.accounts = accounts
        self.closed_at: int | None = None
        self._desk = desk
        self._timeline = timeline
        self._closes = self._sessions(start, timeline.end)
        self._date = ""

    def _sessions(self, start: int, end: int) -> Iterator[tuple[int, str]]:
        try:
            known = get_calendar(self.calendar)
        except CalendarError as problem:
            raise BacktestError(
                f"the calendar of account {self.accounts[0]!r}", self.calendar, str(problem)
            ) from problem
        first, last = from_micros(start).date(), from_micros(end).date()
        if not (known.known_from <= first and last <= known.known_until):
            raise BacktestError(
                "the window",
                f"{first} to {last}",
                f"one from {known.known_from} to {known.known_until}, which calendar "
                f"{self.calendar!r} knows; or give the account calendar='24/7'",
            )
        closes = known.closes
        low = bisect_right(closes, start // _SECOND)
        high = bisect_left(closes, end // _SECOND + 1)
        return (
            (closes[index] * _SECOND, date.fromordinal(known.dates[index]).isoformat())
            for index in range(low, high)
        )

    def begin(self) -> None:
        """Put the next end of a session on the timeline."""
        following = next(self._closes, None)
        if following is not None:
            at, self._date = following
            self._timeline.add(at, DAILY_CLOSE, self._close, name=self.calendar)

    def _close(self, moment: Moment) -> None:
        at = self.closed_at = moment[0]
        self._desk.daily_close(at, self.calendar, self._date)
        self._timeline.add(at, SNAPSHOT, self._snapshot, name=self.calendar)

    def _snapshot(self, moment: Moment) -> None:
        self._desk.snapshot(moment[0], self.accounts)
        self.begin()
