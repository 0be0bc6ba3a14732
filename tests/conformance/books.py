"""What the ledger's exercises stand on: one ledger, runs that hold fences, and what was announced."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Protocol

import pytest

from closingbell.core.entry import Entry, EntryKind
from closingbell.core.ledger import (
    AccountRecord,
    Change,
    Fact,
    Holder,
    Ledger,
    OrderChange,
    Snapshot,
)
from closingbell.core.order import Order, OrderState, OrderType, Side
from closingbell.trading.memory_ledger import MemoryLedger
from tests.conformance.desk import Desk

#: What implementations promise beyond the contract's letter, each with those that do.
#: The twin is of one process and trusts the desk's arithmetic.
PROMISES = {
    "what cannot be is refused": ("sqlite", "postgresql"),
    "facts start runs": ("sqlite", "postgresql"),
    "processes exclude each other": ("sqlite", "postgresql"),
}


def who(promise: str) -> list[Any]:
    """The implementations that promise something, as parameters of a test's `books`."""
    return [
        pytest.param(kind, marks=pytest.mark.postgres) if kind == "postgresql" else kind
        for kind in PROMISES[promise]
    ]


class Books(Protocol):
    """One implementation of the ledger with what belongs to it."""

    kind: str
    ledger: Ledger

    def holder(self) -> Holder:
        """A run that is running, held under its fence."""
        ...

    def lose(self, holder: Holder) -> None:
        """Give the run to another attempt."""
        ...

    def told(self) -> list[tuple[str, Any]]:
        """What was announced, as (type, data), oldest first."""
        ...


class StoredBooks:
    """The ledger of a store."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.kind = desk.store.dialect
        self.ledger: Ledger = desk.store.ledger

    def holder(self) -> Holder:
        run_id = self.desk.submit_one()
        self.desk.work()
        return Holder(run_id, self.desk.claimer.claim(run_id).fence)

    def lose(self, holder: Holder) -> None:
        claim = self.desk.claimer.claim(holder.run_id)
        self.desk.end(claim, "scheduled", due_at=self.desk.now, ledger=True, error="{}")
        self.desk.queue.promote(self.desk.now)
        self.desk.work()
        assert self.desk.claimer.claim(holder.run_id).fence == holder.fence + 1

    def told(self) -> list[tuple[str, Any]]:
        events = self.desk.store.events.recent()
        return sorted(((e["type"], e["data"]) for e in events), key=repr)


class MemoryBooks:
    """The in-memory twin."""

    kind = "memory"

    def __init__(self) -> None:
        self._facts: list[Fact] = []
        self._lost: set[Holder] = set()
        self._runs = 0
        self.ledger: Ledger = MemoryLedger(
            on_facts=self._facts.extend, holds=lambda holder: holder not in self._lost
        )

    def holder(self) -> Holder:
        self._runs += 1
        return Holder(f"run-{self._runs}", 1)

    def lose(self, holder: Holder) -> None:
        self._lost.add(holder)

    def told(self) -> list[tuple[str, Any]]:
        return sorted(((fact.type, dict(fact.data)) for fact in self._facts), key=repr)


class Account:
    """One account of a ledger, as its only writer sees it."""

    def __init__(self, ledger: Ledger, name: str = "main", cash: str = "10000") -> None:
        self.ledger = ledger
        self.name = name
        deposit = Entry(name, 1, EntryKind.CASH, 1, "USD", Decimal(cash))
        self.record = ledger.open_account(new_account(name, cash), deposit)

    def change(self, **parts: Any) -> Change:
        """A change of the account as it stands; entries are numbered on."""
        entries: Sequence[Entry] = parts.pop("entries", ())
        seq = self.record.seq
        numbered = [e._replace(account=self.name, seq=seq + n) for n, e in enumerate(entries, 1)]
        account = parts.pop("account", self.record)._replace(seq=seq + len(entries))
        return Change(account, numbered, **parts)

    def write(self, **parts: Any) -> Change:
        """Record a change."""
        change = self.change(**parts)
        version = self.ledger.record(change)
        self.record = change.account._replace(version=version)
        return change


def new_account(name: str = "main", cash: str = "10000") -> AccountRecord:
    """An account before it is opened."""
    worth = Decimal(cash)
    return AccountRecord(name, "USD", worth, "paper", 1, peak=worth)


def order(order_id: str = "o1", **changes: Any) -> Order:
    """A market order for ten shares."""
    given: dict[str, Any] = {
        "id": order_id,
        "account": "main",
        "symbol": "AAPL",
        "side": Side.BUY,
        "type": OrderType.MARKET,
        "quantity": Decimal(10),
        "created_at": 100,
        "effective_at": 100,
        "updated_at": 100,
    }
    return Order(**{**given, **changes})


def fill(quantity: str = "10", price: str = "12.50", **changes: Any) -> Entry:
    """A fill of order "o1"; the account numbers it."""
    much, each = Decimal(quantity), Decimal(price)
    entry = Entry("", 0, EntryKind.FILL, 200, "USD", -much * each, Decimal("0.35"), "AAPL", much)
    return entry._replace(price=each, order_id="o1")._replace(**changes)


def cash(amount: str, **changes: Any) -> Entry:
    """A deposit, or a withdrawal."""
    return Entry("", 0, EntryKind.CASH, 150, "USD", Decimal(amount))._replace(**changes)


def split(ratio: str, symbol: str = "AAPL", at: int = 300) -> Entry:
    """A split."""
    return Entry("", 0, EntryKind.SPLIT, at, "USD", symbol=symbol, price=Decimal(ratio))


def snapshot(at: int, value: str = "10000.5", account: str = "main") -> Snapshot:
    """A point of the equity curve."""
    worth = Decimal(value)
    zero = Decimal(0)
    return Snapshot(account, at, worth, worth, worth, worth, zero, zero, zero)


def filled(order_id: str = "o1", at: int = 200, quantity: str = "10") -> OrderChange:
    """The end of an order that has traded."""
    return OrderChange(order_id, OrderState.FILLED, at, Decimal(quantity))
