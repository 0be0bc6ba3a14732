"""What has not ended yet: the runs and firings that market data waits for.

A run that waits for people may wait for days; nothing waits for it.
"""

from __future__ import annotations

from sqlalchemy import select, union_all

from closingbell.store.database import Database
from closingbell.store.schema import literal, runs, schedules

#: So many of each state are looked at, the earliest first.
_LOOKED_AT = 200


class StoredActive:
    """Runs and schedules by the instant at which they are due, in desk microseconds."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def runs_until(self, until: int) -> list[tuple[str, int, bool]]:
        """Return (id, due_at, whether it runs) of runs that are due by `until` and have not ended."""
        states = [
            select(runs.c.id, runs.c.due_at, runs.c.state)
            .where(runs.c.state == literal(state), runs.c.hold.is_(None), runs.c.due_at <= until)
            .order_by(runs.c.due_at)
            .limit(_LOOKED_AT)
            .subquery()
            for state in ("scheduled", "pending", "running")
        ]
        # One statement is one snapshot: a run that changes its state meanwhile is not missed.
        query = union_all(*(select(part.c.id, part.c.due_at, part.c.state) for part in states))
        with self._database.reading() as connection:
            rows = connection.execute(query)
            return [(row.id, row.due_at, row.state == "running") for row in rows]

    def runs_at(self, instant: int) -> list[tuple[int, str, str]]:
        """Return (priority, task, id) of runs that are due at an instant and have not ended."""
        query = union_all(
            *(
                select(runs.c.priority, runs.c.task, runs.c.id).where(
                    runs.c.state == literal(state),
                    runs.c.hold.is_(None),
                    runs.c.due_at == instant,
                )
                for state in ("scheduled", "pending", "running")
            )
        )
        with self._database.reading() as connection:
            return [(row.priority, row.task, row.id) for row in connection.execute(query)]

    def firings_until(self, until: int) -> list[tuple[str, str, int]]:
        """Return (schedule id, task, next_fire_at) of unpaused schedules that are due by `until`."""
        query = (
            select(schedules.c.id, schedules.c.task, schedules.c.next_fire_at)
            .where(schedules.c.next_fire_at <= until, schedules.c.paused_at.is_(None))
            .order_by(schedules.c.next_fire_at)
            .limit(_LOOKED_AT)
        )
        with self._database.reading() as connection:
            return [(row.id, row.task, row.next_fire_at) for row in connection.execute(query)]
