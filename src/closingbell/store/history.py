"""What ended."""

from __future__ import annotations

import heapq
from typing import Any

from sqlalchemy import Connection, select

from closingbell.core.clock import to_micros
from closingbell.core.run import Run
from closingbell.store.codec import read_run
from closingbell.store.database import Database
from closingbell.store.retention import ended_tasks
from closingbell.store.schema import runs

#: Rows fetched by one statement; below what both databases take as parameters.
_CHUNK = 500


class StoredHistory:
    """Ended runs, as people look at them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def ended(
        self,
        *,
        task: str | None = None,
        state: str | None = None,
        limit: int = 100,
        before: Run | None = None,
    ) -> list[Run]:
        """Return ended runs, the latest ended first.

        Args:
            task: only this task's.
            state: only those that ended like this.
            limit: at most so many.
            before: the last run of the page before.
        """
        with self._database.reading() as connection:
            # The index leads by task: a few rows of each one, however many there are.
            tasks = ended_tasks(connection) if task is None else [task]
            found = [
                row for name in tasks for row in _latest(connection, name, state, limit, before)
            ]
            ids = [run_id for _, run_id in heapq.nlargest(limit, found)]
            rows: dict[str, Any] = {}
            for start in range(0, len(ids), _CHUNK):
                chunk = select(runs).where(runs.c.id.in_(ids[start : start + _CHUNK]))
                rows.update((row.id, row._mapping) for row in connection.execute(chunk))
        return [read_run(rows[run_id]) for run_id in ids if run_id in rows]


def _latest(
    connection: Connection, task: str, state: str | None, limit: int, before: Run | None
) -> list[tuple[int, str]]:
    query = (
        select(runs.c.finished_at, runs.c.id)
        .where(runs.c.task == task, runs.c.finished_at.is_not(None))
        .order_by(runs.c.finished_at.desc(), runs.c.id.desc())
        .limit(limit)
    )
    if state is not None:
        query = query.where(runs.c.state == state)
    if before is not None and before.finished_at is not None:
        end = to_micros(before.finished_at)
        # The first condition is what the index can seek; the second breaks ties.
        query = query.where(runs.c.finished_at <= end).where(
            (runs.c.finished_at < end) | (runs.c.id < before.id)
        )
    return [(row[0], row[1]) for row in connection.execute(query)]
