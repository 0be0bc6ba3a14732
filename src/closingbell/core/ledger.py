"""The ledger's seam: what trading asks of a store. A docstring here is the contract.

All times are microseconds since the epoch. Two implementations keep it: the
store's, in the same database as the runs, and the in-memory twin of a backtest.

Longer than 400 lines because the contract is read in one place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from decimal import Decimal
from typing import Any, NamedTuple, Protocol

from closingbell.core.amount import ZERO
from closingbell.core.entry import Entry
from closingbell.core.order import Order, OrderState


class AccountRecord(NamedTuple):
    """An account as it is stored.

    Attributes:
        name: unique.
        currency: in which it is valued.
        initial: what it began with.
        broker: "paper", "simulated", "ccxt", ...
        opened_at: when it was first opened.
        version: grows with every change; a change carries the version that it was decided from.
        seq: the last entry.
        peak: the highest value at any mark.
        cursor: market data has been applied up to and including this instant; -1 before any.
        cursor_opened: whether the opening prints of the cursor's own instant are applied too.
        prices: the latest price by symbol, as (instant, price).
        breached: whether the drawdown limit is breached at present.
        sync: what the desk keeps with the account, as JSON values: "broker" (where the
            synchronisation with a remote broker stands, its own), "daily_close" (when the last
            one was), "day" (value and flows then), "volumes" (where a broker fills by them).
    """

    name: str
    currency: str
    initial: Decimal
    broker: str
    opened_at: int
    version: int = 0
    seq: int = 0
    peak: Decimal = ZERO
    cursor: int = -1
    cursor_opened: bool = False
    prices: Mapping[str, tuple[int, Decimal]] = {}
    breached: bool = False
    sync: Mapping[str, Any] = {}

    def at_version(self, version: int) -> AccountRecord:
        """Return the account with another version."""
        return AccountRecord._make((*self[:5], version, *self[6:]))


class Snapshot(NamedTuple):
    """An account's worth at one instant; one point of its equity curve.

    Attributes:
        value: cash and positions at their marks, in the account's currency.
        flows: net deposits so far, so that gains and deposits can be told apart.
        exposure: the absolute worth of all positions.
    """

    account: str
    at: int
    value: Decimal
    cash: Decimal
    peak: Decimal
    flows: Decimal
    realized: Decimal
    unrealized: Decimal
    exposure: Decimal


class Fact(NamedTuple):
    """An event that is stored by the transaction that makes it true, and starts tasks.

    Attributes:
        type: "order_filled", "position_change", "daily_close", "market_data_update" or
            "drawdown_breach".
        data: JSON values; amounts as decimal text.
    """

    type: str
    data: Mapping[str, Any]


class OrderChange(NamedTuple):
    """What became of an order; also the line of its history.

    Attributes:
        order_id: which.
        state: where it stands now.
        at: when.
        filled: how much has traded so far; None = unchanged.
        quantity: after a split; None = unchanged. So are `limit_price` and `stop_price`.
        broker_id: once it is known; None = unchanged.
        reason: why, or what is worth knowing.
    """

    order_id: str
    state: OrderState
    at: int
    filled: Decimal | None = None
    quantity: Decimal | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    broker_id: str | None = None
    reason: str | None = None

    def apply(self, order: Order) -> Order:
        """Return the order as this change leaves it."""
        # Written out: `dataclasses.replace` takes three times as long, and each fill needs two.
        return Order(
            id=order.id,
            account=order.account,
            symbol=order.symbol,
            side=order.side,
            type=order.type,
            quantity=order.quantity if self.quantity is None else self.quantity,
            limit_price=order.limit_price if self.limit_price is None else self.limit_price,
            stop_price=order.stop_price if self.stop_price is None else self.stop_price,
            time_in_force=order.time_in_force,
            state=self.state,
            filled=order.filled if self.filled is None else self.filled,
            created_at=order.created_at,
            effective_at=order.effective_at,
            updated_at=self.at,
            run_id=order.run_id,
            fence=order.fence,
            ordinal=order.ordinal,
            task=order.task,
            priority=order.priority,
            broker_id=order.broker_id if self.broker_id is None else self.broker_id,
            reason=order.reason if self.reason is None else self.reason,
        )


class Holder(NamedTuple):
    """The attempt in whose name something is done: the write carries its fence."""

    run_id: str
    fence: int


class Change(NamedTuple):
    """Everything that becomes true at once in one account.

    Attributes:
        account: as it will be; `version` is the one that was read, and is raised by one.
        entries: new lines, numbered on from the last.
        orders: new orders.
        order_changes: what became of orders, new ones included, in order.
        snapshots: points of the equity curve; one that is there already is replaced.
        facts: events.
        holder: the attempt that must still hold its run; None for nobody's.
        asked: orders that somebody outside of a run wants cancelled, whose act this change is.
    """

    account: AccountRecord
    entries: Sequence[Entry] = ()
    orders: Sequence[Order] = ()
    order_changes: Sequence[OrderChange] = ()
    snapshots: Sequence[Snapshot] = ()
    facts: Sequence[Fact] = ()
    holder: Holder | None = None
    asked: Sequence[str] = ()


class Ledger(Protocol):
    """Accounts, orders and entries."""

    def open_account(self, record: AccountRecord, deposit: Entry | None = None) -> AccountRecord:
        """Store an account with its first deposit, or return it as it stands when it is there.

        Raises:
            AccountMismatch: it is there with another currency or another broker.
        """
        ...

    def account(self, name: str) -> AccountRecord:
        """Return an account.

        Raises:
            UnknownAccount: there is none of that name.
        """
        ...

    def accounts(self) -> list[AccountRecord]:
        """Return all accounts, by name."""
        ...

    def record(self, change: Change) -> int:
        """Make a change true: all of it in one transaction, its events and their runs too.

        Returns:
            The account's new version.

        Raises:
            LedgerConflict: the account was changed since it was read; read it again.
            FenceLost: the holder's run is held by another attempt now, or has ended.
            StoreError: the store did not take it; nothing happened.
        """
        ...

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
        """Return entries in the order of `seq`, the first `limit` of them.

        Args:
            account: whose.
            after_seq: only later ones.
            kind: only these.
            symbol: only of this symbol.
            before: only with `at` < before.
            after: only with `at` > after.
            archived: only archived ones, or only others; None = both.
            limit: at most so many.
        """
        ...

    def archive(self, account: str, seqs: Sequence[int], at: int) -> int:
        """Mark entries as archived; return how many were not before. They still count."""
        ...

    def order(self, order_id: str) -> Order | None:
        """Return an order, or None."""
        ...

    def orders(
        self,
        account: str,
        *,
        working: bool = False,
        run_id: str | None = None,
        symbol: str | None = None,
        limit: int | None = None,
    ) -> list[Order]:
        """Return orders by `created_at` and id, the newest `limit` of them.

        Args:
            account: whose.
            working: only those that may still trade.
            run_id: only those of this run, in the order of `ordinal`.
            symbol: only of this symbol.
            limit: at most so many.
        """
        ...

    def order_history(self, order_id: str) -> list[OrderChange]:
        """Return what became of an order, oldest first."""
        ...

    def snapshots(
        self, account: str, *, after: int | None = None, limit: int | None = None
    ) -> list[Snapshot]:
        """Return the equity curve, oldest first; with a `limit`, its newest points."""
        ...

    def latch(self, account: str, name: str, holder: Holder, closed: bool, at: int) -> bool:
        """Say whether a condition that holds (`closed`) is this run's to act on.

        True once for each time that the condition comes true: for the run that first saw it,
        in all its attempts. When it no longer holds the latch opens again.
        """
        ...

    def holding(self, name: str) -> AbstractContextManager[None]:
        """Hold a name for a moment against all other threads and processes of the store."""
        ...


class FileVersion(NamedTuple):
    """One file of stored bars, as the manifest names it.

    Attributes:
        symbol, timeframe, period: which bars; a period is "2012", below an hour "2012-11", below
            a minute "2012-11-23"; of bars that were put away with "archive/" before it.
        file: its path below the folder; a new version is a new file.
        version: grows with each.
        rows: bars in it.
        first: start of the first bar; last: end of the last one.
    """

    symbol: str
    timeframe: str
    period: str
    file: str
    version: int
    rows: int
    first: int
    last: int


class Manifest(Protocol):
    """Which files of bars are the truth; readers follow it, so that a half-written file is nothing."""

    def files(self, symbol: str | None = None, timeframe: str | None = None) -> list[FileVersion]:
        """Return the present files, by symbol, timeframe and period."""
        ...

    def replace(
        self,
        files: Sequence[FileVersion],
        gone: Sequence[FileVersion],
        facts: Sequence[Fact],
        at: int,
    ) -> None:
        """Put new versions in place of old ones, in one transaction with their events.

        Args:
            files: the new versions; each `version` is one more than the present one (1 for new).
            gone: present files that are taken away.
            facts: events to store with it.
            at: when.

        Raises:
            LedgerConflict: another writer was first; read again and merge again.
        """
        ...

    def actions(self) -> list[Any]:
        """Return all stored corporate actions (`Split`, `Dividend`), by (at, symbol)."""
        ...

    def put_actions(self, actions: Sequence[Any]) -> int:
        """Store corporate actions; return how many were not known. The same one counts once."""
        ...


class BacktestRecord(NamedTuple):
    """A stored backtest, without its pages.

    Attributes:
        id: made from its inputs and seed, and a number when it was run again.
        summary: parameters and metrics as JSON values.
    """

    id: str
    name: str
    started_at: int
    finished_at: int
    summary: Mapping[str, Any]


class Backtests(Protocol):
    """Finished backtests."""

    def put(self, record: BacktestRecord, pages: Mapping[str, Sequence[bytes]]) -> str:
        """Store a backtest with its pages by kind; return its id.

        The same result under the same id is left as it is; another one gets a number behind it.
        """
        ...

    def get(self, backtest_id: str) -> BacktestRecord:
        """Return a backtest.

        Raises:
            UnknownBacktest: there is none; a unique beginning of an id is enough.
        """
        ...

    def pages(self, backtest_id: str, kind: str) -> list[bytes]:
        """Return the pages of a kind, in order."""
        ...

    def recent(self, limit: int = 50) -> list[BacktestRecord]:
        """Return backtests, the newest first."""
        ...

    def remove(self, backtest_id: str) -> bool:
        """Delete a backtest; return whether it was there."""
        ...


class Maintenance(Protocol):
    """Care for the database itself."""

    def backup(self, path: str) -> Mapping[str, Any]:
        """Write a restorable copy while others write; return `path`, `bytes` and `format`.

        Raises:
            BackupError: it cannot be written; nothing is left half-written at `path`.
        """
        ...

    def rebuild_indices(self) -> None:
        """Rebuild every index."""
        ...

    def update_statistics(self) -> None:
        """Let the database look again at what its tables hold."""
        ...
