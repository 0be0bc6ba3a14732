"""Finished backtests, with all that they found."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, delete, insert, select, tuple_

from closingbell.core.error import UnknownBacktest
from closingbell.core.ledger import BacktestRecord
from closingbell.store.audit import StoredAudit
from closingbell.store.codec import from_json, to_json
from closingbell.store.database import Database
from closingbell.store.insert import insert_of
from closingbell.store.trading_schema import backtest_pages, backtests

_ordered = msgspec.json.Encoder(order="deterministic")
#: After every character of an id.
_LAST = "\U0010ffff"


class StoredBacktests:
    """The `Backtests` of both stores; see the port for the contract."""

    def __init__(self, database: Database, audit: StoredAudit) -> None:
        self._database = database
        self._audit = audit

    def put(self, record: BacktestRecord, pages: Mapping[str, Sequence[bytes]]) -> str:
        digest = _digest(record, pages)
        with self._database.writing() as connection:
            backtest_id, number = record.id, 1
            while not _reserve(connection, backtest_id, record, digest):
                if _digest_of(connection, backtest_id) == digest:
                    return backtest_id
                number += 1
                backtest_id = f"{record.id}-{number}"
            rows = [
                {"backtest_id": backtest_id, "kind": kind, "number": place, "data": page}
                for kind, some in pages.items()
                for place, page in enumerate(some)
            ]
            if rows:
                connection.execute(insert(backtest_pages), rows)
        return backtest_id

    def get(self, backtest_id: str) -> BacktestRecord:
        first, after = backtests.c.id >= backtest_id, backtests.c.id < backtest_id + _LAST
        query = select(backtests).where(first, after).order_by(backtests.c.id).limit(2)
        with self._database.reading() as connection:
            found = connection.execute(query).all() if backtest_id else []
            # The whole id comes before all that it begins.
            if found and (len(found) == 1 or found[0].id == backtest_id):
                return _read(found[0])
            known = connection.execute(select(backtests.c.id)).scalars()
            raise UnknownBacktest(backtest_id, known)

    def pages(self, backtest_id: str, kind: str) -> list[bytes]:
        columns = backtest_pages.c
        query = (
            select(columns.data)
            .where(columns.backtest_id == backtest_id, columns.kind == kind)
            .order_by(columns.number)
        )
        with self._database.reading() as connection:
            return [bytes(page) for page in connection.execute(query).scalars()]

    def recent(self, limit: int = 50) -> list[BacktestRecord]:
        newest = backtests.c.finished_at.desc(), backtests.c.id.desc()
        with self._database.reading() as connection:
            rows = connection.execute(select(backtests).order_by(*newest).limit(limit))
            return [_read(row) for row in rows]

    def page(self, limit: int, after: tuple[int, str] | None = None) -> list[BacktestRecord]:
        """Return a page of backtests, the newest first.

        Args:
            limit: at most so many.
            after: `finished_at` and id of the last one of the page before.
        """
        key = tuple_(backtests.c.finished_at, backtests.c.id)
        query = select(backtests).order_by(backtests.c.finished_at.desc(), backtests.c.id.desc())
        if after is not None:
            query = query.where(key < tuple_(*after))
        with self._database.reading() as connection:
            return [_read(row) for row in connection.execute(query.limit(limit))]

    def remove(self, backtest_id: str) -> bool:
        with self._database.writing() as connection:
            gone = delete(backtest_pages).where(backtest_pages.c.backtest_id == backtest_id)
            connection.execute(gone)
            whole = delete(backtests).where(backtests.c.id == backtest_id)
            row = connection.execute(whole.returning(backtests.c.name)).one_or_none()
            if row is not None:
                was = {"name": row.name}
                self._audit.append_on(
                    connection, "backtest.removed", "backtest", backtest_id, before=was
                )
            return row is not None


def _digest(record: BacktestRecord, pages: Mapping[str, Sequence[bytes]]) -> str:
    """Return what tells one result from another; when it was made does not count."""
    digest = hashlib.blake2b(_ordered.encode(record.summary), digest_size=16)
    for kind in sorted(pages):
        for page in pages[kind]:
            digest.update(f"\n{kind} {len(page)}\n".encode())
            digest.update(page)
    return digest.hexdigest()


def _reserve(connection: Connection, backtest_id: str, record: BacktestRecord, digest: str) -> bool:
    row = {
        "id": backtest_id,
        "name": record.name,
        "started_at": record.started_at,
        "finished_at": record.finished_at,
        "summary": to_json(record.summary),
        "digest": digest,
    }
    fresh = insert_of(connection)(backtests).values(**row).on_conflict_do_nothing()
    return connection.execute(fresh.returning(backtests.c.id)).first() is not None


def _digest_of(connection: Connection, backtest_id: str) -> str | None:
    query = select(backtests.c.digest).where(backtests.c.id == backtest_id)
    return connection.execute(query).scalar()


def _read(row: Any) -> BacktestRecord:
    return BacktestRecord(row.id, row.name, row.started_at, row.finished_at, from_json(row.summary))
