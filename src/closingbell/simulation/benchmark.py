"""Benchmark: what holding the same symbols would have brought."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from heapq import heappop, heappush
from typing import NamedTuple

from closingbell.core.amount import ZERO
from closingbell.core.bar import BarSource, Slice, Split


class BenchmarkPoint(NamedTuple):
    """The worth of a benchmark at one instant of the equity curve it stands beside."""

    at: int
    value: Decimal
    flows: Decimal
    exposure: Decimal


class Benchmark(NamedTuple):
    """A curve to compare with.

    Attributes:
        name: for people, such as "buy and hold AAPL".
        points: at the instants of the equity curve.
    """

    name: str
    points: tuple[BenchmarkPoint, ...]


def buy_and_hold(
    source: BarSource,
    symbols: Sequence[str],
    timeframe: str,
    instants: Sequence[int],
    cash: Decimal,
) -> Benchmark:
    """Return what `cash` becomes when it is spread evenly over symbols, bought once and held.

    Each symbol is bought at its first opening price in the window, in any fraction of a unit and
    without costs; until then its share stays in cash. Splits multiply what is held, dividends are
    kept in cash.

    Args:
        source: where bars come from.
        symbols: what to hold; prices are taken to be in one currency.
        timeframe: of the bars.
        instants: when to value it, in order; the first is the start of the window.
        cash: what to begin with.
    """
    chosen = sorted(set(symbols))
    name = f"buy and hold {', '.join(chosen[:5])}{' ...' if len(chosen) > 5 else ''}"
    if not instants or not chosen:
        return Benchmark(name, ())
    holding = _Holding(cash, cash / len(chosen))
    points = []
    ends: list[tuple[int, int, Slice]] = []
    waiting = iter(instants)
    instant = next(waiting)
    slices = source.slices(timeframe, instants[0], instants[-1], chosen)
    for number, part in enumerate(slices):
        # A closing of the instant itself is known at it; an opening is not.
        while instant <= part.start:
            holding.close(ends, instant)
            points.append(holding.point(instant, cash))
            if (following := next(waiting, None)) is None:
                return Benchmark(name, tuple(points))
            instant = following
        holding.close(ends, part.start)
        holding.open(part)
        heappush(ends, (part.end, number, part))
    for each in (instant, *waiting):
        holding.close(ends, each)
        points.append(holding.point(each, cash))
    return Benchmark(name, tuple(points))


class _Holding:
    """Cash, units and prices of what is held."""

    def __init__(self, cash: Decimal, share: Decimal) -> None:
        self._idle, self._share = cash, share
        self._held: dict[str, Decimal] = {}
        self._prices: dict[str, Decimal] = {}

    def open(self, part: Slice) -> None:
        """Take in corporate actions and opening prices; buy what is seen for the first time."""
        held, prices = self._held, self._prices
        for action in part.actions:
            quantity = held.get(action.symbol)
            if quantity is None:
                continue
            if isinstance(action, Split):
                held[action.symbol] = quantity * action.ratio
            else:
                self._idle += quantity * action.amount
        for bar in part.bars:
            prices[bar.symbol] = bar.open
            if bar.symbol not in held:
                held[bar.symbol] = self._share / bar.open
                self._idle -= self._share

    def close(self, ends: list[tuple[int, int, Slice]], until: int) -> None:
        """Take in the closing prices of what has ended by an instant."""
        prices = self._prices
        while ends and ends[0][0] <= until:
            for bar in heappop(ends)[2].bars:
                prices[bar.symbol] = bar.close

    def point(self, at: int, cash: Decimal) -> BenchmarkPoint:
        """Return what it is worth."""
        held = self._held
        worth = sum((held[symbol] * self._prices[symbol] for symbol in sorted(held)), ZERO)
        return BenchmarkPoint(at, self._idle + worth, cash, worth)
