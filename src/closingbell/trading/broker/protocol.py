"""Broker: the one protocol behind every account.

A broker answers questions and takes orders; it keeps no books. Two kinds share
the protocol. A matching broker (simulated, paper) decides fills from the market
data that passes the desk: `on_order`, `on_bar`, `on_open` and `on_quote`. A remote
one (an exchange) decides them elsewhere and is asked: `activity`.

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
        at: when it traded, in microseconds since the epoch, by the broker's clock; it is booked
            as told, before the order's own time too.
        quantity: how much, above 0.
        price: per unit, slippage included.
        fee: below 0 for a rebate; in `fee_currency` (None = the symbol's quote currency).
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


class Means(NamedTuple):
    """What an account has for one order of a matching broker.

    Attributes:
        held: the position, below 0 for a short one.
        afford: by how much the order may add to what is at stake, in the symbol's currency, its
            fee included: cash for a purchase without leverage. What only reduces a position
            needs none of it.
        short: whether more may be sold than is held.
        lot: quantities are multiples of it; None = any fraction, to 8 decimals.
        volume: of the bar that is over; at an opening print of the bar before it, since its own
            is not known. None where the broker does not count volumes, or none is known.
        taken: how much of it the account's orders took already.
    """

    held: Decimal
    afford: Decimal
    short: bool = False
    lot: Decimal | None = None
    volume: Decimal | None = None
    taken: Decimal = ZERO


class Match(NamedTuple):
    """What a matching broker makes of an order.

    Attributes:
        execution: a trade, or None.
        cancel: why what is left of the order is cancelled; None = it goes on.
        triggered: the stop price was reached; the order is told so with `reason` "triggered".
    """

    execution: Execution | None = None
    cancel: str | None = None
    triggered: bool = False


NO_MATCH = Match()

#: The `reason` of a working stop order whose stop price was reached.
TRIGGERED = "triggered"


class Broker:
    """Takes the orders of one account."""

    #: Stored with the account: another kind may not take it over.
    kind: str = "custom"
    #: "live" for real money, "paper" for none.
    mode: str = "live"
    #: Whether fills come from the market data that passes the desk.
    matches: bool = False

    def fit(self, order: Order) -> Order:
        """Return an order as the broker can take it, in its steps of quantity and price.

        Asked before the order is stored, so that the books hold what is traded.

        Raises:
            BrokerError: it cannot be taken, or the broker's rules could not be asked.
        """
        return order

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

    def trades(self, symbols: Sequence[str], since: int) -> Sequence[Execution] | None:
        """Return all trades of the account since an instant, oldest first; None = it cannot say.

        Those of others are among them, and `order_id` is empty in all of them.

        Args:
            symbols: at least these.
            since: microseconds since the epoch.
        """
        return None

    def balances(self) -> Mapping[str, Decimal] | None:
        """Return what the broker holds by currency or base symbol; None when it cannot say."""
        return None

    def quote(self, symbol: str) -> Quote | None:
        """Return the latest price, or None when the broker has none."""
        return None

    # --- matching brokers ----------------------------------------------------------------

    @property
    def counts_volumes(self) -> bool:
        """Whether matching looks at volumes, so that the desk keeps count of them."""
        return False

    def on_order(
        self, order: Order, last: Quote, means: Means, *, closed: bool, ended: bool
    ) -> Match:
        """Say what becomes of an order at the moment it is accepted.

        Args:
            order: the order, open.
            last: the latest price of its symbol.
            means: what the account has for it.
            closed: `last` is the close of a bar that ends at the very instant of the order.
            ended: no more market data will come.
        """
        return NO_MATCH

    def on_bar(self, bar: Bar, order: Order, means: Means) -> Match:
        """Match one working order against a bar that is over.

        Orders are asked by `Order.rank`, each after the fills of those before it.

        Args:
            bar: the bar of the order's symbol; an execution carries its `end` as its time.
            order: the order.
            means: what the account has for it.
        """
        return NO_MATCH

    def on_open(self, quote: Quote, order: Order, means: Means) -> Match:
        """Match one working order against the opening print of a new bar, as `on_bar`."""
        return NO_MATCH

    def on_quote(self, quote: Quote, order: Order, means: Means) -> Match:
        """Match one working order against a live price, as `on_bar`."""
        return NO_MATCH
