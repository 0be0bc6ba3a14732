"""What remote brokers answer does to an account. Pure functions."""

from __future__ import annotations

from collections.abc import Callable

from closingbell.core.ledger import OrderChange
from closingbell.core.order import Order, OrderState
from closingbell.trading.broker.protocol import Activity, OrderReport
from closingbell.trading.draft import Draft

_ENDED = (OrderState.CANCELLED, OrderState.EXPIRED, OrderState.REJECTED)


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
    account, booked = draft.account, set[str]()

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
            draft.fill(order, execution._replace(external_id=name))
    for report in told.reports:
        order = order_of(report.order_id)
        if order is not None:
            follow_report(draft, order, report)
    draft.mark()
    draft.remember("broker", dict(told.sync))
