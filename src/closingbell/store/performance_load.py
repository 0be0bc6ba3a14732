"""What stands and waits at present: counts whose cost does not grow with what has ended."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import func, select

from closingbell.store.database import Database
from closingbell.store.schema import alerts, events, literal, runs, schedules, workers

_SCHEDULED, _PENDING = runs.c.state == literal("scheduled"), runs.c.state == literal("pending")
#: Each condition is that of a partial index.
_ACTIVE = (
    ("scheduled", (_SCHEDULED, runs.c.hold.is_(None))),
    ("held", (_SCHEDULED, runs.c.hold.is_not(None))),
    ("pending", (_PENDING, runs.c.lane.is_(None))),
    ("pending", (_PENDING, runs.c.lane.is_not(None))),
    ("running", (runs.c.state == literal("running"),)),
)


class ActiveRuns(NamedTuple):
    """Runs of one task that have not ended and are in one state.

    Attributes:
        state: "held" for those that wait for people, whatever time they are due.
        runs: how many.
        oldest_due_at: when the first of them was, or will be, due.
    """

    task: str
    state: str
    executor: str
    runs: int
    oldest_due_at: int


class PlannedSchedule(NamedTuple):
    """When a schedule fires next; None when never, as its trigger is over or it is paused."""

    id: str
    task: str
    next_fire_at: int | None
    paused: bool


class StoredLoad:
    """What stands and waits in a store."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def active(self) -> list[ActiveRuns]:
        """Return how many runs stand in each state that is not final, by task and executor."""
        # An expression, not the column: else the index by task, over all runs, seems inviting.
        task = runs.c.task.concat(literal("")).label("task")
        found: list[ActiveRuns] = []
        with self._database.reading() as connection:
            for state, condition in _ACTIVE:
                query = (
                    select(task, runs.c.executor, func.count(), func.min(runs.c.due_at))
                    .where(*condition)
                    .group_by(task, runs.c.executor)
                )
                found += [
                    ActiveRuns(name, state, executor, int(count), int(due))
                    for name, executor, count, due in connection.execute(query)
                ]
        return found

    def workers(self) -> dict[str, int]:
        """Return how many workers are in each state."""
        query = select(workers.c.state, func.count()).group_by(workers.c.state)
        with self._database.reading() as connection:
            return {state: int(count) for state, count in connection.execute(query)}

    def schedules(self) -> list[PlannedSchedule]:
        """Return all schedules, by id."""
        query = select(
            schedules.c.id, schedules.c.task, schedules.c.next_fire_at, schedules.c.paused_at
        ).order_by(schedules.c.id)
        with self._database.reading() as connection:
            return [
                PlannedSchedule(name, task, None if paused else at, paused is not None)
                for name, task, at, paused in connection.execute(query)
            ]

    def events(self, since: int) -> dict[str, int]:
        """Return how many events of each type happened since an instant."""
        kind = events.c.type.concat(literal("")).label("type")
        query = select(kind, func.count()).where(events.c.happened_at >= since).group_by(kind)
        with self._database.reading() as connection:
            return {name: int(count) for name, count in connection.execute(query)}

    def alerts(self) -> list[tuple[str, str, int]]:
        """Return type, severity and count of the alerts that nobody cleared."""
        query = (
            select(alerts.c.type, alerts.c.severity, func.count())
            .where(alerts.c.cleared_at.is_(None))
            .group_by(alerts.c.type, alerts.c.severity)
            .order_by(alerts.c.type, alerts.c.severity)
        )
        with self._database.reading() as connection:
            return [(kind, severity, int(n)) for kind, severity, n in connection.execute(query)]
