"""Stored schedules as people keep them: made, changed and looked through, a page at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, and_, or_, select, update

from closingbell.core.error import AlreadyExists, UnknownSchedule, VersionMismatch
from closingbell.store.audit import StoredAudit
from closingbell.store.codec import from_json
from closingbell.store.database import Database
from closingbell.store.insert import insert_of
from closingbell.store.schema import firings, runs, schedules

#: Ids of what `after=` stores begin so; they have no trigger.
_DEPENDENCY = "after:"


class StoredScheduleBook:
    """What `StoredSchedules` keeps, for whoever changes it by hand."""

    def __init__(self, database: Database, audit: StoredAudit) -> None:
        self._database = database
        self._audit = audit

    def create(
        self, schedule_id: str, task: str, definition: str, source: str, next_fire_at: int, now: int
    ) -> None:
        """Store a schedule.

        Raises:
            AlreadyExists: the id is taken; nothing was changed.
        """
        values = {
            "id": schedule_id,
            "task": task,
            "definition": definition,
            "source": source,
            "next_fire_at": next_fire_at,
            "created_at": now,
            "updated_at": now,
        }
        with self._database.writing(news=True) as connection:
            fresh = insert_of(connection)(schedules).values(values).on_conflict_do_nothing()
            if connection.execute(fresh.returning(schedules.c.id)).first() is None:
                raise AlreadyExists("schedule", schedule_id)
            self._audit.append_on(
                connection,
                "schedule.created",
                "schedule",
                schedule_id,
                after={**_told(task, definition), "source": source},
            )

    def change(
        self,
        schedule_id: str,
        version: str,
        task: str,
        definition: str,
        next_fire_at: int,
        now: int,
        reason: str | None = None,
    ) -> None:
        """Give a schedule another definition; its firings, its runs and its pause stay.

        Args:
            schedule_id: which.
            version: `version_of` the row that the change was made from.
            task: what it runs from now on.
            definition: its trigger and policies from now on.
            next_fire_at: its next instant by them.
            now: the desk's time.
            reason: why.

        Raises:
            UnknownSchedule: there is none of that id.
            VersionMismatch: somebody else changed it meanwhile; nothing was changed.
        """
        mine = schedules.c.id == schedule_id
        with self._database.writing(news=True) as connection:
            row = connection.execute(select(schedules).where(mine).with_for_update()).one_or_none()
            if row is None:
                raise UnknownSchedule(schedule_id)
            current = version_of(row._mapping)
            if current != version:
                raise VersionMismatch("schedule", schedule_id, version, current)
            if (row.task, row.definition) == (task, definition):
                return
            connection.execute(
                update(schedules)
                .where(mine)
                .values(
                    task=task,
                    definition=definition,
                    next_fire_at=next_fire_at,
                    updated_at=now,
                    version=schedules.c.version + 1,
                )
            )
            self._audit.changed_on(
                connection,
                "schedule.changed",
                "schedule",
                schedule_id,
                _told(row.task, row.definition),
                _told(task, definition),
                reason,
            )

    def ran_on(
        self, connection: Connection, schedule_id: str, run_id: str, reason: str | None
    ) -> None:
        """Record that somebody had a schedule's task run at once; call it last."""
        self._audit.append_on(
            connection,
            "schedule.run_now",
            "schedule",
            schedule_id,
            after={"run_id": run_id},
            reason=reason,
        )

    def page(
        self,
        *,
        task: str | None = None,
        paused: bool | None = None,
        now: int,
        after: str | None = None,
        limit: int = 100,
    ) -> list[dict[str, Any]]:
        """Return rows of schedules in the order of their ids, what `after=` stores left out.

        Args:
            task: only this one's.
            paused: only those that are, or are not, paused at `now`.
            now: the desk's time.
            after: the last id of the page before.
            limit: at most so many.
        """
        query = select(schedules).where(schedules.c.id.not_like(f"{_DEPENDENCY}%"))
        if task is not None:
            query = query.where(schedules.c.task == task)
        if paused is not None:
            held = and_(
                schedules.c.paused_at.is_not(None),
                or_(schedules.c.paused_until.is_(None), schedules.c.paused_until > now),
            )
            query = query.where(held if paused else ~held)
        if after is not None:
            query = query.where(schedules.c.id > after)
        with self._database.reading() as connection:
            rows = connection.execute(query.order_by(schedules.c.id).limit(limit))
            return [dict(row._mapping) for row in rows]

    def ticks(
        self, schedule_id: str, *, before: int | None = None, limit: int = 100
    ) -> list[dict[str, Any]]:
        """Return stored ticks, newest first, each with the state of its run as `run_state`.

        The state is None without a run, and of a run that was pruned.
        """
        query = (
            select(firings, runs.c.state.label("run_state"))
            .outerjoin(runs, runs.c.id == firings.c.run_id)
            .where(firings.c.schedule_id == schedule_id)
            .order_by(firings.c.fire_at.desc())
            .limit(limit)
        )
        if before is not None:
            query = query.where(firings.c.fire_at < before)
        with self._database.reading() as connection:
            return [dict(row._mapping) for row in connection.execute(query)]


def version_of(row: Mapping[Any, Any]) -> str:
    """Return what tells a schedule from what it was before somebody changed it.

    It is made of what people change (task, definition, pause), not of what firing moves on:
    a form that is open while its schedule fires can still be sent.
    """
    parts = [row[name] for name in ("task", "definition", "paused_at", "paused_reason")]
    text = repr([*parts, row["paused_until"]])
    return hashlib.blake2b(text.encode(errors="replace"), digest_size=8).hexdigest()


def _told(task: str, definition: str) -> dict[str, Any]:
    """Return a definition as the audit ledger shows it."""
    return {"task": task, **from_json(definition)}
