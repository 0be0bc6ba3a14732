"""Statistics of a series of returns.

Sums are `math.fsum`, so that they do not depend on the order of the terms. A figure that has no
meaning (too few returns, nothing that varies) is None, never NaN or infinite.
"""

from __future__ import annotations

import math
from collections.abc import Sequence


def mean(values: Sequence[float]) -> float | None:
    """Return the arithmetic mean, or None of nothing."""
    return math.fsum(values) / len(values) if values else None


def deviation(values: Sequence[float]) -> float | None:
    """Return the sample standard deviation (n - 1), or None of fewer than two values."""
    if len(values) < 2:
        return None
    if min(values) == max(values):
        # The mean may miss equal values by a last bit, and what remains would pass for risk.
        return 0.0
    middle = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((value - middle) ** 2 for value in values) / (len(values) - 1))


def volatility(returns: Sequence[float], periods: int) -> float | None:
    """Return the annual volatility: the standard deviation times the root of `periods` a year."""
    spread = deviation(returns)
    return None if spread is None else spread * math.sqrt(periods)


def sharpe(returns: Sequence[float], periods: int, risk_free: float = 0.0) -> float | None:
    """Return the annual Sharpe ratio.

    The mean of the excess returns over their standard deviation, times the root of `periods`.

    Args:
        returns: fractions.
        periods: of them a year.
        risk_free: a fraction a year; each period's share is (1 + risk_free) ** (1 / periods) - 1.
    """
    excess = _excess(returns, periods, risk_free)
    spread = deviation(excess)
    return math.fsum(excess) / len(excess) / spread * math.sqrt(periods) if spread else None


def sortino(returns: Sequence[float], periods: int, risk_free: float = 0.0) -> float | None:
    """Return the annual Sortino ratio; arguments as `sharpe`.

    The mean of the excess returns over their downside deviation: the root of the mean of the
    squares of those below zero, the mean taken over all periods.
    """
    excess = _excess(returns, periods, risk_free)
    if len(excess) < 2:
        return None
    downside = math.sqrt(math.fsum(min(value, 0.0) ** 2 for value in excess) / len(excess))
    return math.fsum(excess) / len(excess) / downside * math.sqrt(periods) if downside else None


def value_at_risk(returns: Sequence[float], tail: float) -> float | None:
    """Return the historical value at risk: the return that `tail` of the periods fell below.

    Below zero is a loss. Between two returns it is interpolated linearly.
    """
    if not returns:
        return None
    ordered = sorted(returns)
    place = (len(ordered) - 1) * tail
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def expected_shortfall(returns: Sequence[float], tail: float) -> float | None:
    """Return the conditional value at risk: the mean of the worst `tail` of the returns.

    These are the lowest floor((n - 1) * tail) + 1 of them, so at least one.
    """
    if not returns:
        return None
    return mean(sorted(returns)[: int((len(returns) - 1) * tail) + 1])


def skewness(values: Sequence[float]) -> float | None:
    """Return the skewness of the population (third central moment over the cube of the spread)."""
    return _standard_moment(values, 3)


def excess_kurtosis(values: Sequence[float]) -> float | None:
    """Return the excess kurtosis of the population: 0 for a normal distribution."""
    moment = _standard_moment(values, 4)
    return None if moment is None else moment - 3.0


def ulcer_index(depths: Sequence[float]) -> float | None:
    """Return the root of the mean square of the falls from the running peak."""
    if not depths:
        return None
    return math.sqrt(math.fsum(depth * depth for depth in depths) / len(depths))


def _excess(returns: Sequence[float], periods: int, risk_free: float) -> list[float]:
    share = (1.0 + risk_free) ** (1.0 / periods) - 1.0
    return [value - share for value in returns]


def _standard_moment(values: Sequence[float], power: int) -> float | None:
    if not deviation(values):
        return None
    middle = math.fsum(values) / len(values)
    spread = math.sqrt(math.fsum((value - middle) ** 2 for value in values) / len(values))
    return math.fsum(((value - middle) / spread) ** power for value in values) / len(values)
