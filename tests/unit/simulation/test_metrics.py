"""Metrics: closed forms, an outside oracle on real prices and invented ones, and bad curves."""

from __future__ import annotations

import csv
import gzip
import importlib.util
import math
from collections.abc import Sequence
from dataclasses import fields
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import empyrical
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import closingbell
from closingbell.core.book import RoundTrip
from closingbell.simulation.drawdown import drawdowns_of
from closingbell.simulation.figure import FIGURES
from closingbell.simulation.growth import growth_of
from closingbell.simulation.metrics import Metrics, measure

DAY = 86_400_000_000
PRICES = next(Path(closingbell.__file__).parent.rglob("stocks.csv.gz"))


class Point(NamedTuple):
    at: int
    value: Decimal
    flows: Decimal = Decimal(0)
    exposure: Decimal = Decimal(0)


def curve(*values: object, flows: Sequence[object] | None = None) -> list[Point]:
    """One point a day."""
    given_flows = flows if flows is not None else [0] * len(values)
    return [
        Point(day * DAY, Decimal(str(value)), Decimal(str(flow)))
        for day, (value, flow) in enumerate(zip(values, given_flows, strict=True))
    ]


def trip(pnl: str, opened: int = 0, closed: int = DAY) -> RoundTrip:
    zero = Decimal(0)
    return RoundTrip("AAPL", "long", Decimal(1), zero, zero, Decimal(pnl), zero, opened, closed)


def instant(day: str) -> int:
    return round(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()) * 10**6


@cache
def closes(ticker: str) -> list[Point]:
    """The real closes of a stock, as if one share were the account."""
    with gzip.open(PRICES, "rt") as file:
        return [
            Point(instant(row["Date"]), Decimal(row["Close"]))
            for row in csv.DictReader(file)
            if row["Ticker"] == ticker
        ]


def oracle(points: Sequence[Point], annual: int, risk_free: float = 0.0) -> dict[str, float]:
    """The same figures by empyrical-reloaded."""
    values = np.array([float(point.value) for point in points])
    returns = values[1:] / values[:-1] - 1.0
    share = (1.0 + risk_free) ** (1.0 / annual) - 1.0
    return {
        "total_return": empyrical.cum_returns_final(returns),
        "cagr": empyrical.cagr(returns, annualization=annual),
        "volatility": empyrical.annual_volatility(returns, annualization=annual),
        "sharpe": empyrical.sharpe_ratio(returns, share, annualization=annual),
        "sortino": empyrical.sortino_ratio(returns, share, annualization=annual),
        "max_drawdown": empyrical.max_drawdown(returns),
        "calmar": empyrical.calmar_ratio(returns, annualization=annual),
        "var_95": empyrical.value_at_risk(returns, 0.05),
        "var_99": empyrical.value_at_risk(returns, 0.01),
        "cvar_95": empyrical.conditional_value_at_risk(returns, 0.05),
        "cvar_99": empyrical.conditional_value_at_risk(returns, 0.01),
    }


# --- an outside oracle -------------------------------------------------------------------


@pytest.mark.parametrize("risk_free", [0.0, 0.03])
@pytest.mark.parametrize("annual", [252, 365])
@pytest.mark.parametrize("ticker", ["AAPL", "FB", "GOOG", "IBM", "MSFT"])
def test_metrics_of_real_prices_equal_empyrical(ticker: str, annual: int, risk_free: float) -> None:
    found = measure(closes(ticker), periods_per_year=annual, risk_free=risk_free)
    for name, wanted in oracle(closes(ticker), annual, risk_free).items():
        assert math.isclose(getattr(found, name), wanted, rel_tol=1e-9, abs_tol=1e-9), name


prices = st.decimals("0.01", "100000", places=2)


@given(st.lists(prices, min_size=3, max_size=60))
def test_metrics_of_any_prices_equal_empyrical_or_are_none_where_it_has_none(
    values: list[Decimal],
) -> None:
    points = curve(*values)
    found = measure(points)
    with np.errstate(all="ignore"):
        wanted = oracle(points, 252)
    for name, value in wanted.items():
        ours = getattr(found, name)
        if ours is None:
            assert not math.isfinite(value), name
        else:
            assert math.isclose(ours, value, rel_tol=1e-9, abs_tol=1e-9), name


@given(st.lists(st.floats(-0.5, 0.5), min_size=4, max_size=50))
def test_moments_equal_scipy(values: list[float]) -> None:
    from scipy import stats

    from closingbell.simulation.distribution import deviation, excess_kurtosis, skewness

    spread = deviation(values)
    assert spread is not None
    if spread < 1e-6:
        return
    assert math.isclose(skewness(values) or 0.0, stats.skew(values), rel_tol=1e-6, abs_tol=1e-9)
    ours = excess_kurtosis(values)
    assert ours is not None
    assert math.isclose(ours, stats.kurtosis(values), rel_tol=1e-6, abs_tol=1e-9)


