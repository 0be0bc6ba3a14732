"""What is old enough to go.

Pruning works in small transactions, so that it never holds up a claim. Of every
task the run that ended last is kept, so that its status is known for ever; a
firing's marker outlives its run, so that no instant can fire again.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import delete, exists, func, select

from closingbell.store.database import Database
from closingbell.store.door_schema import approvals, batches
from closingbell.store.ended import ended, ended_tasks, newest_of
from closingbell.store.schema import (
    alerts,
    attempts,
    dismissals,
    events,
    firings,
    notifications,
    rate_uses,
    run_logs,
    runs,
)

#: Runs deleted in one transaction.
CHUNK = 500


class Retention:
    """Deletes what the settings no longer want kept."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def prune_runs(self, task: str, finished_before: int, limit: int = CHUNK) -> int:
        """Delete up to `limit` ended runs of a task with their attempts and logs.

        Returns:
            How many runs were deleted; less than `limit` when none are left.
        """
        old = (
            select(runs.c.id)
            .where(runs.c.task == task, ended())
            .where(runs.c.finished_at < finished_before, runs.c.finished_at < newest_of(task))
            .limit(limit)
        )
        with self._database.reading() as connection:
            ids = list(connection.execute(old).scalars())
        if not ids:
            return 0
        with self._database.writing() as connection:
            for table in (attempts, run_logs, dismissals, approvals):
                connection.execute(delete(table).where(table.c.run_id.in_(ids)))
            # Not by id alone: a run that was retried meanwhile lives again.
            gone = delete(runs).where(runs.c.id.in_(ids), runs.c.finished_at.is_not(None))
            return connection.execute(gone).rowcount

    def tasks(self) -> list[str]:
        """Return the names of all tasks that have ended runs."""
        with self._database.reading() as connection:
            return ended_tasks(connection)

    def prune_facts(self, before: Mapping[str, int], now: int) -> int:
        """Delete what is old: events, alerts, messages, firings, rate entries, empty batches.

        Args:
            before: for "events", "alerts" and "firings", the instant before which to delete; for
                "batches" too, where it is not that of events.
            now: the desk's time.
        """
        # Tasks may count one bucket over different windows: the longest decides.
        longest = rate_uses.alias()
        window = (
            select(func.max(longest.c.window_us))
            .where(longest.c.bucket == rate_uses.c.bucket)
            .scalar_subquery()
        )
        with self._database.writing() as connection:
            gone = [
                delete(events).where(events.c.happened_at < before["events"]),
                delete(alerts).where(alerts.c.cleared_at < before["alerts"]),
                delete(notifications).where(
                    notifications.c.created_at < before["alerts"], notifications.c.next_at.is_(None)
                ),
                delete(firings).where(firings.c.fire_at < before["firings"]),
                delete(rate_uses).where(rate_uses.c.used_at < now - window),
                delete(batches).where(
                    batches.c.created_at < before.get("batches", before["events"]),
                    ~exists().where(runs.c.batch_id == batches.c.id),
                ),
            ]
            return sum(connection.execute(statement).rowcount for statement in gone)
