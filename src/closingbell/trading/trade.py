"""Trade: one fill, as a task sees it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from closingbell.core.entry import Entry
from closingbell.core.order import Side
from closingbell.trading.local_time import LocalTime
from closingbell.trading.money import Money


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """One fill of an order.

    Attributes:
        id: its number in the account's journal.
        symbol: "AAPL", or "BTC/EUR".
        side: "buy" or "sell".
        quantity: how much, above 0.
        price: per unit, slippage included, in `currency`.
        cost: price times quantity, above 0 for sales too.
        fee: what it cost on top.
        created_at: when it happened, naive in the app's zone.
        order_id: the order that it filled.
        run_id: the run that placed the order; task: its task. None for a person's order.
        note: what a person should know.
    """

    id: int
    account: str
    symbol: str
    side: Side
    quantity: Money
    price: Money
    cost: Money
    fee: Money
    currency: str
    created_at: datetime
    order_id: str | None
    run_id: str | None
    task: str | None
    note: str | None


def trade_of(entry: Entry, local: LocalTime) -> Trade:
    """Return the trade that an entry of kind "fill" tells of."""
    return Trade(
        id=entry.seq,
        account=entry.account,
        symbol=entry.symbol or "",
        side=Side.BUY if entry.quantity > 0 else Side.SELL,
        quantity=Money(abs(entry.quantity)),
        price=Money(entry.price),
        cost=Money(abs(entry.amount)),
        fee=Money(entry.fee),
        currency=entry.currency,
        created_at=local.show(entry.at),
        order_id=entry.order_id,
        run_id=entry.run_id,
        task=entry.task,
        note=entry.note,
    )