def test_google_has_the_figures_that_three_libraries_agreed_on() -> None:
    # The prices that they were measured on; importing that package would draw in its plots.
    spec = importlib.util.find_spec("backtesting")
    assert spec is not None
    assert spec.origin is not None
    with (Path(spec.origin).parent / "test" / "GOOG.csv").open() as file:
        prices_of = [(row[""], row["Close"]) for row in csv.DictReader(file)]
    found = measure([Point(instant(day), Decimal(close)) for day, close in prices_of])
    assert found.sharpe == pytest.approx(0.88151857, abs=1e-8)
    assert found.sortino == pytest.approx(1.35416737, abs=1e-8)
    assert found.max_drawdown == pytest.approx(-0.65294760, abs=1e-8)
    assert found.volatility == pytest.approx(0.34405786, abs=1e-8)
    assert found.cagr == pytest.approx(0.27708, abs=5e-6)
    assert found.cagr_calendar == pytest.approx(0.27667, abs=5e-6)
    assert found.calmar == pytest.approx(0.42435, abs=5e-6)


# --- closed forms ------------------------------------------------------------------------


def test_drawdown_has_its_dates_and_lengths() -> None:
    found = measure(curve(100, 120, 120, 90, 60, 80, 120, 119, 130))
    assert found.max_drawdown == pytest.approx(-0.5)
    assert found.max_drawdown_peak_at == 2 * DAY, "the last instant at the peak"
    assert found.max_drawdown_trough_at == 4 * DAY
    assert found.max_drawdown_recovered_at == 6 * DAY
    assert found.max_drawdown_days == 4
    assert found.max_drawdown_days_down == 2
    assert found.max_drawdown_days_up == 2
    assert [fall.depth for fall in drawdowns_of(growth_of(curve(4, 3, 4, 2, 4)))] == [-0.25, -0.5]


def test_drawdown_that_lasts_has_no_recovery_and_counts_to_the_end() -> None:
    found = measure(curve(100, 50, 70, 99))
    assert found.max_drawdown_recovered_at is None
    assert found.max_drawdown_days_up is None
    assert found.max_drawdown_days == 3


def test_longest_drawdown_need_not_be_the_deepest() -> None:
    found = measure(curve(100, 50, 100, 99, 99, 99, 101))
    assert found.max_drawdown_days == 2
    assert found.longest_drawdown_days == 4


def test_curve_that_never_falls_has_a_drawdown_of_zero_and_no_calmar() -> None:
    found = measure(curve(100, 100, 110))
    assert found.max_drawdown == 0.0
    assert found.max_drawdown_peak_at is None
    assert found.calmar is None
    assert found.sortino is None


def test_deposits_and_withdrawals_are_no_returns() -> None:
    plain = measure(curve(100, 110, 99, 121))
    flowing = measure(curve(100, 1110, "499.5", "610.5", flows=[100, 1100, 600, 600]))
    # 110 + 1000, then 10 percent less of it with 499.5 taken out, then 22 percent more.
    assert growth_of(curve(100, 1110, flows=[0, 1000])).returns == pytest.approx((0.1,))
    assert growth_of(curve(1110, "499.5", flows=[0, "-499.5"])).returns == pytest.approx((-0.1,))
    assert plain.total_return == pytest.approx(0.21)
    assert flowing.net_flows == 500
    assert flowing.profit == Decimal("10.5")
    assert flowing.initial_value == 100


def test_profit_is_exact() -> None:
    found = measure(curve("0.1", "0.3", flows=["0.1", "0.2"]))
    assert found.profit == Decimal("0.1")


def test_round_trips_have_their_figures() -> None:
    trips = [trip("100", closed=3 * DAY), trip("-50"), trip("-20"), trip("0")]
    found = measure(curve(1000, 1030), trips)
    assert found.round_trips == 4
    assert found.win_rate == 0.25
    assert found.profit_factor == pytest.approx(100 / 70)
    assert found.expectancy == pytest.approx(7.5)
    assert found.average_win == 100
    assert found.average_loss == -35
    assert found.best_trip == 100
    assert found.worst_trip == -50
    assert found.average_days_held == 1.5


def test_round_trips_without_a_loss_have_no_profit_factor() -> None:
    found = measure(curve(1, 2), [trip("5")])
    assert found.profit_factor is None
    assert found.average_loss is None
    assert found.win_rate == 1.0


def test_exposure_and_turnover_are_of_all_points() -> None:
    points = [
        Point(day * DAY, Decimal(1000), Decimal(0), Decimal(exposure))
        for day, exposure in enumerate([0, 500, 1000, 0, 0])
    ]
    found = measure(points, traded=Decimal(2000), fees=Decimal(3), periods_per_year=252)
    assert found.exposure_time == 0.4
    assert found.exposure_average == pytest.approx(0.3)
    assert found.turnover == pytest.approx(1.0 / (4 / 252))
    assert found.fees == 3


