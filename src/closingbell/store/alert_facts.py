"""What rules of alerts look at: reads whose cost does not grow with what has ended."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy import Connection, func, select, text

from closingbell.store.database import Database, SqliteDatabase
from closingbell.store.schema import firings, literal, runs, schedules, workers


class Waiting(NamedTuple):
    """Runs of a task and schedule that were due and have not started; the first one's id."""

    task: str
    schedule: str | None
    oldest_id: str
    oldest_due_at: int
    runs: int


class Late(NamedTuple):
    """A schedule, not paused, whose next firing is past."""

    schedule: str
    task: str
    fire_at: int


class Firing(NamedTuple):
    """The last firing of a schedule before some instant."""

    schedule: str
    task: str
    fire_at: int
    run_id: str | None
    reason: str | None


class Lost(NamedTuple):
    """A worker whose lease ended, and on whose host none has started since."""

    id: str
    host: str
    lost_at: int


class Held(NamedTuple):
    """Runs of a task that wait for a person."""

    task: str
    oldest_id: str
    since: int
    runs: int


class StoredAlertFacts:
    """Reads facts for rules; times are microseconds."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def waiting(self, due_before: int) -> list[Waiting]:
        """Return the runs that were due by an instant and have not started, by task."""
        # An expression, not the column: else the index by task, over all runs, seems inviting.
        task = runs.c.task.concat(literal("")).label("task")
        query = (
            select(
                task,
                runs.c.schedule_id,
                func.min(runs.c.id),
                func.min(runs.c.due_at),
                func.count(),
            )
            .where(runs.c.due_at <= due_before)
            .group_by(task, runs.c.schedule_id)
        )
        # Each condition is that of a partial index.
        pending = query.where(runs.c.state == literal("pending"))
        parts = (
            query.where(runs.c.state == literal("scheduled"), runs.c.hold.is_(None)),
            pending.where(runs.c.lane.is_(None)),
            pending.where(runs.c.lane.is_not(None)),
        )
        found: list[Waiting] = []
        with self._database.reading() as connection:
            for part in parts:
                found += [Waiting(*row) for row in connection.execute(part)]
        return found

    def late(self, before: int) -> list[Late]:
        """Return the schedules whose next firing should have been by an instant."""
        query = select(schedules.c.id, schedules.c.task, schedules.c.next_fire_at).where(
            schedules.c.next_fire_at <= before, schedules.c.paused_at.is_(None)
        )
        with self._database.reading() as connection:
            return [Late(*row) for row in connection.execute(query)]

    def missed(self, before: int, task: str | None, schedule: str | None) -> list[Firing]:
        """Return the last firings by an instant since which their task has not succeeded.

        Paused schedules have none, and what a blackout skipped was not to run.
        """
        query = select(schedules.c.id, schedules.c.task, schedules.c.next_fire_at).where(
            schedules.c.paused_at.is_(None)
        )
        if task is not None:
            query = query.where(schedules.c.task == task)
        if schedule is not None:
            query = query.where(schedules.c.id == schedule)
        found: list[Firing] = []
        with self._database.reading() as connection:
            for row in connection.execute(query).all():
                last = (
                    select(firings.c.fire_at, firings.c.run_id, firings.c.reason)
                    .where(firings.c.schedule_id == row.id, firings.c.fire_at <= before)
                    .order_by(firings.c.fire_at.desc())
                    .limit(1)
                )
                tick = connection.execute(last).one_or_none()
                if row.next_fire_at is not None and row.next_fire_at <= before:
                    found.append(Firing(row.id, row.task, row.next_fire_at, None, None))
                elif tick is not None and not (tick.reason or "").startswith("blackout"):
                    found.append(Firing(row.id, row.task, *tick))
            successes = self._successes(connection, {one.task for one in found})
        return [one for one in found if successes.get(one.task, one.fire_at - 1) < one.fire_at]

    def successes(self, tasks: Iterable[str]) -> dict[str, int]:
        """Return when each of some tasks last succeeded; one that never did is left out."""
        with self._database.reading() as connection:
            return self._successes(connection, tasks)

    def _successes(self, connection: Connection, tasks: Iterable[str]) -> dict[str, int]:
        found: dict[str, int] = {}
        for task in sorted(tasks):
            query = (
                select(runs.c.finished_at)
                .where(runs.c.task == task, runs.c.finished_at.is_not(None))
                .where(runs.c.state == "success")
                .order_by(runs.c.finished_at.desc())
                .limit(1)
            )
            at = connection.execute(query).scalar_one_or_none()
            if at is not None:
                found[task] = int(at)
        return found

    def lost(self, now: int) -> list[Lost]:
        """Return the workers that went without a goodbye and that nobody replaced on their host.

        Args:
            now: the machine's time, in which leases are written.
        """
        query = select(
            workers.c.id,
            workers.c.host,
            workers.c.state,
            workers.c.started_at,
            workers.c.seen_at,
            workers.c.lease_until,
        )
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        started: dict[str, int] = {}
        for row in rows:
            started[row.host] = max(started.get(row.host, 0), row.started_at)
        return [
            Lost(row.id, row.host, row.lease_until)
            for row in rows
            if row.state != "stopped" and row.lease_until < now and started[row.host] <= row.seen_at
        ]

    def size(self) -> tuple[int, float | None]:
        """Return the store's bytes, and which part of its disk is free where that is seen."""
        database = self._database
        if isinstance(database, SqliteDatabase):
            beside = (database.path.with_name(database.path.name + end) for end in ("", "-wal"))
            size = sum(file.stat().st_size for file in beside if file.is_file())
            disk = shutil.disk_usage(database.path.parent)
            return size, disk.free / disk.total
        with database.reading() as connection:
            query = text("SELECT pg_database_size(current_database())")
            return int(connection.execute(query).scalar_one()), None

    def held(self) -> list[Held]:
        """Return the runs that wait for a person, by task."""
        query = select(runs.c.task, runs.c.id, runs.c.submitted_at).where(
            runs.c.state == literal("scheduled"), runs.c.hold.is_not(None)
        )
        found: dict[str, Held] = {}
        with self._database.reading() as connection:
            for task, run_id, at in connection.execute(query.order_by(runs.c.id)):
                first = found.get(task, Held(task, run_id, at, 0))
                found[task] = first._replace(runs=first.runs + 1)
        return list(found.values())
