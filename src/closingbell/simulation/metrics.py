"""Metrics: what a backtest came to, in figures with stated conventions.

Figures are floats that `math.fsum` makes from Decimal amounts: the same input gives the same bits
on one platform. Amounts of money stay Decimal where they are sums. A figure that has no meaning is
None, never NaN or infinite. `figure.FIGURES` says for each how it is made.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Any

from closingbell.core.amount import ZERO
from closingbell.core.book import RoundTrip
from closingbell.simulation import distribution
from closingbell.simulation.drawdown import drawdowns_of, underwater
from closingbell.simulation.growth import Growth, Mark, growth_of

#: Daily returns a year: of a venue with sessions, and of one that never closes.
SESSION_DAYS = 252
ALL_DAYS = 365

_DAY = 86_400_000_000
_YEAR = 365.25 * _DAY


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """The figures of one equity curve and its trades.

    Fractions are fractions (0.1 is ten percent), instants microseconds since the epoch, money in
    the account's currency. What each one means is written in `figure.FIGURES`.
    """

    initial_value: Decimal | None
    final_value: Decimal | None
    net_flows: Decimal
    profit: Decimal | None
    total_return: float | None
    cagr: float | None
    cagr_calendar: float | None
    best_day: float | None
    best_day_at: int | None
    worst_day: float | None
    worst_day_at: int | None
    positive_days: float | None

    volatility: float | None
    sharpe: float | None
    sortino: float | None
    calmar: float | None
    var_95: float | None
    var_99: float | None
    cvar_95: float | None
    cvar_99: float | None
    skew: float | None
    kurtosis: float | None

    max_drawdown: float | None
    max_drawdown_peak_at: int | None
    max_drawdown_trough_at: int | None
    max_drawdown_recovered_at: int | None
    max_drawdown_days: int | None
    max_drawdown_days_down: int | None
    max_drawdown_days_up: int | None
    longest_drawdown_days: int | None
    ulcer_index: float | None
    emptied_at: int | None

    round_trips: int
    win_rate: float | None
    profit_factor: float | None
    expectancy: float | None
    average_win: float | None
    average_loss: float | None
    best_trip: Decimal | None
    worst_trip: Decimal | None
    average_days_held: float | None

    traded: Decimal
    fees: Decimal
    turnover: float | None
    exposure_time: float | None
    exposure_average: float | None

    start_at: int | None
    end_at: int | None
    days: int
    periods: int
    periods_per_year: int
    risk_free: float

    def to_dict(self) -> dict[str, Any]:
        """Return the figures by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def measure(
    points: Sequence[Mark],
    trips: Sequence[RoundTrip] = (),
    *,
    traded: Decimal = ZERO,
    fees: Decimal = ZERO,
    periods_per_year: int = SESSION_DAYS,
    risk_free: float = 0.0,
) -> Metrics:
    """Return the figures of an equity curve and of what was traded.

    Args:
        points: one for each day, oldest first.
        trips: round trips whose gains are in the account's currency.
        traded: worth of all fills, purchases and sales together.
        fees: paid on them.
        periods_per_year: how many points make a year: 252, or 365 where the venue never closes.
        risk_free: a fraction a year.
    """
    growth = growth_of(points)
    return Metrics(
        **_account(points),
        **_return(growth, periods_per_year),
        **_risk(growth, periods_per_year, risk_free),
        **_drawdown(growth),
        **_trips(trips),
        **_activity(points, traded, periods_per_year),
        traded=traded,
        fees=fees,
        start_at=growth.at[0] if growth.at else None,
        end_at=growth.at[-1] if growth.at else None,
        days=round((growth.at[-1] - growth.at[0]) / _DAY) if growth.at else 0,
        periods=len(growth.returns),
        periods_per_year=periods_per_year,
        risk_free=risk_free,
    )


def _figure(function: Callable[..., float | None], *args: Any) -> float | None:
    # Values at the ends of what a float holds: no figure is better than a wrong one.
    try:
        value = function(*args)
    except (OverflowError, ZeroDivisionError, ValueError):
        return None
    return value if value is not None and math.isfinite(value) else None


def _account(points: Sequence[Mark]) -> dict[str, Any]:
    if not points:
        return {"initial_value": None, "final_value": None, "net_flows": ZERO, "profit": None}
    first, last = points[0], points[-1]
    flows = last.flows - first.flows
    return {
        "initial_value": first.value,
        "final_value": last.value,
        "net_flows": flows,
        "profit": last.value - first.value - flows,
    }


