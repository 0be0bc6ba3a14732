"""The ledger in the runs' own database: a change is one transaction, its events and runs too."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

from sqlalchemy import Connection

from closingbell.core.entry import Entry
from closingbell.core.error import (
    AccountMismatch,
    FenceLost,
    LedgerConflict,
    StoreError,
    UnknownAccount,
)
from closingbell.core.ledger import AccountRecord, Change, Holder, OrderChange, Snapshot
from closingbell.core.order import Order
from closingbell.store import ledger_sql as sql
from closingbell.store.announcer import Announcer
from closingbell.store.audit import StoredAudit
from closingbell.store.audit_desk import account_opened, acts_of
from closingbell.store.codec import to_json
from closingbell.store.database import Database
from closingbell.store.holding import Holding
from closingbell.store.ledger_row import (
    account_row,
    account_state,
    entry_row,
    move_values,
    order_row,
    read_account,
    read_entries,
    read_order,
    read_snapshot,
    read_step,
    snapshot_row,
)
from closingbell.store.ledger_sql import Writing, execute, write_all


class StoredLedger:
    """The `Ledger` of both stores; see the port for the contract."""

    def __init__(
        self, database: Database, announcer: Announcer, holding: Holding, audit: StoredAudit
    ) -> None:
        self._database = database
        self._audit = audit
        self._announcer = announcer
        self._holding = holding
        sqlite = database.dialect == "sqlite"
        self._fence = sql.FENCE if sqlite else sql.FENCE_LOCKED
        self._archive = sql.ARCHIVE_SQLITE if sqlite else sql.ARCHIVE_POSTGRES

    # --- accounts ------------------------------------------------------------------------

    def open_account(self, record: AccountRecord, deposit: Entry | None = None) -> AccountRecord:
        if deposit is not None:
            record = record._replace(seq=deposit.seq)
        with self._database.writing() as connection:
            fresh = execute(connection, sql.OPEN, account_row(record)).rowcount == 1
            if fresh and deposit is not None:
                execute(connection, sql.ADD_ENTRY, entry_row(deposit))
            if fresh:
                opened = account_opened(record)
                self._audit.append_on(
                    connection, "account.opened", "account", record.name, after=opened
                )
            stored = _account(connection, record.name)
        for term in ("currency", "broker"):
            found, declared = getattr(stored, term), getattr(record, term)
            if found != declared:
                raise AccountMismatch(record.name, term, found, declared)
        return stored

    def account(self, name: str) -> AccountRecord:
        with self._database.reading() as connection:
            return _account(connection, name)

    def accounts(self) -> list[AccountRecord]:
        with self._database.reading() as connection:
            return [read_account(row) for row in execute(connection, sql.ACCOUNTS)]

    # --- changes -------------------------------------------------------------------------

    def record(self, change: Change) -> int:
        placed = _Placed(change)
        with self._database.writing(news=bool(change.facts)) as connection:
            self._claim(connection, change, placed)
            _write(connection, change, placed)
            started = self._announcer.announce(connection, change.facts)
            if change.holder is None:
                for act in acts_of(change):
                    self._audit.append_on(connection, *act[:3], after=act.after, reason=act.reason)
        self._announcer.follow_up(started)
        return change.account.version + 1

    def archive(self, account: str, seqs: Sequence[int], at: int) -> int:
        wanted: Any = to_json(list(seqs)) if self._database.dialect == "sqlite" else list(seqs)
        with self._database.writing() as connection:
            marked = execute(connection, self._archive, (at, account, wanted)).rowcount
            if not marked:
                _account(connection, account)
            else:
                told = {"entries": marked}
                self._audit.append_on(
                    connection, "entries.archived", "account", account, after=told
                )
            return marked

    def latch(self, account: str, name: str, holder: Holder, closed: bool, at: int) -> bool:
        with self._database.writing() as connection:
            self._check_fence(connection, holder)
            if not closed:
                execute(connection, sql.OPEN_LATCH, (account, name))
                return False
            execute(connection, sql.CLOSE_LATCH, (account, name, holder.run_id, at))
            found = execute(connection, sql.LATCH, (account, name)).scalar()
            return bool(found == holder.run_id)

    def holding(self, name: str) -> AbstractContextManager[None]:
        return self._holding.hold(name)

    def _claim(self, connection: Connection, change: Change, placed: _Placed) -> None:
        """Move the account on and add its orders, if all is as the change was decided from."""
        record, holder = change.account, change.holder
        before = _check_journal(change)
        writings = [
            Writing(sql.ADVANCE, [(*account_state(record), record.name, record.version, before)])
        ]
        if change.orders:
            writings.append(Writing(sql.ADD_ORDER, [order_row(o) for o in placed.orders]))
        if holder is not None:
            writings.insert(0, Writing(self._fence, [tuple(holder)]))
        counts = write_all(connection, writings)
        if holder is not None and counts.pop(0) == 0:
            raise FenceLost(holder.run_id, holder.fence)
        if counts[0] != 1:
            stored = _account(connection, record.name)
            if stored.version != record.version:
                raise LedgerConflict(f"account {record.name!r}", record.version, stored.version)
            raise LedgerConflict(f"the journal of account {record.name!r}", before, stored.seq)
        if change.orders and counts[1] != len(change.orders):
            names = ", ".join(order.id for order in change.orders)
            raise LedgerConflict(f"order {names}", "new", "stored")

    def _check_fence(self, connection: Connection, holder: Holder) -> None:
        if execute(connection, self._fence, tuple(holder)).first() is None:
            raise FenceLost(holder.run_id, holder.fence)

    # --- reading -------------------------------------------------------------------------

    def entries(
        self,
        account: str,
        *,
        after_seq: int = 0,
        kind: str | None = None,
        symbol: str | None = None,
        before: int | None = None,
        after: int | None = None,
        archived: bool | None = None,
        limit: int | None = None,
    ) -> list[Entry]:
        wanted: dict[str, Any] = {
            "account = ?": account,
            "seq > ?": after_seq or None,
            "kind = ?": kind,
            "symbol = ?": symbol,
            "happened_at < ?": before,
            "happened_at > ?": after,
        }
        given = {condition: value for condition, value in wanted.items() if value is not None}
        conditions = [*given]
        if archived is not None:
            conditions.append(f"archived_at IS {'NOT ' if archived else ''}NULL")
        # With the sign SQLite sorts the few recent ones, and does not walk the whole journal.
        order = "seq" if after is None else "+seq"
        query = f"{sql.ENTRIES} WHERE {' AND '.join(conditions)} ORDER BY {order}"
        if limit is not None:
            query += f" LIMIT {int(limit)}"
        with self._database.reading() as connection:
            rows = execute(connection, query, tuple(given.values())).fetchall()
            return read_entries(_known(connection, account, rows))

    def order(self, order_id: str) -> Order | None:
        with self._database.reading() as connection:
            row = execute(connection, f"{sql.ORDERS} WHERE id = ?", (order_id,)).first()
        return None if row is None else read_order(row)

    def orders(
        self,
        account: str,
        *,
        working: bool = False,
        run_id: str | None = None,
        symbol: str | None = None,
        limit: int | None = None,
    ) -> list[Order]:
        wanted = {"account = ?": account, "run_id = ?": run_id, "symbol = ?": symbol}
        given = {condition: value for condition, value in wanted.items() if value is not None}
        conditions = [*given, sql.WORKING] if working else [*given]
        order = "created_at DESC, id DESC" if run_id is None else "ordinal DESC"
        query = f"{sql.ORDERS} WHERE {' AND '.join(conditions)} ORDER BY {order}"
        if limit is not None:
            query += f" LIMIT {int(limit)}"
        with self._database.reading() as connection:
            rows = execute(connection, query, tuple(given.values())).fetchall()
            return [read_order(row) for row in reversed(_known(connection, account, rows))]

    def order_history(self, order_id: str) -> list[OrderChange]:
        with self._database.reading() as connection:
            return [read_step(row) for row in execute(connection, sql.STEPS, (order_id,))]

    def snapshots(
        self, account: str, *, after: int | None = None, limit: int | None = None
    ) -> list[Snapshot]:
        query, values = sql.SNAPSHOTS, (account,) if after is None else (account, after)
        if after is not None:
            query += " AND taken_at > ?"
        query += " ORDER BY taken_at DESC"
        if limit is not None:
            query += f" LIMIT {int(limit)}"
        with self._database.reading() as connection:
            rows = execute(connection, query, values).fetchall()
            return [read_snapshot(row) for row in reversed(_known(connection, account, rows))]


def _account(connection: Connection, name: str) -> AccountRecord:
    row = execute(connection, sql.ACCOUNT, (name,)).first()
    if row is None:
        known = execute(connection, "SELECT name FROM desk_accounts").scalars()
        raise UnknownAccount(name, known)
    return read_account(row)


def _known(connection: Connection, account: str, rows: Sequence[Any]) -> Sequence[Any]:
    """Return rows of an account; without any, the account must at least be there."""
    if not rows:
        _account(connection, account)
    return rows


def _check_journal(change: Change) -> int:
    """Return the entry before the new ones, if they follow each other and end the journal."""
    name = change.account.name
    before = change.account.seq - len(change.entries)
    for number, entry in enumerate(change.entries, before + 1):
        if entry.seq != number or entry.account != name:
            raise LedgerConflict(f"the journal of account {name!r}", number, entry.seq)
    return before


class _Placed:
    """The new orders of a change, which are stored as the change leaves them.

    Attributes:
        orders: as they stand at its end.
        steps: the rows of their histories.
        later: changes of orders that were there before.
    """

    def __init__(self, change: Change) -> None:
        stand = {order.id: order for order in change.orders}
        lines = {o.id: [OrderChange(o.id, o.state, o.created_at)] for o in change.orders}
        self.later: list[OrderChange] = []
        for step in change.order_changes:
            if step.order_id in stand:
                stand[step.order_id] = step.apply(stand[step.order_id])
                lines[step.order_id].append(step)
            else:
                self.later.append(step)
        self.orders = list(stand.values())
        self.steps = [
            (order_id, *move_values(step), seq)
            for order_id, some in lines.items()
            for seq, step in enumerate(some, 1)
        ]


def _write(connection: Connection, change: Change, placed: _Placed) -> None:
    """Write what hangs on an account that has moved on."""
    moves = [(step.order_id, move_values(step)) for step in placed.later]
    account = change.account.name
    everything = (
        Writing(sql.FIRST_STEP, placed.steps),
        Writing(sql.MOVE_ORDER, [(*values, order_id, account) for order_id, values in moves]),
        Writing(sql.NEXT_STEP, [(order_id, *values, order_id) for order_id, values in moves]),
        Writing(sql.ADD_ENTRY, [entry_row(entry) for entry in change.entries]),
        Writing(sql.PUT_SNAPSHOT, [snapshot_row(snapshot) for snapshot in change.snapshots]),
    )
    writings = [writing for writing in everything if writing.rows]
    for writing, count in zip(writings, write_all(connection, writings), strict=True):
        if writing.statement == sql.MOVE_ORDER and count != len(moves):
            raise StoreError(f"account {account!r} has not all of the orders that should change")
