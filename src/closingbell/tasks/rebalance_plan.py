"""RebalancePlan: what to trade so that positions have their target weights again."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import NamedTuple

from closingbell.core.amount import ONE, ZERO
from closingbell.core.error import OrderRefused


class Move(NamedTuple):
    """A trade of a plan: buy for `amount` of the account's currency, or sell where it is below 0."""

    symbol: str
    amount: Decimal


def drifts(
    targets: Mapping[str, Decimal], positions: Mapping[str, Decimal], equity: Decimal
) -> dict[str, Decimal]:
    """Return by how much each target's weight is above (or below 0) what it should be.

    Args:
        targets: weights by symbol, as fractions of the equity.
        positions: worth by symbol.
        equity: what the account is worth, above 0.
    """
    return {
        symbol: positions.get(symbol, ZERO) / equity - target for symbol, target in targets.items()
    }


def plan_moves(
    targets: Mapping[str, Decimal],
    positions: Mapping[str, Decimal],
    equity: Decimal,
    *,
    band: Decimal = ZERO,
    min_trade: Decimal = ZERO,
) -> list[Move]:
    """Return the trades that bring positions to their targets, sales first.

    Nothing is traded while every weight is within `band` of its target. Once one is outside, all
    go back to their targets, except by trades below `min_trade`. Positions without a target stay.

    Args:
        targets: weights by symbol, fractions of the equity that add up to at most 1.
        positions: worth by symbol.
        equity: what the account is worth; at 0 or below nothing can be weighed, or traded.
        band: a fraction; a weight may be off by so much.
        min_trade: an amount; smaller trades are left out.

    Raises:
        OrderRefused: a target is below 0, or they add up to more than 1.
    """
    check_targets(targets)
    if equity <= 0:
        return []
    if all(abs(drift) <= band for drift in drifts(targets, positions, equity).values()):
        return []
    # Not from the drifts: what a division rounds away would be left over.
    moves = [Move(s, weight * equity - positions.get(s, ZERO)) for s, weight in targets.items()]
    moves = [move for move in moves if move.amount and abs(move.amount) >= min_trade]
    return sorted(moves, key=lambda move: (move.amount > 0, move.symbol))


def check_targets(targets: Mapping[str, Decimal]) -> None:
    """Refuse weights that no account without a loan can have.

    Raises:
        OrderRefused: one is below 0, or they add up to more than 1.
    """
    for symbol, weight in targets.items():
        if not ZERO <= weight <= ONE:
            raise OrderRefused(f"the weight of {symbol}", weight, "a fraction from 0 to 1")
    total = sum(targets.values(), ZERO)
    if total > ONE:
        raise OrderRefused("the sum of weights", total, "at most 1")
