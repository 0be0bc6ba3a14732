"""Risk figures: pure functions from marks and prices to what a risk desk reads.

Amounts are Decimals in one currency; statistics of returns are floats. A short
position has a negative amount. Every function has an answer for an empty
account, and for one whose equity is 0 or below.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from itertools import combinations, pairwise

from closingbell.core.amount import ONE, ZERO
from closingbell.simulation import distribution

#: The weight of a position in an account that is worth nothing: above every limit.
INFINITE = Decimal("Infinity")


def gross_exposure(positions: Mapping[str, Decimal]) -> Decimal:
    """Return the worth of all positions, short ones counted as what they stand for."""
    return sum((abs(amount) for amount in positions.values()), ZERO)


def weights(positions: Mapping[str, Decimal], equity: Decimal) -> dict[str, Decimal]:
    """Return each position's share of the equity, short ones counted as what they stand for.

    Args:
        positions: their worth by symbol.
        equity: what the account is worth, cash and positions.

    Returns:
        Fractions. Where the equity is 0 or below no share can be told: a position then weighs
        `INFINITE`, which is above every limit, and an empty one 0.
    """
    if equity > 0:
        return {symbol: abs(amount) / equity for symbol, amount in positions.items()}
    return {symbol: INFINITE if amount else ZERO for symbol, amount in positions.items()}


def excess(weight: Decimal, limit: Decimal) -> Decimal:
    """Return the fraction of a position to close so that its weight falls to `limit`.

    0 within the limit; 1 for an infinite weight. Closing turns worth into cash and leaves the
    equity as it is, so the fraction is (weight - limit) / weight.
    """
    if weight <= limit:
        return ZERO
    if weight == INFINITE:
        return ONE
    return (weight - limit) / weight


def herfindahl(positions: Mapping[str, Decimal]) -> Decimal:
    """Return the sum of squared shares of the gross exposure.

    1 for a single position, 1/n for n equal ones, 0 for none. Its inverse is the number of
    positions that the account is as concentrated as (Herfindahl and Hirschman).
    """
    gross = gross_exposure(positions)
    if not gross:
        return ZERO
    return sum(((amount / gross) ** 2 for amount in positions.values()), ZERO)


def simple_returns(prices: Sequence[Decimal]) -> list[float]:
    """Return the relative changes from each price to the next, one fewer than prices.

    Raises:
        ValueError: a price is not above 0, so that no relative change can be told.
    """
    for price in prices:
        if price <= 0:
            raise ValueError(f"a return needs prices above 0, found {price}")
    return [float(after / before) - 1.0 for before, after in pairwise(prices)]


def correlation(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Return Pearson's correlation of two series of returns of the same days.

    Returns:
        From -1 to 1; None for fewer than two days, or when one of them never moved.

    Raises:
        ValueError: the series are not of one length.
    """
    if len(first) != len(second):
        raise ValueError(f"expected series of one length, found {len(first)} and {len(second)}")
    count = len(first)
    if count < 2:
        return None
    mean_1, mean_2 = math.fsum(first) / count, math.fsum(second) / count
    moves_1 = [value - mean_1 for value in first]
    moves_2 = [value - mean_2 for value in second]
    # Scaled, so that squares of very small returns do not vanish.
    scale_1, scale_2 = max(map(abs, moves_1)), max(map(abs, moves_2))
    # What is left of a constant series is rounding, not movement.
    if scale_1 <= 1e-14 * max(1.0, abs(mean_1)) or scale_2 <= 1e-14 * max(1.0, abs(mean_2)):
        return None
    moves_1 = [move / scale_1 for move in moves_1]
    moves_2 = [move / scale_2 for move in moves_2]
    shared = math.fsum(a * b for a, b in zip(moves_1, moves_2, strict=True))
    own_1 = math.fsum(move * move for move in moves_1)
    own_2 = math.fsum(move * move for move in moves_2)
    return max(-1.0, min(1.0, shared / math.sqrt(own_1 * own_2)))


def correlated_groups(
    positions: Mapping[str, Decimal], returns: Mapping[str, Sequence[float]], threshold: float
) -> list[tuple[str, ...]]:
    """Return the groups of positions that win and lose together.

    Two positions belong together when the correlation of what they earn is at least
    `threshold`; a short position earns when its price falls. Groups grow by every such pair.

    Args:
        positions: their worth by symbol.
        returns: by symbol, of the same days; symbols that are not there stand alone.
        threshold: from above 0 to 1.

    Returns:
        Groups of two or more symbols, each sorted, the largest gross exposure first.
    """
    group_of = {symbol: {symbol} for symbol, amount in positions.items() if amount}
    for one, other in combinations(sorted(group_of), 2):
        if one not in returns or other not in returns:
            continue
        found = correlation(returns[one], returns[other])
        same_side = (positions[one] > 0) == (positions[other] > 0)
        if found is None or (found if same_side else -found) < threshold:
            continue
        merged = group_of[one] | group_of[other]
        for symbol in merged:
            group_of[symbol] = merged
    groups = {tuple(sorted(group)) for group in group_of.values() if len(group) > 1}

    def size(group: tuple[str, ...]) -> Decimal:
        return gross_exposure({symbol: positions[symbol] for symbol in group})

    return sorted(groups, key=lambda group: (-size(group), group))


def correlated_weight(
    positions: Mapping[str, Decimal], group: Sequence[str], equity: Decimal
) -> Decimal:
    """Return a group's gross exposure as a share of the equity; 0 for no group."""
    if not group:
        return ZERO
    return sum(weights({s: positions[s] for s in group}, equity).values(), ZERO)


def profits(
    positions: Mapping[str, Decimal], returns: Mapping[str, Sequence[float]]
) -> list[float]:
    """Return what today's positions would have earned on each past day.

    Args:
        positions: their worth by symbol.
        returns: by symbol, of the same days.

    Raises:
        KeyError: a position has no returns.
        ValueError: the series are not of one length.
    """
    amounts = {symbol: float(amount) for symbol, amount in positions.items() if amount}
    days = zip(*(returns[symbol] for symbol in amounts), strict=True)
    return [
        math.fsum(amount * change for amount, change in zip(amounts.values(), day, strict=True))
        for day in days
    ]


def value_at_risk(earned: Sequence[float], confidence: float = 0.95) -> float | None:
    """Return the loss that is not exceeded on a fraction `confidence` of the days.

    Historical simulation: no distribution is assumed. Between two days it is interpolated.

    Args:
        earned: what was, or would have been, earned on each day.
        confidence: such as 0.95 or 0.99.

    Returns:
        An amount, 0 when even the bad days earn; None without any day.
    """
    lowest = distribution.value_at_risk(earned, 1.0 - confidence)
    return None if lowest is None else max(0.0, -lowest)


def expected_shortfall(earned: Sequence[float], confidence: float = 0.95) -> float | None:
    """Return the mean loss of the days that are as bad as the value at risk, or worse.

    Arguments and returned value as for `value_at_risk`, which it is never below.
    """
    lowest = distribution.expected_shortfall(earned, 1.0 - confidence)
    return None if lowest is None else max(0.0, -lowest)
