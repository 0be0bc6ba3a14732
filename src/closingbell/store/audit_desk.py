"""What people do at the desk without a run, as the audit ledger tells it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from closingbell.core.entry import EntryKind
from closingbell.core.ledger import AccountRecord, Change

#: What moves cash without a trade; what a market does (dividends, splits) is nobody's act.
_BY_HAND = {EntryKind.CASH: "cash.booked", EntryKind.CHARGE: "charge.booked"}


class Act(NamedTuple):
    """An act; `StoredAudit.append_on` says what its fields are."""

    action: str
    target_kind: str
    target_id: str
    after: dict[str, Any]
    reason: str | None


def account_opened(record: AccountRecord) -> dict[str, Any]:
    """Return what is told of a new account."""
    return {
        "currency": record.currency,
        "broker": record.broker,
        "initial": str(record.initial),
    }


def acts_of(change: Change) -> Iterator[Act]:
    """Yield the orders and cash of a change that no run made.

    Fills and what a broker reports are no acts: they have the account's own journal.
    """
    account = change.account.name
    told: dict[str, Any]
    for order in change.orders:
        if order.run_id is None:
            told = {
                "account": account,
                "symbol": order.symbol,
                "side": str(order.side),
                "type": str(order.type),
                "quantity": str(order.quantity),
                "limit_price": _text(order.limit_price),
                "stop_price": _text(order.stop_price),
            }
            yield Act("order.placed", "order", order.id, told, None)
    for order_id in change.asked:
        stands = [str(step.state) for step in change.order_changes if step.order_id == order_id]
        # A broker may take its time: then the order still works, and its history says when not.
        told = {"account": account, "state": stands[-1] if stands else "asked for"}
        yield Act("order.cancelled", "order", order_id, told, None)
    for entry in change.entries:
        if entry.kind in _BY_HAND and entry.run_id is None:
            told = {"entry": entry.seq, "amount": str(entry.amount), "currency": entry.currency}
            yield Act(_BY_HAND[entry.kind], "account", account, told, entry.note)


def _text(price: Any) -> str | None:
    return None if price is None else str(price)
