"""Order: the intention to trade, written down before anybody is asked."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from closingbell.core.amount import ZERO


class Side(StrEnum):
    """Which way."""

    BUY = "buy"
    SELL = "sell"

    @property
    def sign(self) -> int:
        """+1 for a purchase, -1 for a sale."""
        return 1 if self is Side.BUY else -1


class OrderType(StrEnum):
    """At which price."""

    MARKET = "market"
    LIMIT = "limit"
    STOP = "stop"
    STOP_LIMIT = "stop_limit"
    MARKET_ON_CLOSE = "market_on_close"


class OrderState(StrEnum):
    """Where an order stands.

    new (stored; perhaps sent, perhaps not) -> open -> filled | cancelled | expired
    new -> rejected
    """

    NEW = "new"
    OPEN = "open"
    FILLED = "filled"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    EXPIRED = "expired"


WORKING_STATES = frozenset({OrderState.NEW, OrderState.OPEN})


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An order of one account.

    Attributes:
        id: the client order id; the broker is asked for it when an answer was lost.
        quantity: how much, above 0.
        time_in_force: "gtc" (until cancelled) or "day" (until the session's end).
        effective_at: from when it may trade, in microseconds since the epoch.
        filled: how much has traded.
        run_id: the run that made it, or None for a person's; `ordinal` counts within the run.
        fence: of the attempt that made it.
        priority: of its task: orders of one instant trade in the order of
            (effective_at, priority, task, run_id, ordinal); run ids sort by when they were made.
        broker_id: the broker's own id, once it is known.
        reason: why it was rejected, cancelled or has expired, or what is worth knowing.
    """

    id: str
    account: str
    symbol: str
    side: Side
    type: OrderType
    quantity: Decimal
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    time_in_force: str = "gtc"
    state: OrderState = OrderState.NEW
    filled: Decimal = ZERO
    created_at: int
    effective_at: int
    updated_at: int
    run_id: str | None = None
    fence: int = 0
    ordinal: int = 0
    task: str | None = None
    priority: int = 5
    broker_id: str | None = None
    reason: str | None = None

    @property
    def remaining(self) -> Decimal:
        """How much has not traded."""
        return self.quantity - self.filled

    @property
    def is_working(self) -> bool:
        """Whether it may still trade."""
        return self.state in WORKING_STATES

    @property
    def rank(self) -> tuple[int, int, str, str, int, str]:
        """What orders the orders of one instant; the same live and in a backtest."""
        task, run_id = self.task or "", self.run_id or ""
        return (self.effective_at, self.priority, task, run_id, self.ordinal, self.id)


def client_order_id(run_id: str, ordinal: int) -> str:
    """Return the id of a run's `ordinal`-th order (from 1): 32 letters and digits at most.

    Every attempt of the run makes the same one. Exchanges take between 32 and 36 characters,
    some of them letters and digits only.
    """
    return f"cb{hashlib.blake2b(run_id.encode(), digest_size=12).hexdigest()}{ordinal:x}"
