"""MarketWalk: bars as the instants at which something about them becomes known.

A bar tells two things. When it ends, all of it is known (a *closing*). When it
starts, its first price is (an *opening*). At one instant closings come before
the tasks of that instant and openings after them: a decision taken on a bar's
close trades at the open of the next, also where that open is the same instant.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from closingbell.core.bar import BarSource, Slice

#: Phases within one instant; tasks run between them.
CLOSING, OPENING = 0, 1


class MarketMoment(NamedTuple):
    """Bars of which something becomes known at `at`; `phase` is CLOSING or OPENING."""

    at: int
    phase: int
    slice: Slice


class MarketWalk:
    """The moments of a source's bars, in order, read ahead by one slice only."""

    def __init__(
        self,
        source: BarSource,
        timeframe: str,
        start: int,
        end: int,
        symbols: Iterable[str] | None = None,
    ) -> None:
        """Begin before the first moment.

        Args:
            source: where bars come from.
            timeframe: which bars.
            start: only bars that start at or after it, in microseconds.
            end: only bars that start before it.
            symbols: only these; None = all.
        """
        self._slices: Iterator[Slice] = source.slices(timeframe, start, end, symbols)
        self._heap: list[tuple[int, int, int, Slice]] = []
        self._count = 0
        self._pull()

    def _pull(self) -> None:
        part = next(self._slices, None)
        if part is not None:
            self._count += 1
            heapq.heappush(self._heap, (part.start, OPENING, self._count, part))

    def peek(self) -> tuple[int, int] | None:
        """Return (instant, phase) of the next moment, or None after the last."""
        return self._heap[0][:2] if self._heap else None

    def pop(self) -> MarketMoment:
        """Return the next moment and go on."""
        at, phase, number, part = self._heap[0]
        if phase == CLOSING:
            heapq.heappop(self._heap)
        else:
            heapq.heapreplace(self._heap, (part.end, CLOSING, number, part))
            self._pull()
        return MarketMoment(at, phase, part)
