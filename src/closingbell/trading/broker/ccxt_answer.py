"""What ccxt's answers say about orders and trades; what cannot be right is refused."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from closingbell.core.amount import ZERO
from closingbell.core.error import BrokerNonsense
from closingbell.core.order import Order, OrderState
from closingbell.trading.broker.protocol import Execution, OrderReport

#: Microseconds.
MILLISECOND = 1000
_STATES = {
    "open": OrderState.OPEN,
    "closed": OrderState.FILLED,
    "canceled": OrderState.CANCELLED,
    "expired": OrderState.EXPIRED,
    "rejected": OrderState.REJECTED,
    "canceling": OrderState.OPEN,
}
_LONGEST_QUOTE = 40


class CcxtAnswers:
    """Reads the answers of one exchange."""

    def __init__(self, name: str) -> None:
        self.name = name

    def report(self, answer: Any, order: Order | None) -> OrderReport:
        """Return where an order stands.

        Args:
            answer: ccxt's order.
            order: which was asked for; None = any.

        Raises:
            BrokerNonsense: it is about another order, or cannot be right.
        """
        client_id, broker_id = text(answer, "clientOrderId"), text(answer, "id")
        if broker_id is None or (order is not None and not self.is_about(answer, order)):
            asked = f"order {order.id}" if order is not None else "open orders"
            told = f"order {client_id or broker_id}" if broker_id is not None else "none"
            raise BrokerNonsense(self.name, f"asked about {asked} it told about {told}")
        status = text(answer, "status") or ""
        if status not in _STATES:
            raise BrokerNonsense(self.name, f"an order's state is {status[:_LONGEST_QUOTE]!r}")
        state = _STATES[status]
        filled = answer.get("filled")
        traded = ZERO if filled is None else self.amount(filled, "an order's fill")
        wanted = answer.get("amount")
        whole = None if wanted is None else self.amount(wanted, "an order's quantity")
        if traded < 0 or (whole is not None and traded > whole):
            raise BrokerNonsense(self.name, f"an order of {wanted} has filled {traded}")
        # "closed" says that it is over, not that all of it traded.
        if state is OrderState.FILLED and whole is not None and traded < whole:
            state = OrderState.CANCELLED
        return OrderReport(
            order.id if order is not None else client_id,
            broker_id,
            state,
            traded,
            text(answer, "symbol") or (order.symbol if order is not None else None),
        )

    def is_about(self, answer: Any, order: Order) -> bool:
        """Say whether an answer tells of an order; one that names no client id may."""
        client_id = text(answer, "clientOrderId")
        if order.broker_id is not None and text(answer, "id") != order.broker_id:
            return False
        # One exchange puts "t-" before what its clients choose.
        return client_id in (order.id, f"t-{order.id}") or (
            client_id is None and order.broker_id is not None
        )

    def execution(self, line: Any, order_id: str) -> Execution:
        """Return a trade.

        Args:
            line: ccxt's trade.
            order_id: our id of its order.

        Raises:
            BrokerNonsense: it cannot be right.
        """
        name, at = text(line, "id"), text(line, "timestamp")
        if name is None or at is None or not at.isdigit():
            raise BrokerNonsense(self.name, "a trade has no name or no time")
        quantity = self.amount(line.get("amount"), "a trade's quantity")
        price = self.amount(line.get("price"), "a trade's price")
        if quantity <= 0 or price <= 0:
            raise BrokerNonsense(self.name, f"a trade of {quantity} at {price}")
        paid: dict[str | None, Decimal] = {}
        for fee in line.get("fees") or [line.get("fee") or {}]:
            if fee.get("cost") is not None:
                currency = text(fee, "currency")
                cost = self.amount(fee["cost"], "a trade's fee")
                paid[currency] = paid.get(currency, ZERO) + cost
        if len(paid) > 1:
            raise BrokerNonsense(self.name, f"trade {name} has fees in {len(paid)} currencies")
        currency, cost = next(iter(paid.items()), (None, ZERO))
        return Execution(
            order_id,
            int(at) * MILLISECOND,
            quantity,
            price,
            cost,
            currency,
            # Exchanges count their trades by symbol.
            f"{self.name}:{text(line, 'symbol') or ''}:{name}",
        )

    def amount(self, given: Any, what: str) -> Decimal:
        """Return a number, all its digits but the zeros at its end.

        Raises:
            BrokerNonsense: it is none.
        """
        try:
            if isinstance(given, bool) or given is None:
                raise TypeError
            value = Decimal(str(given))
        except (InvalidOperation, TypeError, ValueError):
            raise BrokerNonsense(
                self.name, f"{what} should be a number, and is {str(given)[:_LONGEST_QUOTE]!r}"
            ) from None
        if not value.is_finite():
            raise BrokerNonsense(self.name, f"{what} should be finite, and is {value}")
        # Adding zero takes away the exponent that is left of 20000.
        return value.normalize() + ZERO


def text(answer: Any, name: str) -> str | None:
    """Return a part of an answer as text, or None when it is not there or empty."""
    value = answer.get(name) if isinstance(answer, Mapping) else None
    return None if value is None or value == "" else str(value)


def plain(value: Decimal | None) -> str | None:
    """Return a number as exchanges take it: without an exponent."""
    return None if value is None else format(value, "f")
