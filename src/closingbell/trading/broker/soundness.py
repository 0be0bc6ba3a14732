"""Soundness: whether what a broker says can be. Pure functions."""

from __future__ import annotations

from typing import Any

from closingbell.core.error import BrokerError, BrokerNonsense
from closingbell.core.order import Order, OrderState
from closingbell.trading.broker.protocol import Activity, Execution, OrderReport


def sound_report(kind: str, answer: Any) -> OrderReport:
    """Return an answer that is a report of an order.

    Raises:
        BrokerNonsense: it is none.
    """
    if not isinstance(answer, OrderReport) or not isinstance(answer.state, OrderState):
        raise BrokerNonsense(kind, f"the answer {answer!r} says nothing of an order")
    return answer


def sound_activity(kind: str, answer: Any) -> Activity:
    """Return an answer that tells what happened.

    Raises:
        BrokerNonsense: it does not.
    """
    if not isinstance(answer, Activity):
        raise BrokerNonsense(kind, f"the answer {answer!r} tells no trades")
    return answer


def as_broker_error(kind: str, problem: Exception) -> BrokerError:
    """Return what a broker raised as an error of ours; the cause stays with it."""
    if isinstance(problem, BrokerError):
        return problem
    return BrokerNonsense(kind, f"{type(problem).__name__}: {problem}")


def check_execution(kind: str, order: Order, execution: Execution) -> None:
    """Refuse a trade that cannot be; nothing of the answer is booked then.

    Raises:
        BrokerNonsense: why.
    """
    quantity, price, fee = execution.quantity, execution.price, execution.fee
    if not (quantity.is_finite() and price.is_finite() and fee.is_finite()):
        raise BrokerNonsense(kind, f"a trade of order {order.id} has amounts that are no numbers")
    if quantity <= 0 or price <= 0 or fee < 0:
        raise BrokerNonsense(
            kind, f"a trade of order {order.id} says {quantity} at {price}, fee {fee}"
        )
    if order.filled + quantity > order.quantity:
        raise BrokerNonsense(
            kind,
            f"order {order.id} of {order.quantity} would have traded {order.filled + quantity}",
        )
