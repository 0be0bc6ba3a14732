"""Figures: the name, the unit and the convention of each metric, in one place.

The summary, the report, the comparison and the reference page are made from this list.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Unit(StrEnum):
    """How a figure is written."""

    FRACTION = "fraction"
    RATIO = "ratio"
    MONEY = "money"
    INSTANT = "instant"
    DAYS = "days"
    COUNT = "count"


class Figure(NamedTuple):
    """One metric.

    Attributes:
        name: of the attribute of `Metrics`.
        label: for people.
        group: under which heading it stands.
        convention: how it is made, in a sentence or two.
        better: +1 where more is better, -1 where less is, 0 where neither can be said.
    """

    name: str
    label: str
    group: str
    unit: Unit
    convention: str
    better: int = 0


RETURN, RISK, DRAWDOWN, TRADES, ACTIVITY, BASIS = (
    "Return", "Risk", "Drawdown", "Trades", "Activity", "Basis",
)  # fmt: skip
_FRACTION, _RATIO, _MONEY = Unit.FRACTION, Unit.RATIO, Unit.MONEY
_INSTANT, _DAYS, _COUNT = Unit.INSTANT, Unit.DAYS, Unit.COUNT

#: Every metric, in the order in which it is shown.
FIGURES: tuple[Figure, ...] = (
    Figure("total_return", "Total return", RETURN, _FRACTION,
           "Time-weighted: the periods' returns compounded, deposits and withdrawals taken off.", 1),
    Figure("cagr", "CAGR", RETURN, _FRACTION,
           "Compound annual growth rate; a year is as many returns as the periods per year say.", 1),
    Figure("cagr_calendar", "CAGR, calendar", RETURN, _FRACTION,
           "Compound annual growth rate; a year is 365.25 days between the first and the last point.", 1),
    Figure("initial_value", "Value at the start", RETURN, _MONEY,
           "Cash and positions at the first point."),
    Figure("final_value", "Value at the end", RETURN, _MONEY,
           "Cash and positions, at their marks, at the last point.", 1),
    Figure("net_flows", "Net deposits", RETURN, _MONEY,
           "Deposits less withdrawals after the first point."),
    Figure("profit", "Profit", RETURN, _MONEY,
           "Value at the end less value at the start less net deposits.", 1),
    Figure("best_day", "Best day", RETURN, _FRACTION, "The highest return of one period.", 1),
    Figure("best_day_at", "Best day was", RETURN, _INSTANT, "The end of that period."),
    Figure("worst_day", "Worst day", RETURN, _FRACTION, "The lowest return of one period.", 1),
    Figure("worst_day_at", "Worst day was", RETURN, _INSTANT, "The end of that period."),
    Figure("positive_days", "Positive days", RETURN, _FRACTION,
           "Periods with a return above zero, of all periods.", 1),

    Figure("volatility", "Volatility", RISK, _FRACTION,
           "Standard deviation of the returns (n - 1), times the root of the periods per year.", -1),
    Figure("sharpe", "Sharpe ratio", RISK, _RATIO,
           "Mean of the returns above the risk-free rate over their standard deviation (n - 1), times "
           "the root of the periods per year.", 1),
    Figure("sortino", "Sortino ratio", RISK, _RATIO,
           "Mean of the returns above the risk-free rate over their downside deviation (root of the mean "
           "square of those below it, over all periods), times the root of the periods per year.", 1),
    Figure("calmar", "Calmar ratio", RISK, _RATIO,
           "CAGR (by periods) over the depth of the maximum drawdown.", 1),
    Figure("var_95", "VaR 95 %", RISK, _FRACTION,
           "Historical value at risk: 5 % of the periods returned less. Linear between two returns; "
           "below zero is a loss.", 1),
    Figure("var_99", "VaR 99 %", RISK, _FRACTION,
           "Historical value at risk: 1 % of the periods returned less. Linear between two returns; "
           "below zero is a loss.", 1),
    Figure("cvar_95", "CVaR 95 %", RISK, _FRACTION,
           "Expected shortfall: the mean of the worst 5 % of the returns, at least of one.", 1),
    Figure("cvar_99", "CVaR 99 %", RISK, _FRACTION,
           "Expected shortfall: the mean of the worst 1 % of the returns, at least of one.", 1),
    Figure("skew", "Skewness", RISK, _RATIO,
           "Third standard moment of the returns, of the population; below zero the losses are the "
           "longer tail."),
    Figure("kurtosis", "Excess kurtosis", RISK, _RATIO,
           "Fourth standard moment of the returns, of the population, less 3; above zero the tails are "
           "heavier than a normal distribution's."),

    Figure("max_drawdown", "Maximum drawdown", DRAWDOWN, _FRACTION,
           "The deepest fall from a peak of the time-weighted curve; 0 where it never fell.", 1),
    Figure("max_drawdown_peak_at", "Drawdown peak", DRAWDOWN, _INSTANT,
           "The last point at the peak before the maximum drawdown."),
    Figure("max_drawdown_trough_at", "Drawdown trough", DRAWDOWN, _INSTANT,
           "The first point at its lowest."),
    Figure("max_drawdown_recovered_at", "Drawdown recovery", DRAWDOWN, _INSTANT,
           "The first point back at the peak; none while it lasts."),
    Figure("max_drawdown_days", "Days below the peak", DRAWDOWN, _DAYS,
           "Calendar days from the peak to the recovery, or to the end of the curve.", -1),
    Figure("max_drawdown_days_down", "Days to the trough", DRAWDOWN, _DAYS,
           "Calendar days from the peak to the trough."),
    Figure("max_drawdown_days_up", "Days to recover", DRAWDOWN, _DAYS,
           "Calendar days from the trough to the recovery."),
    Figure("longest_drawdown_days", "Longest drawdown, days", DRAWDOWN, _DAYS,
           "Calendar days of the longest fall, of any depth, up to its recovery or the end.", -1),
    Figure("ulcer_index", "Ulcer index", DRAWDOWN, _FRACTION,
           "Root of the mean square of the falls from the running peak, over all points.", -1),
    Figure("emptied_at", "Emptied", DRAWDOWN, _INSTANT,
           "When the account was worth nothing or less, by losses or by a withdrawal. What came later is "
           "in no figure of return or risk."),

    Figure("round_trips", "Round trips", TRADES, _COUNT,
           "Parts of positions that were opened and closed again, at average cost."),
    Figure("win_rate", "Win rate", TRADES, _FRACTION,
           "Round trips that gained, of all; one that came out even is no win.", 1),
    Figure("profit_factor", "Profit factor", TRADES, _RATIO,
           "What the winning round trips gained over what the losing ones lost; none without a loss.", 1),
    Figure("expectancy", "Expectancy", TRADES, _MONEY,
           "Mean gain of a round trip, the fees of both ways taken off.", 1),
    Figure("average_win", "Average win", TRADES, _MONEY, "Mean gain of those that gained.", 1),
    Figure("average_loss", "Average loss", TRADES, _MONEY, "Mean gain of those that lost.", 1),
    Figure("best_trip", "Best round trip", TRADES, _MONEY, "The highest gain.", 1),
    Figure("worst_trip", "Worst round trip", TRADES, _MONEY, "The lowest gain.", 1),
    Figure("average_days_held", "Days held", TRADES, Unit.DAYS,
           "Mean length of a round trip in calendar days, from when the position was opened."),

    Figure("exposure_time", "Time in the market", ACTIVITY, _FRACTION,
           "Points at which any position was open, of all points."),
    Figure("exposure_average", "Average exposure", ACTIVITY, _FRACTION,
           "Mean of the absolute worth of all positions over the account's value; above 1 with leverage."),
    Figure("turnover", "Turnover a year", ACTIVITY, _RATIO,
           "Half of the worth of all fills over the mean value, a year: 1 is the whole account exchanged "
           "once."),
    Figure("traded", "Traded", ACTIVITY, _MONEY, "Worth of all fills, purchases and sales together."),
    Figure("fees", "Fees", ACTIVITY, _MONEY, "Fees paid.", -1),

    Figure("start_at", "First point", BASIS, _INSTANT, "Where the curve begins."),
    Figure("end_at", "Last point", BASIS, _INSTANT, "Where the curve ends."),
    Figure("days", "Days", BASIS, _DAYS, "Calendar days between them."),
    Figure("periods", "Periods", BASIS, _COUNT, "Returns that were measured: one for each day."),
    Figure("periods_per_year", "Periods per year", BASIS, _COUNT,
           "252 for venues with sessions, 365 for those that never close."),
    Figure("risk_free", "Risk-free rate", BASIS, _FRACTION,
           "A year; each period's share is (1 + rate) ** (1 / periods per year) - 1."),
)  # fmt: skip

GROUPS: tuple[str, ...] = (RETURN, RISK, DRAWDOWN, TRADES, ACTIVITY, BASIS)
#: Those that a curve without trades has, such as a benchmark's.
CURVE_GROUPS: tuple[str, ...] = (RETURN, RISK, DRAWDOWN)


def figures_of(group: str) -> list[Figure]:
    """Return the metrics of a group, in order."""
    return [figure for figure in FIGURES if figure.group == group]
