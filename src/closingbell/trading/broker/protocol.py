"""Broker: the one protocol behind every account.

A broker answers questions and takes orders; it keeps no books. Two kinds share
the protocol. A matching broker (simulated, paper) decides fills from the market
data that passes the desk: `on_bar`, `on_open` and `on_quote`. A remote one (an
exchange) decides them elsewhere and is asked: `activity`.

Subclass it for a broker of your own; what it does not override does nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from closingbell.core.amount import ZERO
from closingbell.core.bar import Bar, Quote
from closingbell.core.error import BrokerRejected
from closingbell.core.order import Order, OrderState


class Execution(NamedTuple):
    """One trade of an order.

    Attributes:
        order_id: the client order id.
        at: when it traded, in microseconds since the epoch.
        quantity: how much, above 0.
        price: per unit, slippage included.
        fee: 0 or more, in `fee_currency` (None = the symbol's quote currency).
        external_id: the broker's name of this trade, unique within the account.
        note: what a person should know.
    """

    order_id: str
    at: int
    quantity: Decimal
    price: Decimal
    fee: Decimal = ZERO
    fee_currency: str | None = None
    external_id: str | None = None
    note: str | None = None


class OrderReport(NamedTuple):
    """Where an order stands, as the broker sees it.

    Attributes:
        order_id: the client order id; None for an order that did not come from here.
        broker_id: the broker's own id.
        filled: how much has traded.
        reason: why it was rejected or cancelled.
    """

    order_id: str | None
    broker_id: str | None
    state: OrderState
    filled: Decimal = ZERO
    symbol: str | None = None
    reason: str | None = None


class Activity(NamedTuple):
    """What happened at a broker since it was last asked.

    Attributes:
        executions: trades, oldest first; telling one twice is allowed.
        reports: orders whose state changed without a trade.
        sync: what to hand back next time; stored with the account.
    """

    executions: Sequence[Execution] = ()
    reports: Sequence[OrderReport] = ()
    sync: Mapping[str, Any] = {}


class Broker:
    """Takes the orders of one account."""

    #: Stored with the account: another kind may not take it over.
    kind: str = "custom"
    #: "live" for real money, "paper" for none.
    mode: str = "live"
    #: Whether fills come from the market data that passes the desk.
    matches: bool = False

    def submit(self, order: Order) -> OrderReport:
        """Take an order that is stored already.

        Sending the same order id twice must not trade twice wherever the broker can tell.

        Raises:
            BrokerRejected: it certainly does not trade.
            BrokerUnavailable: no answer; `find` will tell.
            BrokerNonsense: an answer that cannot be read; `find` will tell.
        """
        raise BrokerRejected(self.kind, "it takes no orders")

    def cancel(self, order: Order) -> OrderReport:
        """Cancel an order; an order that is not working any more is no error.

        Raises:
            BrokerError: it could not be asked, or its answer cannot be read.
        """
        raise BrokerRejected(self.kind, "it takes no orders")

    def find(self, order: Order) -> OrderReport | None:
        """Return where an order stands, or None when the broker never saw it.

        Raises:
            BrokerError: it could not be asked, or its answer cannot be read.
        """
        return None

    def open_orders(self) -> Sequence[OrderReport]:
        """Return all working orders of the account, those of others included."""
        return ()

    def activity(self, orders: Sequence[Order], sync: Mapping[str, Any]) -> Activity:
        """Return what happened since `sync`, as the last call returned it.

        Args:
            orders: the working orders, of which at least the news is wanted.
            sync: empty at first.
        """
        return Activity(sync=sync)

    def balances(self) -> Mapping[str, Decimal] | None:
        """Return what the broker holds by currency or base symbol; None when it cannot say."""
        return None

    def quote(self, symbol: str) -> Quote | None:
        """Return the latest price, or None when the broker has none."""
        return None

    # --- matching brokers ----------------------------------------------------------------

    def on_bar(
        self, bar: Bar, orders: Sequence[Order], held: Decimal, afford: Decimal | None
    ) -> Sequence[Execution]:
        """Match orders against a bar that is over.

        Args:
            bar: the bar; executions carry its `end` as their time.
            orders: working orders of its symbol, by `Order.rank`.
            held: the position, below 0 for a short one.
            afford: cash that may be spent in the symbol's currency; None = no limit.
        """
        return ()

    def on_open(
        self, quote: Quote, orders: Sequence[Order], held: Decimal, afford: Decimal | None
    ) -> Sequence[Execution]:
        """Match orders against the opening print of a new bar; arguments as `on_bar`."""
        return ()

    def on_quote(
        self, quote: Quote, orders: Sequence[Order], held: Decimal, afford: Decimal | None
    ) -> Sequence[Execution]:
        """Match orders against a live price; arguments as `on_bar`."""
        return ()
