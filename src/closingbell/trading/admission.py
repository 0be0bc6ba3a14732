"""Admission: whether a ticket may become an order. Pure functions.

What cannot be meant is refused (`OrderRefused`). A quantity is rounded down to the
account's lot; a sale of all that is held keeps its size. What the account cannot pay at
the price of now, or does not hold, is refused; what turns out dearer when it trades is cut
to what is there.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TypeVar

from closingbell.core.amount import ONE, ZERO, plain, positive, round_down
from closingbell.core.error import InsufficientFunds, InsufficientPosition, NoPrice, OrderRefused
from closingbell.core.order import Order, OrderState, OrderType, Side
from closingbell.trading import valuation
from closingbell.trading.account import Account
from closingbell.trading.placement import Placement
from closingbell.trading.ticket import Ticket

_LIMITED = (OrderType.LIMIT, OrderType.STOP_LIMIT)
_STOPPED = (OrderType.STOP, OrderType.STOP_LIMIT)
_TIMES_IN_FORCE = ("gtc", "day")
_Member = TypeVar("_Member", Side, OrderType)
#: Beyond it sums are not exact any more.
_LARGEST = Decimal("1e15")


def sound(ticket: Ticket) -> Ticket:
    """Return a ticket whose parts are what they should be, as plain decimals.

    Raises:
        OrderRefused: a part of it cannot be meant.
    """
    if not ticket.symbol or not isinstance(ticket.symbol, str):
        raise OrderRefused("symbol", ticket.symbol, "a symbol such as 'AAPL' or 'BTC/EUR'")
    if ticket.time_in_force not in _TIMES_IN_FORCE:
        raise OrderRefused("time_in_force", ticket.time_in_force, "'gtc' or 'day'")
    side, kind = _one_of(Side, ticket.side, "side"), _one_of(OrderType, ticket.type, "order_type")
    return ticket._replace(
        side=side,
        type=kind,
        quantity=_bounded(ticket.quantity, "quantity"),
        limit_price=_price(ticket.limit_price, "limit_price", kind, kind in _LIMITED),
        stop_price=_price(ticket.stop_price, "stop_price", kind, kind in _STOPPED),
    )


def _one_of(kind: type[_Member], given: object, name: str) -> _Member:
    try:
        return kind(str(given))
    except ValueError:
        raise OrderRefused(name, given, "one of " + ", ".join(kind)) from None


def _bounded(given: object, name: str) -> Decimal:
    value = positive(given, name)
    if value > _LARGEST:
        raise OrderRefused(name, given, "a number that a market could trade")
    return value


def _price(given: object, name: str, kind: OrderType, needed: bool) -> Decimal | None:
    if given is None:
        if needed:
            raise OrderRefused(name, given, f"a price: a {kind} order needs one")
        return None
    if not needed:
        raise OrderRefused(name, given, f"none: a {kind} order has none")
    return _bounded(given, name)


def admit(
    account: Account, ticket: Ticket, by: Placement, order_id: str, ordinal: int, at: int
) -> Order:
    """Return the order that a sound ticket becomes: open at once where orders are matched here.

    Args:
        account: whose; its price of the symbol, cash and position are what counts.
        ticket: as `sound` returns it.
        by: who places it.
        order_id: of the order.
        ordinal: within its run.
        at: now.

    Raises:
        OrderRefused: less than one lot is left of the quantity.
        NoPrice: nobody knows what it would cost.
        InsufficientFunds: it costs more than is free.
        InsufficientPosition: it sells more than is free, and the account does not sell short.
    """
    quantity = _quantity(account, ticket)
    order = Order(
        id=order_id,
        account=ticket.account,
        symbol=ticket.symbol,
        side=ticket.side,
        type=ticket.type,
        quantity=quantity,
        limit_price=ticket.limit_price,
        stop_price=ticket.stop_price,
        time_in_force=ticket.time_in_force,
        state=OrderState.OPEN if account.broker.matches else OrderState.NEW,
        created_at=at,
        updated_at=at,
        effective_at=by.effective_at,
        run_id=by.run_id,
        fence=by.fence,
        ordinal=ordinal,
        task=by.task,
        priority=by.priority,
    )
    _check(account, order)
    return order


def _quantity(account: Account, ticket: Ticket) -> Decimal:
    lot = account.terms.lot
    held = account.book.quantity(ticket.symbol)
    if ticket.quantity == held * -ticket.side.sign:
        return ticket.quantity
    quantity = round_down(ticket.quantity, lot)
    if quantity <= 0:
        least = "0.00000001" if lot is None else f"at least one lot of {plain(lot)}"
        raise OrderRefused("quantity", plain(ticket.quantity), least)
    return quantity


def _check(account: Account, order: Order) -> None:
    """Refuse what the account has no means for.

    What reduces a position needs no cash; of an order that turns it round the rest does.
    """
    symbol, held = order.symbol, account.book.quantity(order.symbol)
    if order.side is Side.SELL:
        free = account.free_quantity(symbol)
        reducing = min(free, order.quantity)
        if reducing < order.quantity and not account.terms.short:
            raise InsufficientPosition(symbol, plain(order.quantity), plain(free))
    else:
        reducing = min(max(-held, ZERO), order.quantity)
    price = order.limit_price or order.stop_price
    if price is None:
        known = account.prices.get(symbol)
        if known is None:
            raise NoPrice(symbol)
        price = known[1]
    adding = order.quantity - reducing
    if adding > 0:
        currency = account.currency_of(symbol)
        terms = account.terms
        if terms.short or terms.leverage != ONE:
            # Without a rate there is no buying power, and this says why.
            valuation.rate(account.prices, currency, terms.currency)
        needed = adding * price
        free = account.free_for(order)
        if needed > free:
            raise InsufficientFunds(symbol, plain(needed), plain(free), currency)
