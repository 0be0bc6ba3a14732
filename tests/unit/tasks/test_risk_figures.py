"""Risk figures: against closed forms, numpy, and what must hold for every account."""

from __future__ import annotations

import math
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from closingbell.tasks.risk_figures import (
    INFINITE,
    correlated_groups,
    correlated_weight,
    correlation,
    excess,
    expected_shortfall,
    gross_exposure,
    herfindahl,
    profits,
    simple_returns,
    value_at_risk,
    weights,
)

amounts = st.decimals(-(10**9), 10**9, places=2)
positive = st.decimals(Decimal("0.01"), 10**9, places=2)
books = st.dictionaries(st.sampled_from("ABCDEFGH"), amounts, max_size=8)
moves = st.floats(-0.5, 0.5)


# --- weights ------------------------------------------------------------------------------


@given(books, amounts)
def test_weights_of_any_account_are_shares_that_add_up_to_its_leverage(
    book: dict[str, Decimal], equity: Decimal
) -> None:
    found = weights(book, equity)

    assert found.keys() == book.keys()
    if equity > 0:
        total = sum(found.values(), Decimal())
        assert float(total) == pytest.approx(float(gross_exposure(book) / equity), rel=1e-12)
    else:
        assert set(found.values()) <= {INFINITE, Decimal()}
        assert all((weight == INFINITE) == bool(book[s]) for s, weight in found.items())


@given(positive, positive, st.decimals(Decimal("0.01"), 1, places=2))
def test_excess_sold_brings_the_weight_to_the_limit(
    amount: Decimal, equity: Decimal, limit: Decimal
) -> None:
    weight = amount / equity
    sold = excess(weight, limit)

    assert 0 <= sold < 1
    if weight > limit:
        assert float(amount * (1 - sold) / equity) == pytest.approx(float(limit), rel=1e-9)
    else:
        assert sold == 0


def test_excess_of_a_position_in_an_account_worth_nothing_is_all_of_it() -> None:
    [weight] = weights({"A": Decimal(10)}, Decimal(-5)).values()

    assert excess(weight, Decimal("0.1")) == 1


@pytest.mark.parametrize(
    ("book", "expected"), [([], "0"), (["7"], "1"), (["5", "-5"], "0.5"), (["1"] * 4, "0.25")]
)
def test_herfindahl_of_equal_positions_is_one_over_their_number(
    book: list[str], expected: str
) -> None:
    positions = {str(number): Decimal(amount) for number, amount in enumerate(book)}

    assert herfindahl(positions) == Decimal(expected)


@given(books)
def test_herfindahl_of_any_book_lies_between_even_and_single(book: dict[str, Decimal]) -> None:
    found = float(herfindahl(book))
    held = sum(1 for amount in book.values() if amount)

    assert found == 0 if not held else 1 / held - 1e-12 <= found <= 1 + 1e-12


# --- correlation --------------------------------------------------------------------------


@given(st.lists(st.tuples(moves, moves), min_size=3, max_size=60))
def test_correlation_of_two_series_is_that_of_numpy(pairs: list[tuple[float, float]]) -> None:
    first, second = [list(side) for side in zip(*pairs, strict=True)]
    assume(np.std(first) > 1e-6 and np.std(second) > 1e-6)
    found = correlation(first, second)

    assert found == pytest.approx(float(np.corrcoef(first, second)[0, 1]), abs=1e-9)
    assert found is not None
    assert -1 <= found <= 1


@pytest.mark.parametrize(
    "series", [([], []), ([0.1], [0.2]), ([0.1, 0.1, 0.1], [0.1, 0.2, 0.3]), ([0.0] * 9, [0.0] * 9)]
)
def test_correlation_of_what_never_moved_is_none(series: tuple[list[float], list[float]]) -> None:
    assert correlation(*series) is None


@given(st.lists(moves, min_size=2), st.lists(moves, min_size=2))
def test_correlation_of_series_of_two_lengths_is_refused(a: list[float], b: list[float]) -> None:
    assume(len(a) != len(b))
    with pytest.raises(ValueError, match="one length"):
        correlation(a, b)


UP = [0.01, -0.02, 0.03, 0.01, -0.01]
DOWN = [-move for move in UP]
APART = [0.0, 0.01, 0.01, -0.02, 0.01]


@pytest.mark.parametrize(
    ("book", "expected"),
    [
        ({}, []),
        ({"UP": 5}, []),
        ({"UP": 5, "ALSO": 7}, [("ALSO", "UP")]),
        # A short position of what moves with it earns when the other loses.
        ({"UP": 5, "ALSO": -7}, []),
        ({"UP": 5, "DOWN": 7}, []),
        ({"UP": 5, "DOWN": -7}, [("DOWN", "UP")]),
        ({"UP": 5, "APART": 7}, []),
        ({"UP": 5, "ALSO": 0}, []),
        ({"UP": 5, "UNKNOWN": 5}, []),
        ({"UP": 1, "ALSO": 1, "DOWN": -1, "APART": 9}, [("ALSO", "DOWN", "UP")]),
    ],
)
def test_correlated_groups_are_positions_that_earn_together(
    book: dict[str, int], expected: list[tuple[str, ...]]
) -> None:
    returns = {"UP": UP, "ALSO": UP, "DOWN": DOWN, "APART": APART}
    positions = {symbol: Decimal(amount) for symbol, amount in book.items()}

    assert correlated_groups(positions, returns, 0.8) == expected


def test_correlated_weight_counts_long_and_short_alike() -> None:
    positions = {"A": Decimal(30), "B": Decimal(-20), "C": Decimal(50)}

    assert correlated_weight(positions, ("A", "B"), Decimal(100)) == Decimal("0.5")
    assert correlated_weight(positions, (), Decimal(100)) == 0
    assert correlated_weight(positions, ("A", "B"), Decimal(0)) == INFINITE


# --- value at risk ------------------------------------------------------------------------


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=300), st.sampled_from([0.9, 0.95, 0.99]))
def test_value_at_risk_is_the_percentile_of_numpy_and_below_the_shortfall(
    earned: list[float], confidence: float
) -> None:
    found = value_at_risk(earned, confidence)
    beyond = expected_shortfall(earned, confidence)

    oracle = float(np.percentile(earned, 100 * (1 - confidence)))
    assert found == pytest.approx(max(0.0, -oracle), rel=1e-9, abs=1e-6)
    assert beyond is not None
    assert found is not None
    assert beyond >= found - 1e-9 * abs(found)


def test_value_at_risk_of_no_days_is_none() -> None:
    assert value_at_risk([]) is None
    assert expected_shortfall([]) is None


def test_profits_are_todays_positions_on_past_days() -> None:
    positions = {"A": Decimal(100), "B": Decimal(-50), "GONE": Decimal(0)}
    returns = {"A": [0.1, -0.2], "B": [0.1, 0.4]}

    assert profits(positions, returns) == pytest.approx([5.0, -40.0])
    assert profits({}, returns) == []


@given(st.lists(st.decimals(Decimal("0.01"), 10**6, places=2), min_size=2, max_size=50))
def test_returns_compound_back_to_the_last_price(prices: list[Decimal]) -> None:
    grown = float(prices[0]) * math.prod(1 + change for change in simple_returns(prices))

    assert grown == pytest.approx(float(prices[-1]), rel=1e-9)


def test_returns_of_a_price_that_is_not_above_zero_are_refused() -> None:
    with pytest.raises(ValueError, match="above 0, found -3"):
        simple_returns([Decimal(5), Decimal(-3)])
