"""Facts: the events that the desk stores with what they tell.

Their data are JSON values: amounts as decimal text, fractions as numbers, instants as
ISO 8601 text in UTC.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from closingbell.core.amount import plain
from closingbell.core.book import Holding
from closingbell.core.clock import from_micros
from closingbell.core.ledger import Fact, Snapshot
from closingbell.core.order import Order
from closingbell.trading.broker.protocol import Execution
from closingbell.trading.drawdown import drawdown_of

ORDER_FILLED = "order_filled"
POSITION_CHANGE = "position_change"
DAILY_CLOSE = "daily_close"
MARKET_DATA_UPDATE = "market_data_update"
DRAWDOWN_BREACH = "drawdown_breach"


def order_filled(order: Order, execution: Execution) -> Fact:
    """An order has traded, in whole or in part; `order` as the trade leaves it."""
    return Fact(
        ORDER_FILLED,
        {
            "account": order.account,
            "order_id": order.id,
            "run_id": order.run_id,
            "task": order.task,
            "symbol": order.symbol,
            "side": order.side.value,
            "quantity": plain(execution.quantity),
            "price": plain(execution.price),
            "fee": plain(execution.fee),
            "filled": plain(order.filled),
            "state": order.state.value,
            "at": _text(execution.at),
        },
    )


def position_change(
    account: str,
    before: Decimal,
    holding: Holding,
    price: Decimal,
    exposure: Decimal | None,
    at: int,
) -> Fact:
    """A trade changed a position.

    Args:
        account: whose.
        before: the quantity before.
        holding: the position as the trade leaves it.
        price: the latest of the symbol; `value` is the quantity at this price.
        exposure: of the whole account, in its currency; None where it cannot be said.
        at: when.
    """
    return Fact(
        POSITION_CHANGE,
        {
            "account": account,
            "symbol": holding.symbol,
            "currency": holding.currency,
            "quantity": plain(holding.quantity),
            "previous_quantity": plain(before),
            "change": plain(holding.quantity - before),
            "average_price": plain(holding.average_price),
            "price": plain(price),
            "value": plain(holding.quantity * price),
            "exposure": _amount(exposure),
            "at": _text(at),
        },
    )


def daily_close(
    account: str, session_date: str, at: int, worth: Snapshot | None, day_change: Decimal | None
) -> Fact:
    """A session of the account's venue is over.

    Args:
        account: whose.
        session_date: the session's date, ISO.
        at: when it ended.
        worth: what the account is worth; None where a price is missing.
        day_change: what the day brought, cash flows taken off.
    """
    return Fact(
        DAILY_CLOSE,
        {
            "account": account,
            "session_date": session_date,
            "value": _amount(worth and worth.value),
            "cash": _amount(worth and worth.cash),
            "peak": _amount(worth and worth.peak),
            "drawdown": float(drawdown_of(worth.value, worth.peak)) if worth else None,
            "realized": _amount(worth and worth.realized),
            "unrealized": _amount(worth and worth.unrealized),
            "day_change": _amount(day_change),
            "at": _text(at),
        },
    )


def market_data_update(timeframe: str, symbols: Iterable[str], at: int) -> Fact:
    """Bars of these symbols are over, and known."""
    return Fact(
        MARKET_DATA_UPDATE,
        {"timeframe": timeframe, "symbols": sorted(set(symbols)), "at": _text(at)},
    )


def drawdown_breach(account: str, value: Decimal, peak: Decimal, limit: Decimal, at: int) -> Fact:
    """An account fell further below its peak than it may."""
    return Fact(
        DRAWDOWN_BREACH,
        {
            "account": account,
            "value": plain(value),
            "peak": plain(peak),
            "drawdown": float(drawdown_of(value, peak)),
            "limit": float(limit),
            "at": _text(at),
        },
    )


def _text(at: int) -> str:
    return from_micros(at).isoformat()


def _amount(value: Decimal | None) -> str | None:
    return None if value is None else plain(value)
