"""Masks: which payload fields of which task nothing shows.

They are stored, because who looks at a store need not have the code of its tasks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, delete, select

from closingbell.core.mask import mask
from closingbell.store.codec import from_json, to_json
from closingbell.store.database import Database
from closingbell.store.insert import upsert
from closingbell.store.schema import event_triggers, facts

if TYPE_CHECKING:
    from closingbell.store.audit import StoredAudit

_PREFIX = "masked:"


class StoredMasks:
    """Masked payload fields, by task."""

    def __init__(self, database: Database, audit: StoredAudit) -> None:
        self._database = database
        self._audit = audit

    def put_all(self, masked: Mapping[str, Sequence[str]]) -> None:
        """Store the masked fields of tasks; what they no longer mask is taken away.

        Args:
            masked: dotted names by task, of all tasks that are known here; others keep theirs.
        """
        before = self.all()
        changed = {task: paths for task, paths in masked.items() if before.get(task, ()) != paths}
        if not changed:
            return
        with self._database.writing() as connection:
            for task, paths in sorted(changed.items()):
                if paths:
                    upsert(connection, facts, {"name": _PREFIX + task}, {"value": to_json(paths)})
                else:
                    connection.execute(delete(facts).where(facts.c.name == _PREFIX + task))
            for task, paths in sorted(changed.items()):
                was, is_now = {"fields": list(before.get(task, ()))}, {"fields": list(paths)}
                self._audit.changed_on(connection, "task.masks_changed", "task", task, was, is_now)

    def all(self) -> dict[str, tuple[str, ...]]:
        """Return the masked fields by task, of those that have any."""
        query = select(facts.c.name, facts.c.value).where(facts.c.name.startswith(_PREFIX))
        with self._database.reading() as connection:
            rows = connection.execute(query)
            return {name.removeprefix(_PREFIX): tuple(from_json(value)) for name, value in rows}

    def by_event(self) -> dict[str, tuple[str, ...]]:
        """Return, by type of event, what the tasks mask that are started by it.

        The data of an event becomes the payload of its runs.
        """
        masked = self.all()
        triggers = event_triggers.c
        query = select(triggers.event_type, triggers.task).where(triggers.task.in_(list(masked)))
        found: dict[str, tuple[str, ...]] = {}
        with self._database.reading() as connection:
            for event_type, task in connection.execute(query.order_by(triggers.id)):
                found[event_type] = (*found.get(event_type, ()), *masked[task])
        return found


def masked_on(connection: Connection, task: str, payload: Any) -> Any:
    """Return the payload of a task as it may be shown."""
    query = select(facts.c.value).where(facts.c.name == _PREFIX + task)
    value = connection.execute(query).scalar_one_or_none()
    return payload if value is None else mask(payload, from_json(value))
