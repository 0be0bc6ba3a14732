"""Sizing: how much an order call means. Pure functions."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, NamedTuple

from closingbell.core.amount import ONE, ZERO, fraction, positive, to_decimal
from closingbell.core.error import InsufficientPosition, OrderRefused
from closingbell.core.order import OrderType, Side
from closingbell.trading import valuation
from closingbell.trading.account import Account

#: Orders that trade whatever the price does.
_CERTAIN = (OrderType.MARKET, OrderType.MARKET_ON_CLOSE)


class Size(NamedTuple):
    """How much, said in one of three ways; the others are None.

    Attributes:
        percentage: a fraction: of the position for a sale, of the free cash for a purchase.
        quantity: units.
        value: in the currency that the symbol is quoted in.
    """

    percentage: Decimal | None
    quantity: Decimal | None
    value: Decimal | None


def read_size(percentage: Any, quantity: Any, amount: Any, value: Any) -> Size:
    """Return the size that the words of a call mean; `amount` is another word for quantity.

    Raises:
        OrderRefused: it is said twice or not at all, or a number cannot be meant.
    """
    words = {"percentage": percentage, "quantity": quantity, "amount": amount, "value": value}
    given = {word: number for word, number in words.items() if number is not None}
    if len(given) != 1:
        expected = "one of percentage, quantity (or amount) and value"
        raise OrderRefused("size", ", ".join(given) or None, expected)
    [(word, number)] = given.items()
    if word == "percentage":
        return Size(fraction(number), None, None)
    if word == "value":
        return Size(None, None, positive(number, "value"))
    return Size(None, positive(number, word), None)


def read_weight(given: Any, argument: str = "percentage") -> Decimal:
    """Return a target weight: a fraction, below 0 for a short position.

    Raises:
        OrderRefused: it is no number, or beyond any leverage.
    """
    weight = to_decimal(given, argument)
    if not -10 <= weight <= 10:
        raise OrderRefused(argument, given, "a fraction of the total value (0.5 is a half)")
    return weight


def quantity_of(size: Size, side: Side, account: Account, symbol: str, price: Decimal) -> Decimal:
    """Return how many units a size means at a price.

    Raises:
        InsufficientPosition: a part of a position is to be sold, and there is none.
    """
    if size.quantity is not None:
        return size.quantity
    if size.value is not None:
        return size.value / price
    share = size.percentage or ONE
    if side is Side.BUY:
        return account.free_cash(account.currency_of(symbol)) * share / price
    held = account.book.quantity(symbol)
    if held <= 0:
        raise InsufficientPosition(symbol, f"{share:%} of the position in", ZERO)
    return held * share


def target_quantity(account: Account, symbol: str, weight: Decimal, price: Decimal) -> Decimal:
    """Return the position that makes up a share of the account's total value.

    Raises:
        NoPrice: the account cannot be valued.
    """
    terms = account.terms
    rate = valuation.rate(account.prices, account.currency_of(symbol), terms.currency)
    return account.value() * weight / (price * rate)


def on_its_way(account: Account, symbol: str) -> Decimal:
    """Return the position as it will be when its market orders have traded.

    A resting limit or stop may never trade: what it would change is not counted.
    """
    quantity = account.book.quantity(symbol)
    for order in account.orders.values():
        if order.symbol == symbol and order.type in _CERTAIN:
            quantity += order.side.sign * order.remaining
    return quantity
