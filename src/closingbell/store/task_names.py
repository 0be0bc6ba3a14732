"""The names of tasks that a store knows, whether or not their code is at hand."""

from __future__ import annotations

from sqlalchemy import select, text

from closingbell.store.database import Database
from closingbell.store.schema import event_triggers, schedules


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
            found.update(connection.execute(_OF_RUNS).scalars())
        return sorted(found)


_OF_RUNS = text(
    "WITH RECURSIVE names (task) AS (SELECT min(task) FROM runs"
    " UNION ALL SELECT (SELECT min(task) FROM runs WHERE task > names.task)"
    " FROM names WHERE names.task IS NOT NULL) SELECT task FROM names WHERE task IS NOT NULL"
)
