"""RiskManager: reduces once in a breach, trims what is too large, and never sells twice."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from closingbell.core.error import OrderRefused
from closingbell.tasks.risk_limits import RiskManager
from tests.unit.tasks.desk_rig import DeskRig

D = Decimal


def held(rig: DeskRig) -> dict[str, Decimal]:
    return {p.symbol: D(p.quantity) for p in rig.algorithm("look").get_positions()}


def invested(**terms: Any) -> DeskRig:
    """6,000 in AAPL, 2,000 in IBM, 2,000 in cash."""
    rig = DeskRig(**terms)
    rig.price(AAPL=100, IBM=50)
    rig.buy("AAPL", 60)
    rig.buy("IBM", 40)
    return rig


def test_breach_cancels_orders_and_closes_half_of_every_position() -> None:
    rig = invested()
    resting = rig.algorithm("other").create_buy_order("IBM", quantity=1, limit_price=10)
    rig.price(AAPL=70)
    done = rig.run(RiskManager(max_position_size=None))
    rig.price(AAPL=70, IBM=50)

    assert done["cancelled"] == [resting.id]
    assert held(rig) == {"AAPL": 30, "IBM": 20}
    assert [(alert.severity, alert.message[:27]) for alert in rig.alerts] == [
        ("CRITICAL", "the drawdown is 18.00%, the")
    ]


def test_breach_that_lasts_is_acted_on_once() -> None:
    rig, task = invested(), RiskManager(max_position_size=None)
    for _ in range(10):
        rig.price(AAPL=70, IBM=50)
        rig.run(task)
    rig.price(AAPL=70, IBM=50)

    assert held(rig) == {"AAPL": 30, "IBM": 20}
    assert len(rig.alerts) == 1


def test_breach_that_lasts_is_acted_on_each_time_where_that_was_asked_for() -> None:
    rig, task = invested(), RiskManager(max_position_size=None, once_per_breach=False)
    for _ in range(3):
        rig.price(AAPL=70, IBM=50)
        rig.run(task)
    rig.price(AAPL=70, IBM=50)

    assert held(rig) == {"AAPL": D("7.5"), "IBM": 5}


def test_drawdown_that_flutters_around_its_limit_is_one_breach() -> None:
    rig, task = invested(), RiskManager(max_position_size=None)
    for price in (74, 77, 73, 78, 72, 79):
        rig.price(AAPL=price, IBM=50)
        rig.run(task)
    rig.price(AAPL=79, IBM=50)

    assert held(rig) == {"AAPL": 30, "IBM": 20}


def test_drawdown_that_is_half_made_good_may_be_a_second_breach() -> None:
    rig, task = invested(), RiskManager(max_position_size=None)
    for price in (70, 70, 140, 140, 10, 10):
        rig.price(AAPL=price, IBM=50)
        rig.run(task)
    rig.price(AAPL=10, IBM=50)

    assert held(rig) == {"AAPL": 15, "IBM": 10}
    assert len(rig.alerts) == 2


def test_short_positions_are_bought_back() -> None:
    rig = DeskRig(short=True)
    rig.price(AAPL=100)
    rig.buy("AAPL", -50)
    rig.price(AAPL=150)
    rig.run(RiskManager(max_position_size=0.3, reduce_by=0.2))
    rig.price(AAPL=150)

    # Of 7,500 worth of stock in an account of 7,500, 30 % less the margin of 5 % stay.
    assert held(rig)["AAPL"] == pytest.approx(D("-14.25"))


def test_oversized_position_is_sold_down_to_its_limit_and_no_further() -> None:
    rig, task = invested(), RiskManager(max_drawdown=None, max_position_size=0.4)
    first, second = rig.run(task), rig.run(task)
    rig.price(AAPL=100, IBM=50)
    third = rig.run(task)

    assert first["trimmed"] == {"AAPL": "22"}
    assert second["trimmed"] == third["trimmed"] == {}
    assert held(rig) == {"AAPL": 38, "IBM": 40}


def test_resting_order_that_holds_the_position_back_is_cancelled_to_trim_it() -> None:
    rig = invested()
    stop = rig.algorithm("other").create_sell_order("AAPL", quantity=60, stop_price=50)
    rig.run(RiskManager(max_drawdown=None, max_position_size=0.4))
    rig.price(AAPL=100, IBM=50)
    placed = rig.algorithm("look").get_order(stop.id)

    assert placed is not None
    assert placed.state == "cancelled"
    assert held(rig)["AAPL"] == 38


def test_resting_order_beside_a_trim_stays() -> None:
    rig = invested()
    stop = rig.algorithm("other").create_sell_order("AAPL", quantity=10, stop_price=50)
    rig.run(RiskManager(max_drawdown=None, max_position_size=0.4))
    rig.price(AAPL=100, IBM=50)

    assert [order.id for order in rig.algorithm("look").get_open_orders()] == [stop.id]
    assert held(rig)["AAPL"] == 38


def test_account_worth_nothing_has_all_its_positions_closed() -> None:
    rig = DeskRig(cash=1_000, short=True)
    rig.price(AAPL=10)
    rig.buy("AAPL", -90)
    rig.price(AAPL=30)
    rig.run(RiskManager(max_drawdown=None, max_position_size=0.1))
    rig.price(AAPL=30)

    assert held(rig) == {}
    assert rig.algorithm("look").get_portfolio().total_value < 0


def test_quantity_that_rounds_to_nothing_is_left_alone() -> None:
    rig = DeskRig(cash=130, lot=D(1))
    rig.price(AAPL=100)
    rig.buy("AAPL", 1)
    rig.price(AAPL=60)
    done = rig.run(RiskManager(max_position_size=0.9))

    assert done["reduced"] == {}
    assert held(rig) == {"AAPL": 1}


def test_empty_account_is_within_its_limits() -> None:
    rig = DeskRig(cash=0)

    assert rig.run(RiskManager()) == {"drawdown": "0", "trimmed": {}}
    assert rig.alerts == []


@pytest.mark.parametrize("limit", [0, 15, -0.1, "nan"])
def test_limit_that_is_no_fraction_is_refused_at_once(limit: Any) -> None:
    with pytest.raises(OrderRefused, match="max_drawdown"):
        RiskManager(max_drawdown=limit)
