"""A remote broker in memory that fails where it is told to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from closingbell.core.bar import Quote
from closingbell.core.error import BrokerRejected, BrokerUnavailable
from closingbell.core.order import Order, OrderState
from closingbell.trading.broker.protocol import Activity, Broker, Execution, OrderReport


class Crash(BaseException):
    """The process is gone."""


class Exchange(Broker):
    """Keeps what it was sent; sending one id twice makes one order, as at a real exchange.

    Attributes:
        sent: every order as it arrived, the same one twice too.
        orders: by client order id.
        plan: what happens to the next submissions, in order: "lost" (never arrives), "silent"
            (arrives, no answer), "reject", "nonsense", "crash before" and "crash after".
    """

    kind = "exchange"
    mode = "live"

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.orders: dict[str, OrderReport] = {}
        self.told: list[Execution] = []
        self.reports: list[OrderReport] = []
        self.plan: list[str] = []
        self.blind = False
        self.price: Decimal | None = Decimal(100)
        self.on_submit: Callable[[], None] = lambda: None

    def submit(self, order: Order) -> OrderReport:
        self.on_submit()
        what = self.plan.pop(0) if self.plan else "answer"
        if what == "crash before":
            raise Crash
        if what == "lost":
            raise BrokerUnavailable(self.kind, "timed out")
        if what == "reject":
            raise BrokerRejected(self.kind, "margin")
        self.sent.append(order.id)
        made = OrderReport(order.id, f"x{len(self.orders) + 1}", OrderState.OPEN)
        report = self.orders.setdefault(order.id, made)
        if what == "crash after":
            raise Crash
        if what == "silent":
            raise BrokerUnavailable(self.kind, "timed out")
        if what == "broken":
            raise ValueError("no JSON")
        return report if what != "nonsense" else None  # type: ignore[return-value]

    def find(self, order: Order) -> OrderReport | None:
        if self.blind:
            raise BrokerUnavailable(self.kind, "timed out")
        return self.orders.get(order.id)

    def cancel(self, order: Order) -> OrderReport:
        report = self.orders[order.id]._replace(state=OrderState.CANCELLED)
        self.orders[order.id] = report
        return report

    def trade(self, order_id: str, quantity: str | int, price: str | int, **more: Any) -> None:
        """Let an order trade; it is told by the next `activity`, and by all later ones."""
        name = f"t{len(self.told) + 1}"
        given: dict[str, Any] = {"external_id": name, **more}
        amounts = Decimal(quantity), Decimal(price)
        self.told.append(Execution(order_id, len(self.told) + 1, *amounts, **given))

    def activity(self, orders: Sequence[Order], sync: Mapping[str, Any]) -> Activity:
        if self.blind:
            raise BrokerUnavailable(self.kind, "timed out")
        return Activity(list(self.told), list(self.reports), {"since": len(self.told)})

    def quote(self, symbol: str) -> Quote | None:
        return None if self.price is None else Quote(symbol, 1, self.price)
