"""Ticket: what somebody wants to trade, before it is checked."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from closingbell.core.order import OrderType, Side


class Ticket(NamedTuple):
    """An order as it is asked for; the desk checks it and makes an `Order` of it.

    Attributes:
        account: whose.
        symbol: the whole name, "AAPL" or "BTC/EUR".
        quantity: above 0; rounded down to the account's lot, or to 8 decimals.
        limit_price: of a limit or stop-limit order.
        stop_price: of a stop or stop-limit order.
        time_in_force: "gtc" (until cancelled) or "day" (until the session's end).
        key: the caller's name for this order, unique within its run: the same key means the
            same order, however often it is placed. Of a person's order it is the order's id.
    """

    account: str
    symbol: str
    side: Side
    type: OrderType
    quantity: Decimal
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    time_in_force: str = "gtc"
    key: str | None = None
