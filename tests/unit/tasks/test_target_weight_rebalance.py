"""TargetWeightRebalance: out of the band all go back to their weights, and nothing is placed twice."""

from __future__ import annotations

from decimal import Decimal

import pytest

from closingbell.core.error import OrderRefused
from closingbell.tasks.target_weight_rebalance import TargetWeightRebalance
from tests.unit.tasks.desk_rig import DeskRig

D = Decimal
TARGETS = {"BTC": 0.5, "ETH": 0.3, "ADA": 0.2}


def market() -> DeskRig:
    rig = DeskRig(currency="EUR")
    tick(rig)
    return rig


def tick(rig: DeskRig, btc: int = 100) -> None:
    rig.price(BTC_EUR=btc, ETH_EUR=10, ADA_EUR=1)


def weights(rig: DeskRig) -> dict[str, float]:
    portfolio = rig.algorithm("look").get_portfolio()
    return {symbol: round(float(weight), 6) for symbol, weight in portfolio.weights.items()}


def test_cash_is_spread_over_the_targets() -> None:
    rig = market()
    done = rig.run(TargetWeightRebalance(TARGETS))
    tick(rig)

    assert len(done["orders"]) == 3
    assert done["drift"] == {"BTC": "-0.500000", "ETH": "-0.300000", "ADA": "-0.200000"}
    assert weights(rig) == {"BTC/EUR": 0.5, "ETH/EUR": 0.3, "ADA/EUR": 0.2}


def test_run_before_the_fills_places_nothing_twice() -> None:
    rig, task = market(), TargetWeightRebalance(TARGETS)
    first, second = rig.run(task), rig.run(task)

    assert (len(first["orders"]), second["orders"]) == (3, [])


def test_drift_within_the_band_is_left_alone_and_beyond_it_sold_first() -> None:
    rig, task = market(), TargetWeightRebalance(TARGETS)
    rig.run(task)
    tick(rig)
    tick(rig, btc=120)
    within = rig.run(task)
    tick(rig, btc=200)
    beyond = rig.run(task)
    look = rig.algorithm("look")
    sides = [look.get_order(order_id).side for order_id in beyond["orders"]]  # type: ignore[union-attr]
    tick(rig, btc=200)

    assert within["orders"] == []
    assert sides == ["sell", "buy", "buy"]
    assert weights(rig) == {"BTC/EUR": 0.5, "ETH/EUR": 0.3, "ADA/EUR": 0.2}


def test_trades_that_are_too_small_are_left_out() -> None:
    rig = market()
    rig.run(TargetWeightRebalance(TARGETS))
    tick(rig)
    tick(rig, btc=150)
    # BTC is 1,250 above its weight; ETH lacks 750, and ADA 500.
    done = rig.run(TargetWeightRebalance(TARGETS, min_trade=600))

    assert len(done["orders"]) == 2


def test_position_without_a_target_stays() -> None:
    rig = market()
    rig.price(DOGE_EUR=1)
    rig.buy("DOGE/EUR", 1_000)
    rig.run(TargetWeightRebalance({"BTC": 0.5}))
    tick(rig)

    assert weights(rig) == {"BTC/EUR": 0.5, "DOGE/EUR": 0.1}


@pytest.mark.parametrize("cash", [0, 1])
def test_account_worth_nothing_trades_nothing(cash: int) -> None:
    rig = DeskRig(cash=cash, short=True)
    if cash:
        rig.price(AAPL=1)
        rig.buy("AAPL", D("-0.9"))
        rig.price(AAPL=10, BTC=1)

    assert rig.run(TargetWeightRebalance({"BTC": 0.5})) == {"drift": {}, "orders": []}


def test_weights_above_one_are_refused_at_once() -> None:
    with pytest.raises(OrderRefused, match="the sum of weights"):
        TargetWeightRebalance({"A": 0.6, "B": 0.6})
