"""Benchmark: what holding the same symbols would have brought."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from closingbell.core.amount import ZERO
from closingbell.core.bar import BarSource, Split
from closingbell.trading.walk import OPENING, MarketWalk


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
    share = cash / len(chosen)
    held: dict[str, Decimal] = {}
    prices: dict[str, Decimal] = {}
    idle = cash
    points = []
    walk = MarketWalk(source, timeframe, instants[0], instants[-1], chosen)
    for instant in instants:
        # A closing of the instant itself is known at it; an opening is not.
        while (following := walk.peek()) is not None and following < (instant, OPENING):
            moment = walk.pop()
            if moment.phase != OPENING:
                prices.update((bar.symbol, bar.close) for bar in moment.slice.bars)
                continue
            for action in moment.slice.actions:
                quantity = held.get(action.symbol, ZERO)
                if isinstance(action, Split):
                    held[action.symbol] = quantity * action.ratio
                else:
                    idle += quantity * action.amount
            for bar in moment.slice.bars:
                prices[bar.symbol] = bar.open
                if bar.symbol not in held or not held[bar.symbol]:
                    held[bar.symbol] = share / bar.open
                    idle -= share
        worth = sum((held[symbol] * prices[symbol] for symbol in sorted(held)), ZERO)
        points.append(BenchmarkPoint(instant, idle + worth, cash, worth))
    return Benchmark(name, tuple(points))
