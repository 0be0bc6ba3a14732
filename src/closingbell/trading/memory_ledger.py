"""MemoryLedger: the ledger's in-memory twin, for backtests and tests."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from closingbell.core.entry import Entry
from closingbell.core.error import (
    AccountMismatch,
    FenceLost,
    LedgerConflict,
    StoreError,
    UnknownAccount,
)
from closingbell.core.ledger import AccountRecord, Change, Fact, Holder, OrderChange, Snapshot
from closingbell.core.order import Order


class _Shelf:
    """What one account has."""

    __slots__ = ("archived", "entries", "named", "orders", "record", "snapshots", "working")

    def __init__(self, record: AccountRecord) -> None:
        self.record = record
        self.entries: list[Entry] = []
        #: The brokers' names of what is booked.
        self.named: set[str] = set()
        self.archived: set[int] = set()
        self.orders: list[str] = []
        self.working: dict[str, None] = {}
        self.snapshots: dict[int, Snapshot] = {}

    def add(self, entries: Sequence[Entry]) -> None:
        """Book entries."""
        self.entries.extend(entries)
        self.named.update(entry.external_id for entry in entries if entry.external_id is not None)


class MemoryLedger:
    """Keeps `core.ledger.Ledger`'s contract in memory; nothing outlives the process."""

    def __init__(
        self,
        *,
        on_facts: Callable[[Sequence[Fact]], None] | None = None,
        holds: Callable[[Holder], bool] | None = None,
    ) -> None:
        """Make an empty ledger.

        Args:
            on_facts: called by `record` with the facts of each change that has any, once the
                change is true. It may note them; it must not trade.
            holds: whether an attempt still holds its run; without it every attempt does.
        """
        self._on_facts = on_facts
        self._holds = holds
        self._shelves: dict[str, _Shelf] = {}
        self._orders: dict[str, Order] = {}
        self._histories: dict[str, list[OrderChange]] = {}
        self._of_run: dict[str, list[str]] = {}
        self._latches: dict[tuple[str, str], str] = {}
        self._held: dict[str, threading.RLock] = {}
        self._lock = threading.RLock()

    def open_account(self, record: AccountRecord, deposit: Entry | None = None) -> AccountRecord:
        with self._lock:
            shelf = self._shelves.get(record.name)
            if shelf is None:
                shelf = self._shelves[record.name] = _Shelf(record)
                if deposit is not None:
                    shelf.add([deposit])
                    shelf.record = record._replace(seq=deposit.seq)
                return shelf.record
            for term in ("currency", "broker"):
                stored, declared = getattr(shelf.record, term), getattr(record, term)
                if stored != declared:
                    raise AccountMismatch(record.name, term, stored, declared)
            return shelf.record

    def account(self, name: str) -> AccountRecord:
        return self._shelf(name).record

    def accounts(self) -> list[AccountRecord]:
        with self._lock:
            return [shelf.record for _, shelf in sorted(self._shelves.items())]

    def record(self, change: Change) -> int:
        with self._lock:
            shelf = self._shelf(change.account.name)
            self._check(shelf, change)
            version = change.account.version + 1
            shelf.record = change.account.at_version(version)
            shelf.add(change.entries)
            for order in change.orders:
                self._put(shelf, order)
            for step in change.order_changes:
                self._move(shelf, step)
            for snapshot in change.snapshots:
                shelf.snapshots[snapshot.at] = snapshot
        if change.facts and self._on_facts is not None:
            self._on_facts(change.facts)
        return version

    def _check(self, shelf: _Shelf, change: Change) -> None:
        name, stored = change.account.name, shelf.record
        if change.account.version != stored.version:
            raise LedgerConflict(f"account {name!r}", change.account.version, stored.version)
        if change.holder is not None and self._holds is not None and not self._holds(change.holder):
            raise FenceLost(change.holder.run_id, change.holder.fence)
        seq = len(shelf.entries) + 1
        told = set[str]()
        for number, entry in enumerate(change.entries, seq):
            if entry.seq != number or entry.account != name:
                raise LedgerConflict(f"the journal of account {name!r}", number, entry.seq)
            if entry.external_id is not None:
                if entry.external_id in shelf.named or entry.external_id in told:
                    raise StoreError(
                        f"account {name!r} has an entry of external_id {entry.external_id!r}"
                    )
                told.add(entry.external_id)
        if change.account.seq != seq - 1 + len(change.entries):
            raise LedgerConflict(f"the journal of account {name!r}", change.account.seq, seq - 1)
        placed = set[str]()
        for order in change.orders:
            if order.id in self._orders or order.id in placed:
                raise LedgerConflict(f"order {order.id}", "new", "stored")
            placed.add(order.id)
        for step in change.order_changes:
            if step.order_id not in placed:
                stands = self._orders.get(step.order_id)
                if stands is None or stands.account != name:
                    raise StoreError(
                        f"account {name!r} has not all of the orders that should change"
                    )

    def _put(self, shelf: _Shelf, order: Order) -> None:
        self._orders[order.id] = order
        self._histories[order.id] = [OrderChange(order.id, order.state, order.created_at)]
        shelf.orders.append(order.id)
        if order.is_working:
            shelf.working[order.id] = None
        if order.run_id is not None:
            self._of_run.setdefault(order.run_id, []).append(order.id)

    def _move(self, shelf: _Shelf, step: OrderChange) -> None:
        order = self._orders[step.order_id] = step.apply(self._orders[step.order_id])
        self._histories[step.order_id].append(step)
        if not order.is_working:
            shelf.working.pop(order.id, None)

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
        with self._lock:
            shelf = self._shelf(account)
            found = [
                entry
                for entry in shelf.entries[after_seq:]
                if (kind is None or entry.kind == kind)
                and (symbol is None or entry.symbol == symbol)
                and (before is None or entry.at < before)
                and (after is None or entry.at > after)
                and (archived is None or (entry.seq in shelf.archived) == archived)
            ]
            return found[:limit]

    def archive(self, account: str, seqs: Sequence[int], at: int) -> int:
        with self._lock:
            shelf = self._shelf(account)
            known = {seq for seq in seqs if 1 <= seq <= len(shelf.entries)}
            fresh = known - shelf.archived
            shelf.archived |= fresh
            return len(fresh)

    def order(self, order_id: str) -> Order | None:
        return self._orders.get(order_id)

    def orders(
        self,
        account: str,
        *,
        working: bool = False,
        run_id: str | None = None,
        symbol: str | None = None,
        limit: int | None = None,
    ) -> list[Order]:
        with self._lock:
            shelf = self._shelf(account)
            ids: Sequence[str]
            if run_id is not None:
                ids = self._of_run.get(run_id, ())
            else:
                ids = list(shelf.working) if working else shelf.orders
            found = [
                order
                for order in map(self._orders.__getitem__, ids)
                if order.account == account
                and (not working or order.is_working)
                and (symbol is None or order.symbol == symbol)
            ]
        if run_id is not None:
            found.sort(key=lambda order: order.ordinal)
        else:
            found.sort(key=lambda order: (order.created_at, order.id))
        return found if limit is None else found[max(0, len(found) - limit) :]

    def order_history(self, order_id: str) -> list[OrderChange]:
        with self._lock:
            return list(self._histories.get(order_id, ()))

    def snapshots(
        self, account: str, *, after: int | None = None, limit: int | None = None
    ) -> list[Snapshot]:
        with self._lock:
            kept = self._shelf(account).snapshots
            found = [kept[at] for at in sorted(kept) if after is None or at > after]
        return found if limit is None else found[max(0, len(found) - limit) :]

    def latch(self, account: str, name: str, holder: Holder, closed: bool, at: int) -> bool:
        with self._lock:
            if self._holds is not None and not self._holds(holder):
                raise FenceLost(holder.run_id, holder.fence)
            key = (account, name)
            if not closed:
                self._latches.pop(key, None)
                return False
            return self._latches.setdefault(key, holder.run_id) == holder.run_id

    @contextmanager
    def holding(self, name: str) -> Iterator[None]:
        with self._lock:
            lock = self._held.setdefault(name, threading.RLock())
        with lock:
            yield

    def _shelf(self, name: str) -> _Shelf:
        shelf = self._shelves.get(name)
        if shelf is None:
            raise UnknownAccount(name, self._shelves)
        return shelf
