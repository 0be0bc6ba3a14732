"""Rebalance plans: sales first, nothing within the band, and the weights are right after them."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closingbell.core.error import OrderRefused
from closingbell.tasks.rebalance_plan import Move, plan_moves

D = Decimal
TARGETS = {"BTC": D("0.5"), "ETH": D("0.3"), "ADA": D("0.2")}


def test_plan_of_an_account_in_cash_buys_the_targets() -> None:
    assert plan_moves(TARGETS, {}, D(1000), band=D("0.05")) == [
        Move("ADA", D(200)),
        Move("BTC", D(500)),
        Move("ETH", D(300)),
    ]


def test_plan_sells_before_it_buys() -> None:
    positions = {"BTC": D(700), "ETH": D(100), "ADA": D(200)}

    assert plan_moves(TARGETS, positions, D(1000), band=D("0.05")) == [
        Move("BTC", D(-200)),
        Move("ETH", D(200)),
    ]


@pytest.mark.parametrize(("btc", "trades"), [(550, 0), (551, 3)])
def test_plan_at_the_band_trades_nothing_and_beyond_it_everything(btc: int, trades: int) -> None:
    positions = {"BTC": D(btc), "ETH": D(290), "ADA": D(1000 - btc - 290)}

    assert len(plan_moves(TARGETS, positions, D(1000), band=D("0.05"))) == trades


def test_plan_leaves_out_trades_that_are_too_small() -> None:
    positions = {"BTC": D(600), "ETH": D(299), "ADA": D(101)}
    found = plan_moves(TARGETS, positions, D(1000), band=D("0.05"), min_trade=D(5))

    assert [move.symbol for move in found] == ["BTC", "ADA"]


def test_plan_leaves_positions_without_a_target_alone() -> None:
    found = plan_moves({"BTC": D("0.5")}, {"DOGE": D(400)}, D(1000))

    assert found == [Move("BTC", D(500))]


@pytest.mark.parametrize("equity", [0, -100])
def test_plan_of_an_account_worth_nothing_is_empty(equity: int) -> None:
    assert plan_moves(TARGETS, {"BTC": D(50)}, D(equity)) == []


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        ({"A": D("0.6"), "B": D("0.5")}, "the sum of weights"),
        ({"A": D("-0.1")}, "the weight of A"),
        ({"A": D("50")}, "the weight of A"),
    ],
)
def test_plan_of_impossible_weights_is_refused(targets: dict[str, Decimal], message: str) -> None:
    with pytest.raises(OrderRefused, match=message):
        plan_moves(targets, {}, D(1000))


worth = st.decimals(0, 10_000, places=2)


@given(
    st.lists(st.integers(0, 25), max_size=4),
    st.lists(worth, min_size=4, max_size=4),
    worth,
)
def test_plan_of_any_account_keeps_its_worth_and_hits_its_targets(
    weights: list[int], held: list[Decimal], cash: Decimal
) -> None:
    symbols = "ABCD"
    targets = {s: D(weight) / 100 for s, weight in zip(symbols, weights, strict=False)}
    positions = dict(zip(symbols, held, strict=True))
    equity = cash + sum(held)
    moves = plan_moves(targets, positions, equity)
    for move in moves:
        positions[move.symbol] += move.amount
        cash -= move.amount

    amounts = [move.amount for move in moves]
    assert all(a < 0 for a in amounts[: sum(a < 0 for a in amounts)])
    assert all(amount >= 0 for amount in positions.values())
    if equity > 0:
        for symbol, target in targets.items():
            assert float(positions[symbol]) == pytest.approx(float(target * equity), abs=1e-9)
