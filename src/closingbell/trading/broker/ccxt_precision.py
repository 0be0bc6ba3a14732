"""How an order is made to fit an exchange's steps: never into more than was asked for.

- A quantity is rounded down to the exchange's step.
- A limit price is rounded to its owner's side: a buyer's down, a seller's up.
- A stop price is rounded so that it triggers no earlier: a buyer's up, a seller's down.

What nothing is left of, or what is below the exchange's smallest order, is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, localcontext
from typing import Any

from closingbell.core.amount import ZERO
from closingbell.core.error import BrokerRejected
from closingbell.core.order import Order, Side
from closingbell.trading.broker.ccxt_answer import CcxtAnswers


def fitted(
    order: Order, market: Mapping[str, Any], precision_mode: str, answers: CcxtAnswers
) -> Order:
    """Return an order in the exchange's steps; the same one when it fits already.

    Args:
        order: as it is wanted.
        market: what ccxt knows of its symbol.
        precision_mode: what the steps mean: "tick size", "decimal places" or
            "significant digits".
        answers: reads numbers.

    Raises:
        BrokerRejected: nothing is left of it, or too little.
    """
    steps = market.get("precision") or {}

    def step(name: str, value: Decimal) -> Decimal | None:
        if steps.get(name) is None:
            return None
        precision = answers.amount(steps[name], f"the {name}'s precision")
        match precision_mode:
            case "decimal places":
                return Decimal(1).scaleb(-int(precision))
            case "significant digits":
                return Decimal(1).scaleb(value.adjusted() + 1 - int(precision))
        return precision if precision > 0 else None

    def price(value: Decimal | None, rounding: str) -> Decimal | None:
        if value is None:
            return None
        cut = _round(value, step("price", value), rounding)
        if cut <= 0:
            raise BrokerRejected(
                answers.name, f"a price of {value} is less than the smallest of {order.symbol}"
            )
        return cut

    buys = order.side is Side.BUY
    finest = step("amount", order.quantity)
    quantity = _round(order.quantity, finest, ROUND_FLOOR)
    least = ((market.get("limits") or {}).get("amount") or {}).get("min")
    smallest = ZERO if least is None else answers.amount(least, "the smallest order")
    if quantity <= 0 or quantity < smallest:
        raise BrokerRejected(
            answers.name,
            f"{order.quantity} {order.symbol} is less than the smallest order, "
            f"{max(smallest, finest or ZERO)}",
        )
    limit = price(order.limit_price, ROUND_FLOOR if buys else ROUND_CEILING)
    stop = price(order.stop_price, ROUND_CEILING if buys else ROUND_FLOOR)
    if (quantity, limit, stop) == (order.quantity, order.limit_price, order.stop_price):
        return order
    return replace(order, quantity=quantity, limit_price=limit, stop_price=stop)


def _round(value: Decimal, step: Decimal | None, rounding: str) -> Decimal:
    if step is None:
        return value
    with localcontext(prec=60):
        cut = (value / step).to_integral_value(rounding) * step
    return value if cut == value else cut.normalize() + 0
