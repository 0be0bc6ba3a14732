"""The words of an order call: side, type, prices and how long, as scripts write them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, NamedTuple, TypeVar

from closingbell.core.amount import positive
from closingbell.core.error import OrderRefused
from closingbell.core.order import OrderState, OrderType, Side

_E = TypeVar("_E", Side, OrderType, OrderState)

#: How long an order works: until it is cancelled, or until the session's end.
TIMES_IN_FORCE = ("gtc", "day")
#: The prices that each type has: (a limit, a stop).
_PRICES = {
    OrderType.MARKET: (False, False),
    OrderType.MARKET_ON_CLOSE: (False, False),
    OrderType.LIMIT: (True, False),
    OrderType.STOP: (False, True),
    OrderType.STOP_LIMIT: (True, True),
}


class Terms(NamedTuple):
    """At which price an order trades, and how long it works."""

    type: OrderType
    limit_price: Decimal | None
    stop_price: Decimal | None
    time_in_force: str


MARKET = Terms(OrderType.MARKET, None, None, "gtc")


def read_side(given: Any) -> Side:
    """Return a side: a Side, or "buy" or "sell" in any case.

    Raises:
        OrderRefused: it is neither.
    """
    return _read(Side, "order_side", given)


def read_type(given: Any) -> OrderType:
    """Return an order type: an OrderType, or its name in any case.

    Raises:
        OrderRefused: there is none of that name.
    """
    return _read(OrderType, "order_type", given)


def read_state(given: Any) -> OrderState:
    """Return the state of an order by its name in any case.

    Raises:
        OrderRefused: there is none of that name.
    """
    return _read(OrderState, "status", given)


def read_terms(
    order_type: Any, price: Any, limit_price: Any, stop_price: Any, time_in_force: Any
) -> Terms:
    """Return the terms that the words of a call mean.

    Args:
        order_type: an OrderType or its name in any case; None = what the prices say.
        price: another word for `limit_price`.
        limit_price: of a limit or stop-limit order.
        stop_price: of a stop or stop-limit order.
        time_in_force: "gtc" or "day", in any case.

    Raises:
        OrderRefused: they contradict each other, or one cannot be read.
    """
    if price is not None:
        if limit_price is not None:
            raise OrderRefused("price", price, "one of price and limit_price, which mean the same")
        limit_price = price
    limit = None if limit_price is None else positive(limit_price, "limit_price")
    stop = None if stop_price is None else positive(stop_price, "stop_price")
    if order_type is None:
        kind = next(
            kind
            for kind, wanted in _PRICES.items()
            if wanted == (limit is not None, stop is not None)
        )
    else:
        kind = read_type(order_type)
    for name, value, wanted in zip(
        ("limit_price", "stop_price"), (limit, stop), _PRICES[kind], strict=True
    ):
        if wanted and value is None:
            raise OrderRefused(name, None, f"a price, as the order is a {kind.value} order")
        if value is not None and not wanted:
            raise OrderRefused(name, value, f"none, as the order is a {kind.value} order")
    force = str(time_in_force).lower()
    if force not in TIMES_IN_FORCE:
        raise OrderRefused("time_in_force", time_in_force, "'gtc' or 'day'")
    return Terms(kind, limit, stop, force)


def _read(kind: type[_E], argument: str, given: Any) -> _E:
    word = str(given.value if isinstance(given, kind) else given)
    word = word.strip().lower().replace("-", "_").replace(" ", "_")
    try:
        return kind(word)
    except ValueError:
        expected = ", ".join(repr(member.value) for member in kind)
        raise OrderRefused(argument, given, f"one of {expected}") from None
