"""Events, and what they start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, delete, select

from closingbell.core.actor import who_asks
from closingbell.core.run import RunItem, RunTemplate
from closingbell.store.audit import StoredAudit
from closingbell.store.codec import from_json
from closingbell.store.database import Database
from closingbell.store.insert import insert_of, insert_on, put_row
from closingbell.store.schema import event_triggers, events, runs


class StoredEvents:
    """Event triggers, and the events that happened."""

    def __init__(self, database: Database, audit: StoredAudit) -> None:
        self._database = database
        self._audit = audit

    def put_trigger(
        self,
        trigger_id: str,
        event_type: str,
        task: str,
        condition: str | None,
        payload: str,
        priority: int | None,
        source: str,
        now: int,
    ) -> None:
        """Store an event trigger, or change the one of that id."""
        values = {
            "event_type": event_type,
            "task": task,
            "condition": condition,
            "payload": payload,
            "priority": priority,
            "source": source,
        }
        key = {"id": trigger_id}
        with self._database.writing() as connection:
            before = put_row(connection, event_triggers, key, values, {"created_at": now})
            if before is None:
                self._audit.append_on(
                    connection,
                    "event_trigger.created",
                    "event trigger",
                    trigger_id,
                    after=_told(values),
                )
            else:
                self._audit.changed_on(
                    connection,
                    "event_trigger.changed",
                    "event trigger",
                    trigger_id,
                    _told(before),
                    _told(values),
                )

    def remove_trigger(self, trigger_id: str, reason: str | None = None) -> bool:
        """Delete an event trigger; returns whether it was there."""
        gone = delete(event_triggers).where(event_triggers.c.id == trigger_id)
        with self._database.writing() as connection:
            row = connection.execute(gone.returning(event_triggers)).one_or_none()
            if row is None:
                return False
            before = _told(row._mapping)
            self._audit.append_on(
                connection,
                "event_trigger.removed",
                "event trigger",
                trigger_id,
                before=before,
                reason=reason,
            )
            return True

    def declared(self) -> list[tuple[str, str]]:
        """Return (id, task) of the triggers that tasks declare themselves."""
        query = select(event_triggers.c.id, event_triggers.c.task)
        with self._database.reading() as connection:
            rows = connection.execute(query.where(event_triggers.c.source == "task"))
            return [(row.id, row.task) for row in rows]

    def triggers(self, event_type: str | None = None) -> list[dict[str, Any]]:
        """Return event triggers, oldest first, with their payload as a dict."""
        query = select(event_triggers).order_by(event_triggers.c.created_at, event_triggers.c.id)
        if event_type is not None:
            query = query.where(event_triggers.c.event_type == event_type)
        with self._database.reading() as connection:
            rows = [dict(row._mapping) for row in connection.execute(query)]
        for row in rows:
            row["payload"] = from_json(row["payload"])
        return rows

    def record(
        self,
        event_id: str,
        event_type: str,
        data: str,
        submissions: Sequence[tuple[RunTemplate, RunItem]],
        now: int,
        connection: Any = None,
        *,
        by_hand: bool = False,
    ) -> list[str]:
        """Store an event and the runs that it starts, in one transaction; return their ids.

        Args:
            event_id: its own.
            event_type: which events.
            data: JSON text.
            submissions: the runs.
            now: when it happened.
            connection: a transaction that is open already.
            by_hand: whether it is told, and not a fact of the desk; who stands at a door and
                tells it is recorded.
        """
        if connection is None:
            with self._database.writing(news=True) as own:
                return self.record(
                    event_id, event_type, data, submissions, now, own, by_hand=by_hand
                )
        fresh = insert_of(connection)(events).values(
            id=event_id, type=event_type, data=data, happened_at=now, runs=len(submissions)
        )
        made = connection.execute(fresh.on_conflict_do_nothing().returning(events.c.id))
        if made.first() is None:
            # A request that is done again, after its first answer was lost: so are its ids.
            started = select(runs.c.id).where(runs.c.event_id == event_id).order_by(runs.c.id)
            return list(connection.execute(started).scalars())
        ids = [
            run_id
            for template, item in submissions
            for run_id in insert_on(connection, template, [item])
        ]
        if by_hand:
            event_told_on(self._audit, connection, event_id, event_type, len(ids))
        return ids

    def type_behind(self, run_id: str) -> str | None:
        """Return the type of the event that started a run, or None when none did."""
        query = select(events.c.type).join(runs, runs.c.event_id == events.c.id)
        with self._database.reading() as connection:
            found: str | None = connection.execute(
                query.where(runs.c.id == run_id)
            ).scalar_one_or_none()
            return found

    def recent(self, event_type: str | None = None, limit: int = 100) -> list[dict[str, Any]]:
        """Return events, newest first, with their data as a dict."""
        query = select(events).order_by(events.c.happened_at.desc()).limit(limit)
        if event_type is not None:
            query = query.where(events.c.type == event_type)
        with self._database.reading() as connection:
            rows = [dict(row._mapping) for row in connection.execute(query)]
        for row in rows:
            row["data"] = from_json(row["data"])
        return rows


def event_told_on(
    audit: StoredAudit, connection: Connection, event_id: str, event_type: str, runs: int
) -> None:
    """Record that somebody at a door told an event; code and tasks do so all the time."""
    if who_asks() is not None:
        told = {"type": event_type, "runs": runs}
        audit.append_on(connection, "event.triggered", "event", event_id, after=told)


def _told(values: Mapping[Any, Any]) -> dict[str, Any]:
    """Return an event trigger as the audit ledger shows it."""
    names = ("event_type", "task", "condition", "priority", "source")
    return {**{name: values[name] for name in names}, "payload": from_json(values["payload"])}
