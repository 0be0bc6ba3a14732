"""The roster: which workers there are, what they may hold and what they hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Select, func, select

from closingbell.core.error import UnknownWorker
from closingbell.store.codec import from_json
from closingbell.store.database import Database
from closingbell.store.schema import literal, runs, workers

#: Runs that are named of one worker.
MOST_NAMED = 100


class HeldRun(NamedTuple):
    """A run that a worker holds; times are microseconds since the epoch."""

    id: str
    task: str
    executor: str
    attempt: int
    started_at: int | None


class Enrolled(NamedTuple):
    """A worker. Times but `started_at` of runs are of the store's machine, in microseconds.

    Attributes:
        about: what it said of itself: "version", "slots" by kind, "tasks".
        used: how many runs it holds, by kind of executor.
        running: the runs it holds, the first of them.
    """

    id: str
    state: str
    host: str
    pid: int
    about: Mapping[str, Any]
    started_at: int
    seen_at: int
    lease_until: int
    stopped_at: int | None
    used: Mapping[str, int]
    running: Sequence[HeldRun]


class StoredRoster:
    """Reads workers, a bounded number of them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def recent(self, ended_since: int, limit: int) -> list[Enrolled]:
        """Return workers: those that are alive, then those that ended, each the newest first.

        Args:
            ended_since: leave out those that ended before this instant.
            limit: at most so many.
        """
        alive = (
            select(workers)
            .where(workers.c.state == "alive")
            .order_by(workers.c.started_at.desc(), workers.c.id)
        )
        ended = (
            select(workers)
            .where(workers.c.state != "alive", workers.c.stopped_at >= ended_since)
            .order_by(workers.c.stopped_at.desc(), workers.c.id)
        )
        found = self._read(alive.limit(limit))
        if len(found) < limit:
            found += self._read(ended.limit(limit - len(found)))
        return found

    def get(self, worker_id: str) -> Enrolled:
        """Return one worker.

        Raises:
            UnknownWorker: there is none of that id.
        """
        found = self._read(select(workers).where(workers.c.id == worker_id))
        if not found:
            raise UnknownWorker(worker_id)
        return found[0]

    def _read(self, query: Select[Any]) -> list[Enrolled]:
        with self._database.reading() as connection:
            rows = connection.execute(query).mappings().all()
            ids = [row["id"] for row in rows]
            # By the partial index of what is running: what has ended costs nothing here.
            mine = (runs.c.state == literal("running")) & runs.c.worker_id.in_(ids)
            used: dict[str, dict[str, int]] = {}
            held: dict[str, list[HeldRun]] = {}
            if ids:
                counts = (
                    select(runs.c.worker_id, runs.c.executor, func.count())
                    .where(mine)
                    .group_by(runs.c.worker_id, runs.c.executor)
                )
                for worker, kind, count in connection.execute(counts):
                    used.setdefault(worker, {})[kind] = int(count)
            for worker in used:
                named = (
                    select(
                        runs.c.id, runs.c.task, runs.c.executor, runs.c.attempt, runs.c.started_at
                    )
                    .where(runs.c.state == literal("running"), runs.c.worker_id == worker)
                    .limit(MOST_NAMED)
                )
                held[worker] = sorted(HeldRun(*row) for row in connection.execute(named))
        return [
            Enrolled(
                row["id"],
                row["state"],
                row["host"],
                row["pid"],
                from_json(row["about"]),
                row["started_at"],
                row["seen_at"],
                row["lease_until"],
                row["stopped_at"],
                used.get(row["id"], {}),
                held.get(row["id"], []),
            )
            for row in rows
        ]
