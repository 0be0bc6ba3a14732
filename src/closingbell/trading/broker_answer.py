"""What remote brokers answer: whether it can be, and what it does to an account. Pure functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from closingbell.core.error import BrokerError, BrokerNonsense
from closingbell.core.ledger import OrderChange
from closingbell.core.order import Order, OrderState
from closingbell.trading.broker.protocol import Activity, Execution, OrderReport
from closingbell.trading.draft import Draft

_ENDED = (OrderState.CANCELLED, OrderState.EXPIRED, OrderState.REJECTED)


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


def follow_report(draft: Draft, order: Order, report: OrderReport) -> None:
    """Let an order follow its broker's report; how much has traded is what executions say.

    It ends when all that it traded is booked: its trades would not be asked for any more.
    """
    state = order.state
    if state is OrderState.NEW:
        state = OrderState.OPEN
    if order.is_working and report.state in _ENDED and report.filled <= order.filled:
        state = report.state
    broker_id = report.broker_id if report.broker_id != order.broker_id else None
    if state is not order.state or broker_id is not None:
        draft.step(
            order, OrderChange(order.id, state, draft.at, broker_id=broker_id, reason=report.reason)
        )


def book_activity(draft: Draft, told: Activity, stored: Callable[[str], Order | None]) -> None:
    """Book what happened at a broker, each trade once.

    Trades of orders that are not the account's are left to reconciliation.

    Args:
        draft: of the account.
        told: what the broker says.
        stored: returns an order that does not work any more, or None.

    Raises:
        BrokerNonsense: something of it cannot be.
    """
    account = draft.account
    kind, booked = account.broker.kind, set[str]()

    def order_of(order_id: str | None) -> Order | None:
        if order_id is None:
            return None
        order = draft.orders.get(order_id) or account.orders.get(order_id) or stored(order_id)
        return order if order is not None and order.account == account.terms.name else None

    for execution in told.executions:
        order = order_of(execution.order_id)
        if order is None:
            continue
        name = execution.external_id or f"{order.id}@{execution.at}"
        if name not in account.known and name not in booked:
            booked.add(name)
            check_execution(kind, order, execution)
            draft.fill(order, execution._replace(external_id=name))
    for report in told.reports:
        order = order_of(sound_report(kind, report).order_id)
        if order is not None:
            follow_report(draft, order, report)
    draft.mark()
    draft.remember("broker", dict(told.sync))
