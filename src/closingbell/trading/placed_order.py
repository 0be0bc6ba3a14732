"""PlacedOrder: an order, as a task sees it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from closingbell.core.order import Order, OrderState, OrderType, Side
from closingbell.trading.local_time import LocalTime
from closingbell.trading.money import Money


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedOrder:
    """An order as it stood when it was asked for; `algorithm.get_order(order.id)` asks again.

    Attributes:
        id: the client order id.
        symbol: "AAPL", or "BTC/EUR".
        side: "buy" or "sell".
        type: "market", "limit", "stop", "stop_limit" or "market_on_close".
        quantity: how much, above 0; filled: how much has traded; remaining: the rest.
        time_in_force: "gtc" (until cancelled) or "day" (until the session's end).
        state: "new", "open", "filled", "cancelled", "rejected" or "expired".
        reason: why it was rejected, cancelled or has expired, or what is worth knowing.
        created_at: naive in the app's zone, as `updated_at` is.
        run_id: the run that placed it; task: its task. None for a person's order.
        broker_id: the broker's own id, once it is known.
    """

    id: str
    account: str
    symbol: str
    side: Side
    type: OrderType
    quantity: Money
    filled: Money
    remaining: Money
    limit_price: Money | None
    stop_price: Money | None
    time_in_force: str
    state: OrderState
    reason: str | None
    created_at: datetime
    updated_at: datetime
    run_id: str | None
    task: str | None
    broker_id: str | None

    @property
    def status(self) -> OrderState:
        """The same as `state`."""
        return self.state

    @property
    def is_open(self) -> bool:
        """Whether it may still trade."""
        return self.state in (OrderState.NEW, OrderState.OPEN)


def placed_order(order: Order, local: LocalTime) -> PlacedOrder:
    """Return an order as a task sees it."""
    return PlacedOrder(
        id=order.id,
        account=order.account,
        symbol=order.symbol,
        side=order.side,
        type=order.type,
        quantity=Money(order.quantity),
        filled=Money(order.filled),
        remaining=Money(order.remaining),
        limit_price=None if order.limit_price is None else Money(order.limit_price),
        stop_price=None if order.stop_price is None else Money(order.stop_price),
        time_in_force=order.time_in_force,
        state=order.state,
        reason=order.reason,
        created_at=local.show(order.created_at),
        updated_at=local.show(order.updated_at),
        run_id=order.run_id,
        task=order.task,
        broker_id=order.broker_id,
    )
