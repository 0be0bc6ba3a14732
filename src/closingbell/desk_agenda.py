"""DeskAgenda: what passes a live desk, in order: bars that end, days that end, bars that start.

closing      bars that end at an instant
daily close  venues that close at it
             (tasks)
snapshot     of accounts whose venue has closed
opening      bars that start at it
"""

from __future__ import annotations

from bisect import bisect_right
from datetime import date

from closingbell.core.bar import BarSource, Slice, timeframe_seconds
from closingbell.trading import walk
from closingbell.trading.desk import Desk
from closingbell.trading.walk import MarketWalk

#: The order within one instant. Tasks come between the second and the third.
CLOSING, DAILY_CLOSE, SNAPSHOT, OPENING = 1, 2, 4, 5
_EVER = 1 << 62
_SECOND = 1_000_000


class DeskAgenda:
    """The steps of the accounts of one desk, from an instant on."""

    def __init__(
        self,
        desk: Desk,
        source: BarSource,
        since: int,
        closed_until: int,
        before: DeskAgenda | None = None,
    ) -> None:
        """Find the first step.

        Args:
            desk: what is walked past; each account leaves out what it has seen already.
            source: of the bars.
            since: bars are walked from here on: the earliest cursor of an account.
            closed_until: ends of days are told after this instant.
            before: the agenda that this one follows, with what it has left to do.
        """
        self._desk = desk
        accounts = desk.accounts.values()
        timeframes = sorted({a.terms.timeframe for a in accounts if a.broker.matches})
        self._walks = {t: _walk_from(source, t, since) for t in timeframes}
        self._venues = [_Venue(name, closed_until) for name in {a.terms.calendar for a in accounts}]
        self._snapshots: list[tuple[int, list[str]]] = [] if before is None else before._snapshots
        self._taken: tuple[tuple[int, int], dict[str, list[Slice]]] | None = None
        self._ended: set[str] = set()
        #: Ends of days are told up to this instant.
        self.closed_until = closed_until

    def peek(self) -> tuple[int, int] | None:
        """Return (instant, step) of what comes next, or None when nothing does."""
        if self._taken is not None:
            return self._taken[0]
        coming = [
            (ahead[0], CLOSING if ahead[1] == walk.CLOSING else OPENING)
            for steps in self._walks.values()
            if (ahead := steps.peek()) is not None
        ]
        coming += [(venue.closes_at, DAILY_CLOSE) for venue in self._venues if venue.closes_at]
        coming += [(at, SNAPSHOT) for at, _ in self._snapshots]
        return min(coming, default=None)

    def perform(self) -> None:
        """Do what comes next. What fails is done again by the next call, or the next agenda."""
        following = self.peek()
        if following is None:
            return
        at, step = following
        if step == DAILY_CLOSE:
            self._close_days(at)
        elif step == SNAPSHOT:
            due = [name for when, names in self._snapshots if when == at for name in names]
            self._desk.snapshot(at, due)
            self._snapshots = [one for one in self._snapshots if one[0] != at]
        else:
            if self._taken is None:
                self._taken = following, self._take(at, step)
            act = self._desk.closing if step == CLOSING else self._desk.opening
            for timeframe, slices in self._taken[1].items():
                act(at, slices, timeframe)
            self._taken = None

    def tell_ends(self) -> None:
        """Tell the desk of which timeframes no more bars will come, as far as is known."""
        for timeframe, steps in self._walks.items():
            if steps.peek() is None and timeframe not in self._ended:
                self._desk.end_of_data(
                    [
                        name
                        for name, account in self._desk.accounts.items()
                        if account.terms.timeframe == timeframe and account.broker.matches
                    ]
                )
                self._ended.add(timeframe)

    def _take(self, at: int, step: int) -> dict[str, list[Slice]]:
        """Take the slices of one moment off the walks, by timeframe."""
        moment = (at, walk.CLOSING if step == CLOSING else walk.OPENING)
        taken: dict[str, list[Slice]] = {}
        for timeframe, steps in self._walks.items():
            while steps.peek() == moment:
                taken.setdefault(timeframe, []).append(steps.pop()[2])
        return taken

    def _close_days(self, at: int) -> None:
        for venue in self._venues:
            if venue.closes_at == at:
                self._desk.daily_close(at, venue.name, venue.session_date)
                accounts = self._desk.accounts.items()
                self._snapshots.append(
                    (at, [name for name, a in accounts if a.terms.calendar == venue.name])
                )
                venue.advance()
        self.closed_until = at


class _Venue:
    """The ends of the sessions of one calendar; `closes_at` is 0 when no more are known."""

    def __init__(self, name: str, after: int) -> None:
        from closingbell.scheduler.calendar_book import get_calendar

        self.name = name
        self._calendar = get_calendar(name)
        self._index = bisect_right(self._calendar.closes, after // _SECOND) - 1
        self.advance()

    def advance(self) -> None:
        """Go on to the next end of a session."""
        self._index += 1
        known = self._index < len(self._calendar.closes)
        self.closes_at = self._calendar.closes[self._index] * _SECOND if known else 0

    @property
    def session_date(self) -> str:
        """The date of the session that ends next, ISO."""
        return date.fromordinal(self._calendar.dates[self._index]).isoformat()


def _walk_from(source: BarSource, timeframe: str, since: int) -> MarketWalk:
    """Return a walk whose next moment is the first after an instant.

    Bars that have started by then are in it, with their ends.
    """
    longest = timeframe_seconds(timeframe) * _SECOND
    steps = MarketWalk(source, timeframe, since - longest, _EVER)
    while (ahead := steps.peek()) is not None and ahead[0] < since:
        steps.pop()
    return steps
