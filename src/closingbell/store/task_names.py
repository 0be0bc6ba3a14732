"""The names of tasks that a store knows, whether or not their code is at hand."""

from __future__ import annotations

from sqlalchemy import func, select

from closingbell.store.database import Database
from closingbell.store.schema import event_triggers, runs, schedules


class StoredTaskNames:
    """Tasks that have runs, schedules or event triggers."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> list[str]:
        """Return their names in order; of runs by one seek for each task."""
        found: set[str] = set()
        with self._database.reading() as connection:
            for column in (schedules.c.task, event_triggers.c.task):
                found.update(connection.execute(select(column).distinct()).scalars())
            name: str | None = None
            while True:
                query = select(func.min(runs.c.task))
                if name is not None:
                    query = query.where(runs.c.task > name)
                name = connection.execute(query).scalar_one()
                if name is None:
                    return sorted(found)
                found.add(name)
