"""The desk on the wire: accounts, what they are worth, orders, journals, curves."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, Field

from closingbell.core.entry import EntryKind
from closingbell.core.order import OrderState, OrderType, Side
from closingbell.wire.amount import Amount


class AccountInfo(BaseModel):
    """An account of the ledger."""

    name: str
    currency: str
    broker: str
    opened_at: datetime
    initial: Amount = Field(description="what it began with")
    entries: int = Field(description="lines of its journal")
    last_value: Amount | None = Field(description="what it was worth at its last snapshot")
    last_value_at: datetime | None


class PositionInfo(BaseModel):
    """What is held of one symbol; a short position has quantity, cost and value below 0.

    Cost, value and gains are in the account's currency; null where a price is missing.
    """

    symbol: str
    quantity: Amount
    currency: str = Field(description="in which the symbol is quoted")
    average_price: Amount = Field(description="what a unit cost, without fees")
    price: Amount | None = Field(description="the latest price that is known")
    priced_at: datetime | None
    cost: Amount | None
    value: Amount | None
    unrealized_pnl: Amount | None
    realized_pnl: Amount | None
    weight: Amount | None = Field(description="its share of the account's value, a fraction")
    opened_at: datetime


class PortfolioInfo(BaseModel):
    """What an account is worth, in its currency; null where a price is missing."""

    account: str
    currency: str
    broker: str
    opened_at: datetime
    is_live: bool = Field(
        description="whether market data passes the account in the process that answers; else "
        "prices are those of the account's last change"
    )
    priced_until: datetime | None = Field(
        description="up to where market data has passed the account"
    )
    total_value: Amount | None
    cash: Amount | None
    cash_by_currency: dict[str, Amount]
    free_cash: Amount | None = Field(description="cash less what working orders may cost")
    initial_value: Amount
    net_deposits: Amount | None
    peak_value: Amount
    drawdown: Amount | None = Field(description="below the peak, a fraction of it")
    max_drawdown: Amount | None = Field(description="the limit that the app declares")
    is_breached: bool = Field(description="whether that limit is breached")
    realized_pnl: Amount | None
    unrealized_pnl: Amount | None
    exposure: Amount | None
    working_orders: int
    positions: list[PositionInfo]
    missing_price: str | None = Field(description="why something is null, if it is")


class OrderRun(BaseModel):
    """The run that made an order."""

    id: str
    task: str | None
    state: str | None = Field(description="null when the run was pruned")


class OrderInfo(BaseModel):
    """An order as it stands."""

    id: str
    account: str
    symbol: str
    side: Side
    type: OrderType
    quantity: Amount
    filled: Amount
    limit_price: Amount | None
    stop_price: Amount | None
    time_in_force: str
    state: OrderState
    created_at: datetime
    effective_at: datetime = Field(description="from when it may trade")
    updated_at: datetime
    broker_id: str | None
    reason: str | None
    run: OrderRun | None = Field(description="who made it; null = a person did")


class OrderStep(BaseModel):
    """What became of an order; null = unchanged."""

    at: datetime
    state: OrderState
    filled: Amount | None
    quantity: Amount | None
    limit_price: Amount | None
    stop_price: Amount | None
    broker_id: str | None
    reason: str | None


class Trade(BaseModel):
    """A fill."""

    seq: int
    at: datetime
    side: Side
    symbol: str
    quantity: Amount
    price: Amount
    amount: Amount = Field(description="price times quantity")
    fee: Amount
    currency: str
    order_id: str
    run_id: str | None
    task: str | None
    external_id: str | None = Field(description="the broker's own name of it")


class OrderDetail(OrderInfo):
    """An order with all that became of it."""

    history: list[OrderStep] = Field(description="the oldest first")
    trades: list[Trade] = Field(description="the oldest first; 1000 at most")
    trades_complete: bool


class EntryInfo(BaseModel):
    """A line of an account's journal. Cash is the sum of `amount` less `fee`."""

    seq: int
    at: datetime
    kind: EntryKind
    currency: str
    amount: Amount = Field(description="what came in; below 0 what went out; before the fee")
    fee: Amount
    symbol: str | None
    quantity: Amount
    price: Amount
    order_id: str | None
    run_id: str | None
    task: str | None
    external_id: str | None
    note: str | None


class EquityPoint(BaseModel):
    """What an account was worth at one instant."""

    at: datetime
    value: Amount
    cash: Amount
    peak: Amount
    flows: Amount = Field(description="net deposits so far")
    realized: Amount
    unrealized: Amount
    exposure: Amount


class EquityCurve(BaseModel):
    """Points of an account's equity curve, the oldest first."""

    account: str
    currency: str
    points: list[EquityPoint]
    is_thinned: bool = Field(
        description="whether points were left out; of each span its lowest and highest stay"
    )