def test_best_and_worst_day_have_their_instants() -> None:
    found = measure(curve(100, 110, 99, 100))
    assert found.best_day == pytest.approx(0.1)
    assert found.best_day_at == DAY
    assert found.worst_day == pytest.approx(-0.1)
    assert found.worst_day_at == 2 * DAY
    assert found.positive_days == pytest.approx(2 / 3)


# --- curves that are none ----------------------------------------------------------------


def missing(found: Metrics) -> set[str]:
    return {field.name for field in fields(found) if getattr(found, field.name) is None}


def test_no_points_at_all_have_no_figures_and_no_error() -> None:
    found = measure([])
    assert found.total_return is None
    assert found.initial_value is None
    assert (found.periods, found.days, found.round_trips) == (0, 0, 0)


def test_one_point_has_a_value_and_no_return() -> None:
    found = measure(curve(100))
    assert found.initial_value == found.final_value == 100
    assert found.profit == 0
    assert {"total_return", "cagr", "sharpe", "max_drawdown", "var_95", "turnover"} <= missing(
        found
    )


def test_flat_curve_has_returns_of_zero_and_no_ratios() -> None:
    found = measure(curve(*[10_000] * 30))
    assert (found.total_return, found.volatility, found.max_drawdown) == (0.0, 0.0, 0.0)
    assert found.sharpe is None
    assert found.win_rate is None


def test_equal_returns_have_no_sharpe_of_rounding() -> None:
    found = measure(curve(*[Decimal("1.1") ** n for n in range(20)]))
    assert found.sharpe is None or found.sharpe > 1e6


def test_loss_of_everything_ends_the_curve() -> None:
    found = measure(curve(100, 50, 0, 0, 80, flows=[0, 0, 0, 0, 80]))
    assert found.total_return == -1.0
    assert found.cagr == -1.0
    assert found.max_drawdown == -1.0
    assert found.emptied_at == 2 * DAY
    assert found.periods == 2
    assert found.profit == -100, "what the account is worth counts deposits"


def test_debt_is_a_loss_of_more_than_everything() -> None:
    found = measure(curve(100, -20, -30))
    assert found.total_return == pytest.approx(-1.2)
    assert found.max_drawdown == pytest.approx(-1.2)
    assert found.cagr is None
    assert found.emptied_at == DAY


def test_withdrawal_of_everything_is_no_loss() -> None:
    found = measure(curve(100, 110, 0, flows=[0, 0, -110]))
    assert found.total_return == pytest.approx(0.1)
    assert found.emptied_at == 2 * DAY


def test_deposit_does_not_hide_a_ruin() -> None:
    found = measure(curve(100, 500, 600, flows=[0, 500, 500]))
    assert found.total_return == -1.0
    assert found.emptied_at == DAY


def test_points_before_the_first_money_are_left_out() -> None:
    found = measure(curve(0, 0, 100, 110, flows=[0, 0, 100, 100]))
    assert found.total_return == pytest.approx(0.1)
    assert found.start_at == 2 * DAY


def test_instants_too_close_for_a_rate_have_none() -> None:
    points = [Point(0, Decimal(1)), Point(1, Decimal(1000))]
    found = measure(points)
    assert found.cagr_calendar is None
    assert found.total_return == 999.0


values = st.decimals(-(10**9), 10**9, places=3) | st.sampled_from(
    [Decimal(0), Decimal("1e-300"), Decimal("1e300"), Decimal(-1)]
)


@given(
    st.lists(st.tuples(values, values, values), max_size=20),
    st.lists(st.decimals(-(10**6), 10**6, places=2), max_size=10),
    st.floats(-0.5, 2.0),
)
def test_no_curve_makes_a_figure_that_is_not_finite(
    rows: list[tuple[Decimal, Decimal, Decimal]], gains: list[Decimal], risk_free: float
) -> None:
    points = [
        Point(day * DAY, value, flows, abs(exposure))
        for day, (value, flows, exposure) in enumerate(rows)
    ]
    found = measure(points, [trip(str(gain)) for gain in gains], risk_free=risk_free)
    for name, figure in found.to_dict().items():
        assert not isinstance(figure, float) or math.isfinite(figure), name


def test_figures_name_every_metric_once() -> None:
    names = [figure.name for figure in FIGURES]
    assert len(set(names)) == len(names)
    assert set(names) == {field.name for field in fields(Metrics)}


def test_same_curve_gives_the_same_bits() -> None:
    first, second = measure(closes("IBM")), measure(list(closes("IBM")))
    assert first == second


def test_calendar_year_is_of_days_and_the_other_of_returns() -> None:
    start = date(2021, 1, 1)
    points: list[Any] = [
        Point((start + timedelta(days=day)).toordinal() * DAY, Decimal(100) + day)
        for day in range(366)
    ]
    found = measure(points, periods_per_year=365)
    assert found.cagr == pytest.approx(3.65)
    assert found.cagr_calendar == pytest.approx(4.65 ** (365.25 / 365) - 1)
