"""Market: the bars of a simulation, handed to the desk at the instants at which they are known."""

from __future__ import annotations

from collections.abc import Iterable
from heapq import heappush

from closingbell.core.bar import BarSource
from closingbell.simulation.moment import AFTER_OPENING, CLOSING, OPENING, Moment
from closingbell.simulation.record import Record
from closingbell.simulation.timeline import Timeline
from closingbell.trading import walk
from closingbell.trading.desk import Desk
from closingbell.trading.walk import MarketWalk

#: Ranks by the phase of a walk.
_RANKS = (CLOSING, OPENING)


class Market:
    """The walks through the bars of all timeframes that accounts follow.

    Attributes:
        moved_at: the instant of the last moment of each timeframe.
    """

    def __init__(
        self,
        desk: Desk,
        source: BarSource,
        timeframes: Iterable[str],
        start: int,
        end: int,
        symbols: Iterable[str] | None,
        timeline: Timeline,
        record: Record,
    ) -> None:
        self.moved_at: dict[str, int] = {}
        self._desk = desk
        self._timeline = timeline
        self._events = record.events
        self._moves = (self._close, self._open)
        self._walks = [
            (timeframe, MarketWalk(source, timeframe, start, end, symbols))
            for timeframe in sorted(timeframes)
        ]

    def begin(self) -> None:
        """Put the next moment on the timeline."""
        coming = [ahead for _, steps in self._walks if (ahead := steps.peek()) is not None]
        if coming:
            at, phase = min(coming)
            timeline = self._timeline
            heappush(
                timeline.moments,
                (at, _RANKS[phase], 0, "", "", timeline.next_number(), self._moves[phase]),
            )

    def _close(self, moment: Moment) -> None:
        """Tell the desk all bars that end at this instant."""
        at = moment[0]
        for timeframe, steps in self._walks:
            parts = steps.take(at, walk.CLOSING)
            if parts:
                self.moved_at[timeframe] = at
                self._events.market += len(parts)
                self._desk.closing(at, parts, timeframe)
        self.begin()

    def _open(self, moment: Moment) -> None:
        """Tell the desk all bars that start at this instant."""
        at, events = moment[0], self._events
        self._timeline.task_rank = AFTER_OPENING
        for timeframe, steps in self._walks:
            parts = steps.take(at, walk.OPENING)
            if parts:
                self.moved_at[timeframe] = at
                events.market += len(parts)
                for part in parts:
                    events.bars += len(part[2])
                self._desk.opening(at, parts, timeframe)
        self.begin()

    def moved_since(self, timeframe: str, instant: int | None) -> bool:
        """Whether bars of a timeframe moved prices after an instant (None = at all)."""
        at = self.moved_at.get(timeframe)
        return at is not None and (instant is None or at > instant)
