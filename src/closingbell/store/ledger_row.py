"""Rows of the ledger's tables, and the nouns that they are."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from closingbell.core.amount import ZERO, plain
from closingbell.core.entry import Entry, EntryKind
from closingbell.core.ledger import AccountRecord, OrderChange, Snapshot
from closingbell.core.order import Order, OrderState, OrderType, Side
from closingbell.store.codec import from_json, storable, to_json

_KINDS = {kind.value: kind for kind in EntryKind}
_STATES = {state.value: state for state in OrderState}
_SIDES = {side.value: side for side in Side}
_TYPES = {type_.value: type_ for type_ in OrderType}


def amount_text(value: Decimal) -> str:
    """Return an amount as it is stored; zero has no sign."""
    return plain(value if value else abs(value))


def _amount_or_none(value: Decimal | None) -> str | None:
    return None if value is None else amount_text(value)


def _decimal_or_none(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def _text_or_none(text: str | None) -> str | None:
    return None if text is None else storable(text)


# --- accounts ------------------------------------------------------------------------


def account_row(record: AccountRecord) -> tuple[Any, ...]:
    """Return an account's row."""
    seq, *rest = account_state(record)
    return (
        record.name,
        record.currency,
        amount_text(record.initial),
        record.broker,
        record.opened_at,
        record.version,
        seq,
        *rest,
    )


def account_state(record: AccountRecord) -> tuple[Any, ...]:
    """Return what of an account changes with time, from `seq` on."""
    prices = {symbol: (at, amount_text(price)) for symbol, (at, price) in record.prices.items()}
    return (
        record.seq,
        amount_text(record.peak),
        record.cursor,
        int(record.cursor_opened),
        to_json(prices),
        int(record.breached),
        to_json(record.sync),
    )


def read_account(row: Any) -> AccountRecord:
    """Return the account of a row."""
    name, currency, initial, broker, opened_at, version, seq, peak, cursor, *rest = row
    cursor_opened, prices, breached, sync = rest
    return AccountRecord(
        name,
        currency,
        Decimal(initial),
        broker,
        opened_at,
        version,
        seq,
        Decimal(peak),
        cursor,
        bool(cursor_opened),
        {symbol: (at, Decimal(price)) for symbol, (at, price) in from_json(prices).items()},
        bool(breached),
        from_json(sync),
    )


# --- orders --------------------------------------------------------------------------


def order_row(order: Order) -> tuple[Any, ...]:
    """Return an order's row."""
    return (
        order.id,
        order.account,
        order.symbol,
        order.side.value,
        order.type.value,
        amount_text(order.quantity),
        _amount_or_none(order.limit_price),
        _amount_or_none(order.stop_price),
        order.time_in_force,
        order.state.value,
        amount_text(order.filled),
        order.created_at,
        order.effective_at,
        order.updated_at,
        order.run_id,
        order.fence,
        order.ordinal,
        order.task,
        order.priority,
        order.broker_id,
        _text_or_none(order.reason),
    )


def read_order(row: Any) -> Order:
    """Return the order of a row."""
    id_, account, symbol, side, type_, quantity, limit, stop, time_in_force, state, *rest = row
    filled, created, effective, updated, run_id, fence, ordinal, task, priority, *last = rest
    return Order(
        id=id_,
        account=account,
        symbol=symbol,
        side=_SIDES[side],
        type=_TYPES[type_],
        quantity=Decimal(quantity),
        limit_price=_decimal_or_none(limit),
        stop_price=_decimal_or_none(stop),
        time_in_force=time_in_force,
        state=_STATES[state],
        filled=Decimal(filled),
        created_at=created,
        effective_at=effective,
        updated_at=updated,
        run_id=run_id,
        fence=fence,
        ordinal=ordinal,
        task=task,
        priority=priority,
        broker_id=last[0],
        reason=last[1],
    )


def move_values(change: OrderChange) -> tuple[Any, ...]:
    """Return what a change writes to its order, without the order's own key."""
    return (
        change.state.value,
        change.at,
        _amount_or_none(change.filled),
        _amount_or_none(change.quantity),
        _amount_or_none(change.limit_price),
        _amount_or_none(change.stop_price),
        change.broker_id,
        _text_or_none(change.reason),
    )


def read_step(row: Any) -> OrderChange:
    """Return the change of a row of an order's history."""
    order_id, state, at, filled, quantity, limit, stop, broker_id, reason = row
    return OrderChange(
        order_id,
        _STATES[state],
        at,
        _decimal_or_none(filled),
        _decimal_or_none(quantity),
        _decimal_or_none(limit),
        _decimal_or_none(stop),
        broker_id,
        reason,
    )


# --- entries and snapshots -----------------------------------------------------------


def entry_row(entry: Entry) -> tuple[Any, ...]:
    """Return an entry's row."""
    return (
        entry.account,
        entry.seq,
        entry.kind.value,
        entry.at,
        entry.currency,
        amount_text(entry.amount),
        amount_text(entry.fee),
        entry.symbol,
        amount_text(entry.quantity),
        amount_text(entry.price),
        entry.order_id,
        entry.run_id,
        entry.task,
        entry.external_id,
        _text_or_none(entry.note),
    )


def read_entries(rows: Iterable[Any]) -> list[Entry]:
    """Return the entries of rows."""
    zero, kinds = ZERO, _KINDS
    return [
        Entry(
            account,
            seq,
            kinds[kind],
            at,
            currency,
            Decimal(amount),
            zero if fee == "0" else Decimal(fee),
            symbol,
            zero if quantity == "0" else Decimal(quantity),
            zero if price == "0" else Decimal(price),
            *rest,
        )
        for account, seq, kind, at, currency, amount, fee, symbol, quantity, price, *rest in rows
    ]


def snapshot_row(snapshot: Snapshot) -> tuple[Any, ...]:
    """Return a snapshot's row."""
    return (snapshot.account, snapshot.at, *map(amount_text, snapshot[2:]))


def read_snapshot(row: Any) -> Snapshot:
    """Return the snapshot of a row."""
    account, at, *amounts = row
    return Snapshot(account, at, *map(Decimal, amounts))
