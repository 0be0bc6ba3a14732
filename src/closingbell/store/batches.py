"""Batches: runs that were submitted together, and how far they have come."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, func, select

from closingbell.core.batch import Batch, BatchProgress
from closingbell.core.clock import from_micros
from closingbell.core.error import UnknownBatch
from closingbell.core.run import RunState
from closingbell.store.codec import instant, storable
from closingbell.store.database import Database
from closingbell.store.door_schema import batches
from closingbell.store.schema import runs


class StoredBatches:
    """What was submitted together."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def make_on(
        self,
        connection: Any,
        batch_id: str,
        task: str,
        name: str,
        size: int,
        requested_by: str | None,
        now: int,
    ) -> Batch:
        """Store a batch inside the transaction that stores its runs, which carry its id."""
        values = {
            "id": batch_id,
            "task": task,
            "name": storable(name),
            "size": size,
            "requested_by": None if requested_by is None else storable(requested_by),
            "created_at": now,
        }
        row = connection.execute(batches.insert().values(values).returning(batches)).one()
        return _read(row)

    def get(self, batch_id: str) -> Batch:
        """Return one batch.

        Raises:
            UnknownBatch: it was never made here, or was pruned.
        """
        with self._database.reading() as connection:
            row = connection.execute(select(batches).where(batches.c.id == batch_id)).one_or_none()
        if row is None:
            raise UnknownBatch(batch_id)
        return _read(row)

    def page(self, limit: int = 100, before: str | None = None) -> list[Batch]:
        """Return batches, the newest first; `before` is the last id of the page before."""
        # Ids are in the order of their making.
        query = select(batches).order_by(batches.c.id.desc()).limit(limit)
        if before is not None:
            query = query.where(batches.c.id < before)
        with self._database.reading() as connection:
            return [_read(row) for row in connection.execute(query)]

    def progress(self, batch_id: str) -> BatchProgress:
        """Return how far a batch has come; reads each of its runs."""
        query = (
            select(
                runs.c.state,
                func.count(),
                func.min(runs.c.started_at),
                func.max(runs.c.finished_at),
            )
            .where(runs.c.batch_id == batch_id, runs.c.batch_id.is_not(None))
            .group_by(runs.c.state)
        )
        with self._database.reading() as connection:
            found = {row[0]: row for row in connection.execute(query)}
        started = [row[2] for row in found.values() if row[2] is not None]
        finished = [row[3] for row in found.values() if row[3] is not None]
        return BatchProgress(
            {str(s): int(found[s.value][1]) if s.value in found else 0 for s in RunState},
            instant(min(started, default=None)),
            instant(max(finished, default=None)),
        )


def _read(row: Row[Any]) -> Batch:
    return Batch(
        row.id, row.task, row.name, row.size, row.requested_by, from_micros(row.created_at)
    )
