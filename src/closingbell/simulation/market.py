"""Market: the bars of a simulation, handed to the desk at the instants at which they are known."""

from __future__ import annotations

from collections.abc import Iterable

from closingbell.core.bar import BarSource
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
        following = self._following()
        if following is not None:
            self._timeline.add(*following, self._move)

    def _following(self) -> tuple[int, int] | None:
        """Return the instant and rank of the next moment."""
        coming = [ahead[:2] for _, steps in self._walks if (ahead := steps.ahead) is not None]
        if not coming:
            return None
        at, phase = coming[0] if len(coming) == 1 else min(coming)
        return at, CLOSING if phase == walk.CLOSING else OPENING

    def _move(self, moment: Moment) -> None:
        """Tell the desk what becomes known, as long as nothing else comes first."""
        if len(self._walks) == 1:
            self._move_alone(*self._walks[0])
            return
        timeline, moments = self._timeline, self._timeline.moments
        at, rank = moment[0], moment[1]
        while True:
            self._tell(at, rank)
            following = self._following()
            if following is None:
                return
            if following >= moments[0][:2]:
                timeline.add(*following, self._move)
                return
            at, rank = following
            timeline.advance(at)

    def _move_alone(self, timeframe: str, steps: MarketWalk) -> None:
        """The same for one timeframe: a year of minutes has a million moments, so without detours."""
        timeline, events = self._timeline, self._events
        clock, moments = timeline.clock, timeline.moments
        closing, opening = self._desk.closing, self._desk.opening
        ahead = steps.ahead
        while ahead is not None:
            at, phase, part = ahead
            ahead = steps.step()
            parts = [part]
            while ahead is not None and ahead[0] == at and ahead[1] == phase:
                parts.append(ahead[2])
                ahead = steps.step()
            if phase == walk.CLOSING:
                closing(at, parts, timeframe)
            else:
                timeline.task_rank = AFTER_OPENING
                for part in parts:
                    events.bars += len(part[2])
                opening(at, parts, timeframe)
            events.market += len(parts)
            if ahead is None:
                self.moved_at[timeframe] = at
                return
            at = ahead[0]
            rank = CLOSING if ahead[1] == walk.CLOSING else OPENING
            first = moments[0]
            if at > first[0] or (at == first[0] and rank >= first[1]):
                self.moved_at[timeframe] = clock.at
                timeline.add(at, rank, self._move)
                return
            if at > clock.at:
                timeline.advance(at)

    def _tell(self, at: int, rank: int) -> None:
        closes = rank == CLOSING
        phase = walk.CLOSING if closes else walk.OPENING
        events, desk = self._events, self._desk
        if not closes:
            self._timeline.task_rank = AFTER_OPENING
        for timeframe, steps in self._walks:
            parts = steps.take(at, phase)
            if not parts:
                continue
            self.moved_at[timeframe] = at
            events.market += len(parts)
            if closes:
                desk.closing(at, parts, timeframe)
                continue
            for part in parts:
                events.bars += len(part[2])
            desk.opening(at, parts, timeframe)

    def moved_since(self, timeframe: str, instant: int | None) -> bool:
        """Whether bars of a timeframe moved prices after an instant (None = at all)."""
        at = self.moved_at.get(timeframe)
        return at is not None and (instant is None or at > instant)
