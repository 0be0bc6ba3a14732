"""Fees as people write them."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from closingbell.core.error import BrokerNonsense, SettingError
from closingbell.core.order import Order
from closingbell.trading.broker.fee import to_fee
from tests.unit.trading.rig import d
from tests.unit.trading.test_matching import order


@pytest.mark.parametrize(
    ("given", "fee"),
    [
        (None, 0),
        (0, 0),
        ("0.1%", "2.5"),
        (0.001, "2.5"),
        ("0.001", "2.5"),
        (Decimal("0.001"), "2.5"),
        ("0.005 per unit", "0.125"),
        ("0.005 per share", "0.125"),
        ("1 per order", "1"),
        ("0.005 per unit, min 1", "1"),
        ("0.1%, minimum 1", "2.5"),
        ("0.05% + 2 per order", "3.25"),
        (lambda order, quantity, price: quantity * 2, "50"),
        (lambda order, quantity, price: 0.1, "0.1"),
    ],
)
def test_fee_of_25_at_100_is_what_was_written(given: Any, fee: str) -> None:
    assert to_fee(given)(order(quantity=25), d(25), d(100)) == d(fee)


def test_fee_per_order_is_charged_with_its_first_trade_only() -> None:
    fee, given = to_fee("1 per order"), order(quantity=25)
    assert fee(given, d(10), d(100)) == 1
    assert fee(replace(given, filled=d(10)), d(15), d(100)) == 0


def test_fee_has_eight_decimals_at_most() -> None:
    assert to_fee("0.1%")(order(), d("0.33333333"), d("0.00012345")) == d("0.00000004")


@pytest.mark.parametrize(
    "given",
    [
        "",
        "5",
        1,
        1.5,
        -0.1,
        "-0.1%",
        "100%",
        True,
        "0.1% + 0.2%",
        "1 per day",
        "nan",
        float("nan"),
        {},
    ],
)
def test_fee_that_cannot_be_meant_is_refused_with_its_forms(given: Any) -> None:
    with pytest.raises(SettingError, match=r"setting 'fee' is .*: expected"):
        to_fee(given)


@pytest.mark.parametrize("returned", [None, "many", -1, float("nan"), float("inf")])
def test_fee_function_that_returns_no_fee_says_so(returned: Any) -> None:
    def own(order: Order, quantity: Decimal, price: Decimal) -> Any:
        return returned

    with pytest.raises(BrokerNonsense, match="the fee function returned"):
        to_fee(own)(order(), d(1), d(1))
