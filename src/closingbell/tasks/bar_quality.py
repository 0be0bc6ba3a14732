"""Bar quality: pure judgements of one symbol's bars."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from itertools import pairwise
from statistics import median
from typing import NamedTuple, Protocol


class Closing(Protocol):
    """A bar, as far as its close and its end go."""

    @property
    def end(self) -> datetime:
        """When it was over."""
        ...

    @property
    def close(self) -> Decimal:
        """Its last price."""
        ...


class Outlier(NamedTuple):
    """A close that is far from the one before; `change` is a fraction."""

    at: datetime
    change: float


def outliers(bars: Sequence[Closing], *, times: float, least: float) -> list[Outlier]:
    """Return moves between closes that stand out from all others.

    A move does when it is larger than `least`, and larger than `times` the median size of all
    moves: the median is not moved by the outliers themselves.

    Args:
        bars: oldest first, splits taken out.
        times: how often the median.
        least: a fraction.
    """
    moves = [
        Outlier(after.end, float(after.close / before.close) - 1.0)
        for before, after in pairwise(bars)
    ]
    if not moves:
        return []
    usual = median(abs(move.change) for move in moves)
    limit = max(least, times * usual)
    return [move for move in moves if abs(move.change) > limit]
