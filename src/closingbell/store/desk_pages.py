"""The desk's ledger page by page, for people: orders, the journal, points of the equity curve.

Whoever trades folds the whole journal; whoever looks at it reads a page.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Select, select, text

from closingbell.core.entry import Entry
from closingbell.core.ledger import Snapshot
from closingbell.core.order import Order
from closingbell.store.bounded_scan import Filter, scan
from closingbell.store.database import Database
from closingbell.store.ledger_row import read_entries, read_order, read_snapshot
from closingbell.store.schema import literals
from closingbell.store.trading_schema import entries, orders

_WORKING = ("new", "open")
#: Points of a curve that are read, at most; longer ones are sampled at even distances.
MOST_POINTS = 2_000


class OrderPage(NamedTuple):
    """Orders, the newest first; see `bounded_scan.Scan` for the rest."""

    orders: list[Order]
    position: tuple[Any, ...] | None
    complete: bool


class EntryPage(NamedTuple):
    """Entries, the newest first; see `bounded_scan.Scan` for the rest."""

    entries: list[Entry]
    position: tuple[Any, ...] | None
    complete: bool


class StoredDeskPages:
    """Reads pages of accounts that are known to be there."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def orders(
        self,
        account: str,
        *,
        states: Sequence[str] = (),
        symbol: str | None = None,
        task: str | None = None,
        run_id: str | None = None,
        after: Sequence[Any] | None = None,
        limit: int = 100,
    ) -> OrderPage:
        """Return a page of an account's orders, the newest first.

        Args:
            account: whose.
            states: only in one of these.
            symbol: only of this symbol.
            task: only of this task's runs.
            run_id: only of this run.
            after: the position of the page before.
            limit: at most so many.
        """
        columns = orders.c
        query = select(orders).where(columns.account == account)
        filters: list[Filter] = []
        if run_id is not None:
            query = query.where(columns.run_id == run_id)
        if states and set(states) <= set(_WORKING):
            # As the partial index of working orders must be asked for.
            query = query.where(columns.state.in_(literals(_WORKING)))
        if states and set(states) != set(_WORKING):
            filters.append(lambda c: c.state.in_(list(states)))
        if symbol is not None:
            filters.append(lambda c: c.symbol == symbol)
        if task is not None:
            filters.append(lambda c: c.task == task)
        key = (columns.created_at, columns.id)
        with self._database.reading() as connection:
            found = scan(connection, query, key, after, limit, filters)
        return OrderPage([read_order(row) for row in found.rows], found.position, found.complete)

    def entries(
        self,
        account: str,
        *,
        kinds: Sequence[str] = (),
        symbol: str | None = None,
        since: int | None = None,
        until: int | None = None,
        order_id: str | None = None,
        after: Sequence[Any] | None = None,
        limit: int = 100,
    ) -> EntryPage:
        """Return a page of an account's journal, the latest first.

        Args:
            account: whose.
            kinds: only these.
            symbol: only of this symbol.
            since: only with `at` >= since.
            until: only with `at` < until.
            order_id: only of this order.
            after: the position of the page before.
            limit: at most so many.
        """
        columns = entries.c
        query = select(entries).where(columns.account == account)
        filters: list[Filter] = []
        if since is not None:
            query = query.where(columns.happened_at >= since)
        if until is not None:
            query = query.where(columns.happened_at < until)
        if kinds:
            filters.append(lambda c: c.kind.in_(list(kinds)))
        if symbol is not None:
            filters.append(lambda c: c.symbol == symbol)
        if order_id is not None:
            filters.append(lambda c: c.order_id == order_id)
        return self._entries(query, after, limit, filters)

    def fills(self, order: Order, limit: int = 1_000) -> EntryPage:
        """Return the fills of an order, the newest first."""
        columns = entries.c
        query = select(entries).where(
            columns.account == order.account,
            columns.happened_at >= order.created_at,
            columns.happened_at <= order.updated_at,
        )
        return self._entries(query, None, limit, [lambda c: c.order_id == order.id])

    def _entries(
        self,
        query: Select[Any],
        after: Sequence[Any] | None,
        limit: int,
        filters: Sequence[Filter],
    ) -> EntryPage:
        key = (entries.c.happened_at, entries.c.seq)
        with self._database.reading() as connection:
            found = scan(connection, query, key, after, limit, filters)
        # The mark of what is archived is the last column, and no part of an entry.
        rows = [tuple(row)[:-1] for row in found.rows]
        return EntryPage(read_entries(rows), found.position, found.complete)

    def curve(
        self, account: str, since: int | None, until: int | None, most: int = MOST_POINTS
    ) -> tuple[list[Snapshot], bool]:
        """Return points of an account's equity curve, and whether they are all that there are.

        Of a curve with more than `most` points the last one of each of `most` equal spans of
        time is returned, and its very first: as many seeks, however long the curve is.

        Args:
            account: whose.
            since: only with `at` >= since.
            until: only with `at` < until.
            most: points that are read.
        """
        given = {
            "account": account,
            "low": -(2**62) if since is None else since,
            "high": 2**62 if until is None else until,
            "most": most,
        }
        with self._database.reading() as connection:
            if connection.execute(text(_COUNT), given).scalar_one() <= most:
                found = connection.execute(text(_ALL), given).all()
                return [read_snapshot(row) for row in found], True
            first, last = connection.execute(text(_ENDS), given).one()
            given |= {"low": first, "width": -(-(last - first) // most), "high": last}
            sampled = connection.execute(text(_SAMPLED), given).all()
        return [read_snapshot(row) for row in sampled], False


_COLUMNS = "account, taken_at, value, cash, peak, flows, realized, unrealized, exposure"
_WITHIN = "account = :account AND taken_at >= :low AND taken_at < :high"
_COUNT = (
    f"SELECT count(*) FROM (SELECT 1 FROM desk_snapshots WHERE {_WITHIN}"
    " ORDER BY taken_at LIMIT :most + 1) AS counted"
)
_ALL = f"SELECT {_COLUMNS} FROM desk_snapshots WHERE {_WITHIN} ORDER BY taken_at LIMIT :most + 1"
_ENDS = (
    f"SELECT (SELECT min(taken_at) FROM desk_snapshots WHERE {_WITHIN}),"
    f" (SELECT max(taken_at) FROM desk_snapshots WHERE {_WITHIN})"
)
_SAMPLED = f"""
WITH RECURSIVE spans (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM spans WHERE n < :most),
picked (at) AS (
  SELECT (SELECT max(taken_at) FROM desk_snapshots WHERE account = :account
    AND taken_at > :low + (n - 1) * CAST(:width AS BIGINT)
    AND taken_at <= :low + n * CAST(:width AS BIGINT)) FROM spans)
SELECT {_COLUMNS} FROM desk_snapshots
WHERE account = :account AND taken_at IN (SELECT at FROM picked WHERE at IS NOT NULL)
ORDER BY taken_at
"""
