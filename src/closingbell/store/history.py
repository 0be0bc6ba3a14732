"""What ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Row, select

from closingbell.core.clock import to_micros
from closingbell.core.run import Run, RunState
from closingbell.store.codec import read_run
from closingbell.store.database import Database
from closingbell.store.ended import STATES, End, ended_tasks, latest, newest
from closingbell.store.schema import runs

#: Rows fetched by one statement; below what both databases take as parameters.
_CHUNK = 500


class Standing(NamedTuple):
    """How a task ended last.

    Attributes:
        last: id, task, state, started_at, finished_at and error of the run that ended last.
        succeeded_at: when a run last succeeded, in microseconds; None = never.
    """

    last: Row[Any] | None
    succeeded_at: int | None


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
            tasks = ended_tasks(connection) if task is None else [task]
            states = STATES if state is None else [state]
            ids = [end.id for end in latest(connection, tasks, states, limit, _end(before))]
            rows: dict[str, Any] = {}
            for start in range(0, len(ids), _CHUNK):
                chunk = select(runs).where(runs.c.id.in_(ids[start : start + _CHUNK]))
                rows.update((row.id, row._mapping) for row in connection.execute(chunk))
        return [read_run(rows[run_id]) for run_id in ids if run_id in rows]

    def standing(self, tasks: Sequence[str]) -> dict[str, Standing]:
        """Return how tasks ended last; a task of which no run has ended is left out."""
        found: dict[str, Standing] = {}
        with self._database.reading() as connection:
            for row in newest(connection, _ENDED, tasks):
                known = found.get(row.task, Standing(None, None))
                if known.last is None or row.finished_at > known.last.finished_at:
                    known = known._replace(last=row)
                if row.state == RunState.SUCCESS:
                    known = known._replace(succeeded_at=row.finished_at)
                found[row.task] = known
        return found


_ENDED = (
    runs.c.id,
    runs.c.task,
    runs.c.state,
    runs.c.started_at,
    runs.c.finished_at,
    runs.c.error,
)


def _end(run: Run | None) -> End | None:
    if run is None or run.finished_at is None:
        return None
    return End(to_micros(run.finished_at), run.id)
