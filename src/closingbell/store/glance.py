"""The glance: how a store stands, in a few short looks that cost the same whatever has ended.

What could be many (runs that wait, alerts that are open) is counted up to a bound.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import Select, func, select

from closingbell.store.alert_schema import alerts
from closingbell.store.database import Database
from closingbell.store.schema import literal, runs, schedules

#: Nothing is counted further than this.
MOST = 50_000


class Standing(NamedTuple):
    """How runs stand. Instants are microseconds since the epoch, of the desk's clock.

    Attributes:
        running: a worker has them.
        pending: they could start now.
        scheduled: they are due later, or wait for a retry.
        held: they wait for people.
        late: due for longer than was asked about, and not started.
        oldest_due_at: when the longest waiting of what is pending was due; None = none is.
        complete: False when one of them is more than was counted.
    """

    running: int
    pending: int
    scheduled: int
    held: int
    late: int
    oldest_due_at: int | None
    complete: bool


class StoredGlance:
    """Reads how a store stands."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def runs(self, late_since: int) -> Standing:
        """Return how runs stand.

        Args:
            late_since: what was due at this instant or before, and has not started, is late.
        """
        counts: dict[str, int] = {}
        late, oldest, complete = 0, [], True
        with self._database.reading() as connection:
            for name, query in _BRANCHES:
                window = query.limit(MOST).subquery()
                asked = select(
                    func.count(),
                    func.min(window.c.due_at),
                    func.count().filter(window.c.due_at <= late_since),
                ).select_from(window)
                count, first, overdue = connection.execute(asked).one()
                counts[name] = counts.get(name, 0) + int(count)
                complete = complete and count < MOST
                if name in ("pending", "scheduled"):
                    late += int(overdue)
                if name == "pending" and first is not None:
                    oldest.append(int(first))
        return Standing(
            **counts, late=late, oldest_due_at=min(oldest, default=None), complete=complete
        )

    def alerts(self) -> dict[str, int]:
        """Return how many alerts are open, by severity."""
        window = (
            select(alerts.c.severity).where(alerts.c.cleared_at.is_(None)).limit(MOST).subquery()
        )
        query = select(window.c.severity, func.count()).group_by(window.c.severity)
        with self._database.reading() as connection:
            return {severity: int(count) for severity, count in connection.execute(query)}

    def late_schedules(self, late_since: int) -> int:
        """Return how many schedules should have fired at an instant or before, and have not."""
        query = (
            select(schedules.c.id)
            .where(schedules.c.next_fire_at.is_not(None), schedules.c.next_fire_at <= late_since)
            .where(schedules.c.paused_at.is_(None))
            .limit(MOST)
        )
        with self._database.reading() as connection:
            counted = connection.execute(select(func.count()).select_from(query.subquery()))
            return int(counted.scalar_one())

    def next_schedules(self, limit: int) -> list[dict[str, Any]]:
        """Return the rows of the schedules that fire next, the first of them first."""
        query = (
            select(schedules)
            .where(schedules.c.next_fire_at.is_not(None), schedules.c.paused_at.is_(None))
            .order_by(schedules.c.next_fire_at)
            .limit(limit)
        )
        with self._database.reading() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]


def _waiting(state: str) -> Select[Any]:
    return select(runs.c.due_at).where(runs.c.state == literal(state))


# Each condition is that of a partial index, and the order is its own.
_BRANCHES: tuple[tuple[str, Select[Any]], ...] = (
    ("running", _waiting("running")),
    (
        "pending",
        _waiting("pending")
        .where(runs.c.lane.is_(None))
        .order_by(runs.c.executor, runs.c.priority, runs.c.due_at, runs.c.id),
    ),
    (
        "pending",
        _waiting("pending")
        .where(runs.c.lane.is_not(None))
        .order_by(runs.c.executor, runs.c.lane, runs.c.priority, runs.c.due_at, runs.c.id),
    ),
    (
        "scheduled",
        _waiting("scheduled").where(runs.c.hold.is_(None)).order_by(runs.c.due_at, runs.c.id),
    ),
    (
        "held",
        _waiting("scheduled").where(runs.c.hold.is_not(None)).order_by(runs.c.id),
    ),
)
