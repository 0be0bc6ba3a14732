"""Money: exact, and at home beside the floats of trading scripts."""

from __future__ import annotations

import copy
import math
import operator
import pickle
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from statistics import mean
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closingbell.executor.result import encode_result
from closingbell.trading.money import Money, as_json

OPERATIONS = [
    operator.add,
    operator.sub,
    operator.mul,
    operator.truediv,
    operator.floordiv,
    operator.mod,
    operator.pow,
]


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("other", [3, 0.5, Decimal("2.5"), Money("1.25")])
def test_money_arithmetic_in_both_orders_is_decimal_arithmetic(
    operation: Callable[[Any, Any], Any], other: Any
) -> None:
    money = Money("7.5")
    exact = Decimal(repr(other)) if isinstance(other, float) else Decimal(other)

    results = [operation(money, other), operation(other, money)]

    assert results == [operation(Decimal("7.5"), exact), operation(exact, Decimal("7.5"))]
    assert [type(result) for result in results] == [Money, Money]


@given(st.integers(-(10**9), 10**9), st.integers(-(10**9), 10**9))
def test_money_and_float_of_printed_cents_lose_no_cent(cents: int, other: int) -> None:
    """A float that prints as a number of cents counts as exactly that."""
    money, printed = Money(cents) / 100, other / 100

    assert money + printed == Decimal(cents + other).scaleb(-2)
    assert printed - money == Decimal(other - cents).scaleb(-2)
    assert (money > printed) == (cents > other)
    assert (printed > money) == (other > cents)
    assert (money == printed) == (printed == money) == (cents == other)
    assert (money != printed) == (cents != other)


def test_money_at_a_float_threshold_is_neither_above_nor_below() -> None:
    """A binary 0.15 is a little less than 0.15, and must not count as exceeded."""
    drawdown = Money("0.15")

    assert not drawdown > 0.15
    assert not drawdown < 0.15
    assert drawdown >= 0.15
    assert drawdown <= 0.15
    assert operator.ge(0.15, drawdown)
    assert Money("5000.01") > 5000


def test_money_compared_with_a_float_nan_is_always_false() -> None:
    nan = float("nan")

    assert [compare(Money(1), nan) for compare in (operator.lt, operator.gt, operator.le)] == [
        False
    ] * 3
    assert not nan < Money(1)
    assert Money(1) != nan
    assert (Money(1) + nan).is_nan()


def test_money_compared_with_infinities_and_fractions_follows_their_values() -> None:
    assert Money(1) < float("inf")
    assert Money(1) > -math.inf
    assert Money("0.5") == Fraction(1, 2)
    assert Money("0.5") < Fraction(2, 3)


@pytest.mark.parametrize("divide", [operator.truediv, operator.floordiv, operator.mod, divmod])
@pytest.mark.parametrize(("dividend", "divisor"), [(0, 0), (5, 0.0), (0.0, Decimal(0))])
def test_money_divided_by_zero_is_a_zero_division(
    divide: Callable[[Any, Any], Any], dividend: float, divisor: Any
) -> None:
    """Decimal alone says InvalidOperation for 0 / 0, which nobody catches."""
    with pytest.raises(ZeroDivisionError, match="divided by zero"):
        divide(Money(dividend), divisor)
    with pytest.raises(ZeroDivisionError, match="divided by zero"):
        divide(dividend, Money(0))


def test_money_signs_rounding_and_formats_stay_exact() -> None:
    money = Money("-12345.678")

    assert [abs(money), -money, +money] == [Money("12345.678"), Money("12345.678"), money]
    assert type(abs(money)) is type(-money) is type(+money) is Money
    assert (round(money, 2), type(round(money, 2))) == (Decimal("-12345.68"), Money)
    assert (round(money), type(round(money))) == (-12346, int)
    assert f"{money:,.2f} {Money('0.157'):.2%} {money}" == "-12,345.68 15.70% -12345.678"
    assert repr(money) == "Money('-12345.678')"


def test_money_in_sums_means_and_extremes_stays_money() -> None:
    amounts = [Money("0.1"), Money("0.2"), Money("0.3")]

    assert (sum(amounts), type(sum(amounts))) == (Decimal("0.6"), Money)
    assert (mean(amounts), type(mean(amounts))) == (Decimal("0.2"), Money)
    assert [sorted(amounts, reverse=True)[0], max(amounts)] == [0.3, 0.3]
    assert math.sqrt(Money(4)) == 2.0
    assert pow(Money(7), 3, 5) == 3


def test_money_as_a_key_is_the_decimal_and_the_int_that_it_equals() -> None:
    assert {Money("10"): "ten", Money("0.1"): "tenth"} == {10: "ten", Decimal("0.1"): "tenth"}
    assert hash(Money("0.1")) == hash(Decimal("0.1"))


def test_money_pickled_and_copied_is_money() -> None:
    money = Money("0.10")

    for twin in (pickle.loads(pickle.dumps(money)), copy.copy(money), copy.deepcopy(money)):
        assert (str(twin), type(twin)) == ("0.10", Money)


def test_money_and_text_do_not_add() -> None:
    amount: Any = "1"
    with pytest.raises(TypeError, match="unsupported operand"):
        Money(1) + amount
    assert (Money(1) == "1") is False


def test_money_as_the_result_of_a_task_is_decimal_text() -> None:
    text = encode_result("report", {"value": Money("10000.10"), "parts": [Money("0.1")]})

    assert text == '{"value":"10000.10","parts":["0.1"]}'


def test_money_in_event_data_becomes_a_json_number() -> None:
    """Conditions and handlers of events compare numbers."""
    data = as_json({"value": Money("1.5"), "deep": [{"price": Decimal("2")}, (Money(3),)], "n": 1})

    assert data == {"value": 1.5, "deep": [{"price": 2.0}, [3.0]], "n": 1}
