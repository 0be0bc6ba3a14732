"""Events and event triggers as people look through them, and events that come more than once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import or_, select

from closingbell.core.error import AlreadyExists, UnknownEventTrigger
from closingbell.core.run import RunItem, RunTemplate
from closingbell.store.audit import StoredAudit
from closingbell.store.codec import from_json
from closingbell.store.database import Database
from closingbell.store.events import event_told_on
from closingbell.store.insert import insert_of, insert_on
from closingbell.store.schema import event_triggers, events, runs


class StoredEventBook:
    """What `StoredEvents` keeps, for whoever stands at the door."""

    def __init__(self, database: Database, audit: StoredAudit) -> None:
        self._database = database
        self._audit = audit

    def record_once(
        self,
        event_id: str,
        event_type: str,
        data: str,
        submissions: Sequence[tuple[RunTemplate, RunItem]],
        now: int,
    ) -> tuple[list[str], bool]:
        """Store an event and the runs that it starts, unless it is stored already.

        Returns:
            The ids of its runs, and whether it is new.

        Raises:
            AlreadyExists: another event has that id.
        """
        with self._database.writing(news=True) as connection:
            fresh = insert_of(connection)(events).values(
                id=event_id, type=event_type, data=data, happened_at=now, runs=len(submissions)
            )
            made = connection.execute(fresh.on_conflict_do_nothing().returning(events.c.id))
            if made.first() is not None:
                ids = [
                    i
                    for template, item in submissions
                    for i in insert_on(connection, template, [item])
                ]
                event_told_on(self._audit, connection, event_id, event_type, len(ids))
                return ids, True
            row = connection.execute(select(events).where(events.c.id == event_id)).one()
            if (row.type, from_json(row.data)) != (event_type, from_json(data)):
                raise AlreadyExists("event", event_id)
            started = select(runs.c.id).where(runs.c.event_id == event_id).order_by(runs.c.id)
            return list(connection.execute(started).scalars()), False

    def page(
        self,
        event_type: str | None = None,
        *,
        before: tuple[int, str] | None = None,
        limit: int = 100,
    ) -> list[dict[str, Any]]:
        """Return events, the latest first, with their data as a dict.

        Args:
            event_type: only these.
            before: `happened_at` and `id` of the last event of the page before.
            limit: at most so many.
        """
        columns = events.c
        query = select(events).order_by(columns.happened_at.desc(), columns.id.desc()).limit(limit)
        if event_type is not None:
            query = query.where(columns.type == event_type)
        if before is not None:
            at, event_id = before
            # The first condition is what the index can seek; the second breaks ties.
            query = query.where(columns.happened_at <= at)
            query = query.where(or_(columns.happened_at < at, columns.id < event_id))
        with self._database.reading() as connection:
            rows = [dict(row._mapping) for row in connection.execute(query)]
        return [{**row, "data": from_json(row["data"])} for row in rows]

    def trigger(self, trigger_id: str) -> dict[str, Any]:
        """Return one event trigger, with its payload as a dict.

        Raises:
            UnknownEventTrigger: there is none of that id; it carries the nearest one.
        """
        with self._database.reading() as connection:
            row = connection.execute(
                select(event_triggers).where(event_triggers.c.id == trigger_id)
            ).one_or_none()
            if row is None:
                known = connection.execute(select(event_triggers.c.id)).scalars().all()
                raise UnknownEventTrigger(trigger_id, known)
        return {**row._mapping, "payload": from_json(row.payload)}

    def triggers(
        self, event_type: str | None = None, *, after: str | None = None, limit: int = 100
    ) -> list[dict[str, Any]]:
        """Return event triggers in the order of their ids, with their payload as a dict."""
        query = select(event_triggers).order_by(event_triggers.c.id).limit(limit)
        if event_type is not None:
            query = query.where(event_triggers.c.event_type == event_type)
        if after is not None:
            query = query.where(event_triggers.c.id > after)
        with self._database.reading() as connection:
            rows = [dict(row._mapping) for row in connection.execute(query)]
        return [{**row, "payload": from_json(row["payload"])} for row in rows]
