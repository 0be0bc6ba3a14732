"""Slippage as people write it."""

from __future__ import annotations

from decimal import Decimal
from functools import partial
from random import Random
from typing import Any

import pytest

from closingbell.core.error import BrokerNonsense, SettingError
from closingbell.core.order import Order
from closingbell.trading.broker.slippage import to_slippage
from tests.unit.trading.rig import d
from tests.unit.trading.test_matching import order


def slipped(given: Any, side: str = "buy", volume: Decimal | None = None) -> Decimal:
    made = to_slippage(given)
    return made.slip(order(side), d(200), d(10), volume, lambda: Random("x"))


@pytest.mark.parametrize(
    ("given", "buy", "sell"),
    [
        (None, "200", "200"),
        ("0.05%", "200.1", "199.9"),
        (0.0005, "200.1", "199.9"),
        ("0.0005", "200.1", "199.9"),
        ("0.02 per unit", "200.02", "199.98"),
        (lambda order, price, quantity: price + 1, "201", "201"),
    ],
)
def test_slippage_makes_a_price_worse_for_either_side(given: Any, buy: str, sell: str) -> None:
    assert slipped(given) == d(buy)
    assert slipped(given, "sell") == d(sell)


def test_impact_grows_with_the_square_of_the_share_of_the_volume() -> None:
    assert slipped("impact 0.1", volume=d(100)) == d("200.2")
    assert slipped("impact 0.1", volume=d(20)) == d(205)


@pytest.mark.parametrize("volume", [None, d(0), d(5)])
def test_impact_without_a_volume_or_beyond_it_is_the_whole(volume: Decimal | None) -> None:
    assert slipped("impact 0.1", volume=volume) == d(220)
    assert slipped("impact 0.1", "sell", volume=volume) == d(180)


def test_random_slippage_stays_between_none_and_the_most() -> None:
    made = to_slippage("random 1%")
    prices = {made.slip(order(), d(100), d(1), None, partial(Random, seed)) for seed in range(50)}
    assert len(prices) > 40
    assert min(prices) >= 100
    assert max(prices) <= 101


def test_slippage_never_makes_a_price_zero_or_less() -> None:
    assert slipped("500 per unit", "sell") == d("0.00000001")


@pytest.mark.parametrize(
    "given", ["", "2", 1, -0.1, True, "random", "impact 2", "5 per day", float("nan"), []]
)
def test_slippage_that_cannot_be_meant_is_refused_with_its_forms(given: Any) -> None:
    with pytest.raises(SettingError, match=r"setting 'slippage' is .*: expected"):
        to_slippage(given)


@pytest.mark.parametrize("returned", [None, 0, -5, "much", float("nan")])
def test_slippage_function_that_returns_no_price_says_so(returned: Any) -> None:
    def own(order: Order, price: Decimal, quantity: Decimal) -> Any:
        return returned

    with pytest.raises(BrokerNonsense, match="the slippage function returned"):
        slipped(own)