def _return(growth: Growth, periods_per_year: int) -> dict[str, Any]:
    returns, ends = growth.returns, growth.at[1:]
    best = max(range(len(returns)), key=returns.__getitem__, default=None)
    worst = min(range(len(returns)), key=returns.__getitem__, default=None)
    return {
        "total_return": _figure(lambda: growth.total),
        "cagr": _figure(_annual, growth, len(returns) / periods_per_year),
        "cagr_calendar": (
            _figure(_annual, growth, (growth.at[-1] - growth.at[0]) / _YEAR) if returns else None
        ),
        "best_day": None if best is None else _figure(lambda: returns[best]),
        "best_day_at": None if best is None else ends[best],
        "worst_day": None if worst is None else _figure(lambda: returns[worst]),
        "worst_day_at": None if worst is None else ends[worst],
        "positive_days": _share(sum(value > 0 for value in returns), len(returns)),
    }


def _annual(growth: Growth, years: float) -> float | None:
    # Nothing below nothing has an annual rate: an account that owes is no growth rate's end.
    if not growth.returns or growth.curve[-1] < 0:
        return None
    return float(growth.curve[-1] ** (1.0 / years)) - 1.0


def _risk(growth: Growth, periods: int, risk_free: float) -> dict[str, Any]:
    returns = growth.returns
    depth = min(underwater(growth), default=0.0)
    annual = _figure(_annual, growth, len(returns) / periods)
    return {
        "volatility": _figure(distribution.volatility, returns, periods),
        "sharpe": _figure(distribution.sharpe, returns, periods, risk_free),
        "sortino": _figure(distribution.sortino, returns, periods, risk_free),
        "calmar": None if annual is None else _figure(lambda: annual / -depth),
        "var_95": _figure(distribution.value_at_risk, returns, 0.05),
        "var_99": _figure(distribution.value_at_risk, returns, 0.01),
        "cvar_95": _figure(distribution.expected_shortfall, returns, 0.05),
        "cvar_99": _figure(distribution.expected_shortfall, returns, 0.01),
        "skew": _figure(distribution.skewness, returns),
        "kurtosis": _figure(distribution.excess_kurtosis, returns),
    }


def _drawdown(growth: Growth) -> dict[str, Any]:
    falls = drawdowns_of(growth)
    deepest = min(falls, key=lambda fall: fall.depth, default=None)
    measured = bool(growth.returns)
    return {
        "max_drawdown": (_figure(lambda: deepest.depth if deepest else 0.0) if measured else None),
        "max_drawdown_peak_at": deepest.peak_at if deepest else None,
        "max_drawdown_trough_at": deepest.trough_at if deepest else None,
        "max_drawdown_recovered_at": deepest.recovered_at if deepest else None,
        "max_drawdown_days": deepest.days if deepest else None,
        "max_drawdown_days_down": deepest.days_down if deepest else None,
        "max_drawdown_days_up": deepest.days_up if deepest else None,
        "longest_drawdown_days": max((fall.days for fall in falls), default=None),
        "ulcer_index": _figure(distribution.ulcer_index, underwater(growth)) if measured else None,
        "emptied_at": growth.emptied_at,
    }


def _trips(trips: Sequence[RoundTrip]) -> dict[str, Any]:
    gains = [trip.pnl for trip in trips]
    won = [float(gain) for gain in gains if gain > 0]
    lost = [float(gain) for gain in gains if gain < 0]
    held = [float(trip.closed_at - trip.opened_at) / _DAY for trip in trips]
    return {
        "round_trips": len(trips),
        "win_rate": _share(len(won), len(trips)),
        "profit_factor": _figure(lambda: math.fsum(won) / -math.fsum(lost)) if trips else None,
        "expectancy": _figure(distribution.mean, [float(gain) for gain in gains]),
        "average_win": _figure(distribution.mean, won),
        "average_loss": _figure(distribution.mean, lost),
        "best_trip": max(gains, default=None),
        "worst_trip": min(gains, default=None),
        "average_days_held": _figure(distribution.mean, held),
    }


def _activity(points: Sequence[Mark], traded: Decimal, periods_per_year: int) -> dict[str, Any]:
    worth = [float(point.value) for point in points]
    used = [float(point.exposure / point.value) for point in points if point.value > 0]
    years = (len(points) - 1) / periods_per_year
    return {
        "turnover": _figure(lambda: float(traded) / 2 / (math.fsum(worth) / len(worth)) / years),
        "exposure_time": _share(sum(point.exposure > 0 for point in points), len(points)),
        "exposure_average": _figure(distribution.mean, used),
    }


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
