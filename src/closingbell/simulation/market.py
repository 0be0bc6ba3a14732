"""Market: the bars of a simulation, handed to the desk at the instants at which they are known."""

from __future__ import annotations

from collections.abc import Iterable

from closingbell.core.bar import BarSource, Slice
from closingbell.simulation.moment import AFTER_OPENING, CLOSING, OPENING, Moment
from closingbell.simulation.record import Record
from closingbell.simulation.timeline import Timeline
from closingbell.trading import walk
from closingbell.trading.desk import Desk
from closingbell.trading.walk import MarketWalk


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
        self._walks = [
            (timeframe, MarketWalk(source, timeframe, start, end, symbols))
            for timeframe in sorted(timeframes)
        ]

    def begin(self) -> None:
        """Put the first moment on the timeline."""
        coming = [ahead for _, steps in self._walks if (ahead := steps.peek()) is not None]
        if coming:
            at, phase = min(coming)
            rank = CLOSING if phase == walk.CLOSING else OPENING
            self._timeline.add(at, rank, self._move)

    def _move(self, moment: Moment) -> None:
        """Tell the desk all that becomes known in this phase of this instant."""
        at, rank = moment[0], moment[1]
        wanted = (at, walk.CLOSING if rank == CLOSING else walk.OPENING)
        events = self._events
        following: tuple[int, int] | None = None
        for timeframe, steps in self._walks:
            ahead = steps.peek()
            parts: list[Slice] = []
            while ahead == wanted:
                parts.append(steps.pop()[2])
                ahead = steps.peek()
            if ahead is not None and (following is None or ahead < following):
                following = ahead
            if not parts:
                continue
            self.moved_at[timeframe] = at
            events.market += len(parts)
            if rank == CLOSING:
                self._desk.closing(at, parts, timeframe)
                continue
            self._timeline.task_rank = AFTER_OPENING
            for part in parts:
                events.bars += len(part[2])
            self._desk.opening(at, parts, timeframe)
        if following is not None:
            rank = CLOSING if following[1] == walk.CLOSING else OPENING
            self._timeline.add(following[0], rank, self._move)

    def moved_since(self, timeframe: str, instant: int | None) -> bool:
        """Whether bars of a timeframe moved prices after an instant (None = at all)."""
        at = self.moved_at.get(timeframe)
        return at is not None and (instant is None or at > instant)
