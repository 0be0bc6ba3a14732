"""MarketWalk: bars as the instants at which something about them becomes known.

A bar tells two things. When it ends, all of it is known (a *closing*). When it
starts, its first price is (an *opening*). At one instant closings come before
the tasks of that instant and openings after them: a decision taken on a bar's
close trades at the open of the next, also where that open is the same instant.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from heapq import heappop, heappush
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
    """The moments of a source's bars, in order, read ahead by one slice only.

    Attributes:
        ahead: the next moment; None after the last.
    """

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
        self._moments = _moments(source.slices(timeframe, start, end, symbols))
        self.ahead = next(self._moments, None)

    def peek(self) -> tuple[int, int] | None:
        """Return (instant, phase) of the next moment, or None after the last."""
        return None if self.ahead is None else self.ahead[:2]

    def step(self) -> MarketMoment | None:
        """Go on, and return what is next then."""
        self.ahead = ahead = next(self._moments, None)
        return ahead

    def pop(self) -> MarketMoment:
        """Return the next moment and go on.

        Raises:
            IndexError: there is none.
        """
        moment = self.ahead
        if moment is None:
            raise IndexError("the walk is over")
        self.ahead = next(self._moments, None)
        return moment

    def take(self, at: int, phase: int) -> list[Slice]:
        """Return everything of one phase of one instant, and go on; empty if nothing of it is next."""
        parts: list[Slice] = []
        ahead = self.ahead
        while ahead is not None and ahead[0] == at and ahead[1] == phase:
            parts.append(ahead[2])
            ahead = next(self._moments, None)
        self.ahead = ahead
        return parts


def _moments(slices: Iterator[Slice]) -> Iterator[MarketMoment]:
    # Bars of one source may overlap (an hour that a venue cut short, symbols with other hours).
    under_way: list[tuple[int, int, Slice]] = []
    new = tuple.__new__
    for number, part in enumerate(slices):
        start = part[0]
        while under_way and under_way[0][0] <= start:
            end, _, over = heappop(under_way)
            yield new(MarketMoment, (end, CLOSING, over))
        yield new(MarketMoment, (start, OPENING, part))
        heappush(under_way, (part[1], number, part))
    while under_way:
        end, _, over = heappop(under_way)
        yield new(MarketMoment, (end, CLOSING, over))
