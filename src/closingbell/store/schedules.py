"""Stored schedules, and every tick that they ever had."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, and_, delete, func, insert, or_, select, update

from closingbell.core.error import UnknownSchedule
from closingbell.core.port import Firing, LeftOut, Move
from closingbell.store.audit import StoredAudit
from closingbell.store.codec import from_json
from closingbell.store.database import Database
from closingbell.store.insert import insert_of
from closingbell.store.schema import firings, literal, runs, schedules

#: Ids that one statement names.
_CHUNK = 500


class StoredSchedules:
    """The `Schedules` of both stores; see the port for the contract."""

    def __init__(self, database: Database, audit: StoredAudit) -> None:
        self._database = database
        self._audit = audit

    def put(
        self,
        schedule_id: str,
        task: str,
        definition: str,
        source: str,
        next_fire_at: int | None,
        now: int,
    ) -> bool:
        """Insert a schedule, or change one whose definition differs.

        An unchanged definition keeps its `next_fire_at`, so that a restart catches up.

        Returns:
            Whether it was inserted or changed.
        """
        with self._database.writing(news=True) as connection:
            row = connection.execute(
                select(schedules).where(schedules.c.id == schedule_id).with_for_update()
            ).one_or_none()
            if row is not None and row.definition == definition and row.task == task:
                # A calendar that ended has a next instant once a newer one is installed.
                extended = row.next_fire_at is None and next_fire_at is not None
            else:
                extended = True
            if not extended:
                return False
            values = {
                "task": task,
                "definition": definition,
                "source": source,
                "next_fire_at": next_fire_at,
                "updated_at": now,
            }
            if row is not None:
                connection.execute(
                    update(schedules)
                    .where(schedules.c.id == schedule_id)
                    .values(**values, version=schedules.c.version + 1)
                )
                self._audit.changed_on(
                    connection,
                    "schedule.changed",
                    "schedule",
                    schedule_id,
                    _told(row.task, row.definition),
                    _told(task, definition),
                )
                return True
            result = connection.execute(
                insert_of(connection)(schedules)
                .values(id=schedule_id, created_at=now, **values)
                .on_conflict_do_nothing()
                .returning(schedules.c.id)
            )
            if result.first() is None:
                return False
            self._audit.append_on(
                connection,
                "schedule.created",
                "schedule",
                schedule_id,
                after={**_told(task, definition), "source": source},
            )
            return True

    def get(self, schedule_id: str) -> dict[str, Any]:
        """Return one schedule's row.

        Raises:
            UnknownSchedule: there is none of that id; it carries the nearest one.
        """
        with self._database.reading() as connection:
            row = connection.execute(
                select(schedules).where(schedules.c.id == schedule_id)
            ).one_or_none()
            if row is not None:
                return dict(row._mapping)
            known = connection.execute(select(schedules.c.id)).scalars().all()
        raise UnknownSchedule(schedule_id, known)

    def list_all(self, task: str | None = None) -> list[dict[str, Any]]:
        """Return all schedules, or those of one task, by id."""
        query = select(schedules).order_by(schedules.c.id)
        if task is not None:
            query = query.where(schedules.c.task == task)
        with self._database.reading() as connection:
            return [dict(row._mapping) for row in connection.execute(query)]

    def declared(self) -> list[tuple[str, str]]:
        """Return (id, task) of the schedules that tasks declare themselves."""
        query = select(schedules.c.id, schedules.c.task).where(schedules.c.source == "task")
        with self._database.reading() as connection:
            return [(row.id, row.task) for row in connection.execute(query)]

    def remove(self, schedule_id: str, reason: str | None = None) -> bool:
        """Delete a schedule; its firings and runs stay. Returns whether it was there."""
        gone = (
            delete(schedules)
            .where(schedules.c.id == schedule_id)
            .returning(schedules.c.task, schedules.c.definition, schedules.c.source)
        )
        with self._database.writing(news=True) as connection:
            row = connection.execute(gone).one_or_none()
            if row is None:
                return False
            before = {**_told(row.task, row.definition), "source": row.source}
            self._audit.append_on(
                connection,
                "schedule.removed",
                "schedule",
                schedule_id,
                before=before,
                reason=reason,
            )
            return True

    def due(
        self, now: int, horizon: int, limit: int = 500, without: LeftOut = LeftOut()
    ) -> list[dict[str, Any]]:
        """Return schedules, unpaused at `now`, that fire by `horizon`, oldest first."""
        query = (
            select(schedules)
            .where(
                schedules.c.next_fire_at.is_not(None),
                schedules.c.next_fire_at <= horizon,
                _unpaused(now),
                *_outside(without),
            )
            .order_by(schedules.c.next_fire_at)
            .limit(limit)
        )
        with self._database.reading() as connection:
            return [dict(row._mapping) for row in connection.execute(query)]

    def next_due(self, now: int, without: LeftOut = LeftOut()) -> int | None:
        """Return when the next schedule may fire, or a pause ends; None for never."""
        query = (
            select(schedules.c.next_fire_at)
            .where(schedules.c.next_fire_at.is_not(None), _unpaused(now), *_outside(without))
            .order_by(schedules.c.next_fire_at)
            .limit(1)
        )
        ends = (
            select(schedules.c.paused_until)
            .where(
                schedules.c.next_fire_at.is_not(None),
                schedules.c.paused_at.is_not(None),
                schedules.c.paused_until > now,
            )
            .order_by(schedules.c.paused_until)
            .limit(1)
        )
        with self._database.reading() as connection:
            instants = [connection.execute(q).scalar_one_or_none() for q in (query, ends)]
        return min((i for i in instants if i is not None), default=None)

    def fire(
        self,
        schedule_id: str,
        expected_version: int,
        ticks: Sequence[Firing],
        next_fire_at: int | None,
        now: int,
    ) -> list[str] | None:
        """Fire one schedule; return the ids of its runs, or None when another was first."""
        return self.fire_all([Move(schedule_id, expected_version, ticks, next_fire_at)], now).get(
            schedule_id
        )

    def fire_all(self, moves: Sequence[Move], now: int) -> dict[str, list[str]]:
        """Store firings with their runs and move schedules on, in one transaction.

        A schedule that is gone, or was changed, paused or fired meanwhile, is left alone:
        another scheduler was first. A firing that is already stored is left as it is and
        makes no run.

        Returns:
            For each schedule that moved, the ids of the runs that were made.
        """
        with self._database.writing(news=True) as connection:
            # In one order everywhere, so that two schedulers cannot wait for each other.
            moved = [
                m for m in sorted(moves, key=lambda m: m.schedule_id) if _move(connection, m, now)
            ]
            made: dict[str, list[str]] = {m.schedule_id: [] for m in moved}
            if not moved:
                return made
            stored = _stored_instants(connection, moved)
            new = [
                (m.schedule_id, tick)
                for m in moved
                for tick in m.ticks
                if (m.schedule_id, tick.fire_at) not in stored
            ]
            if new:
                connection.execute(insert(firings), [_firing_row(*one, now) for one in new])
            rows: list[dict[str, Any]] = []
            for schedule_id, tick in new:
                if tick.template is None or tick.item is None:
                    continue
                if tick.cancel_other:
                    if rows:
                        connection.execute(insert(runs), rows)
                        rows = []
                    _cancel_others(connection, schedule_id, tick.item.id, now)
                rows.append({**tick.template._asdict(), **tick.item._asdict()})
                made[schedule_id].append(tick.item.id)
            if rows:
                connection.execute(insert(runs), rows)
        return made

    def active_runs(self, schedule_ids: Sequence[str]) -> dict[str, list[tuple[str, str]]]:
        """Return, by schedule, (run id, state) of what has not ended, as the port says."""
        found: dict[str, list[tuple[str, str]]] = {}
        active = select(runs.c.schedule_id, runs.c.id, runs.c.state, runs.c.hold).where(
            runs.c.schedule_id.is_not(None), runs.c.finished_at.is_(None)
        )
        with self._database.reading() as connection:
            for start in range(0, len(schedule_ids), _CHUNK):
                mine = runs.c.schedule_id.in_(schedule_ids[start : start + _CHUNK])
                query = active.where(mine).order_by(runs.c.id)
                for row in connection.execute(query):
                    one = (row.id, "held" if row.hold else row.state)
                    found.setdefault(row.schedule_id, []).append(one)
        return found

    def pause(self, schedule_id: str, reason: str, until: int | None, now: int) -> None:
        """Stop a schedule from firing, until `until` or until it is resumed."""
        paused = {"paused_at": now, "paused_reason": reason, "paused_until": until}
        self._change("schedule.paused", schedule_id, paused, reason)

    def resume(self, schedule_id: str, next_fire_at: int | None, reason: str | None = None) -> None:
        """Let a schedule fire again, from `next_fire_at` on."""
        self._change(
            "schedule.resumed",
            schedule_id,
            {
                "paused_at": None,
                "paused_reason": None,
                "paused_until": None,
                "next_fire_at": next_fire_at,
            },
            reason,
        )

    def _change(
        self, action: str, schedule_id: str, values: dict[str, Any], reason: str | None = None
    ) -> None:
        mine = schedules.c.id == schedule_id
        with self._database.writing(news=True) as connection:
            held = select(*(schedules.c[name] for name in values)).where(mine).with_for_update()
            row = connection.execute(held).one_or_none()
            if row is not None:
                connection.execute(
                    update(schedules).where(mine).values(**values, version=schedules.c.version + 1)
                )
                before = dict(row._mapping)
                self._audit.changed_on(
                    connection, action, "schedule", schedule_id, before, values, reason
                )
        if row is None:
            self.get(schedule_id)

    def firings(self, schedule_id: str, limit: int = 100) -> Sequence[dict[str, Any]]:
        """Return the schedule's stored ticks, newest first."""
        query = (
            select(firings)
            .where(firings.c.schedule_id == schedule_id)
            .order_by(firings.c.fire_at.desc())
            .limit(limit)
        )
        with self._database.reading() as connection:
            return [dict(row._mapping) for row in connection.execute(query)]

    def firing_counts(self) -> Sequence[dict[str, Any]]:
        """Return how often each schedule ran and was skipped, by reason."""
        query = (
            select(
                firings.c.schedule_id,
                firings.c.outcome,
                firings.c.reason,
                func.sum(firings.c.count).label("count"),
            )
            .group_by(firings.c.schedule_id, firings.c.outcome, firings.c.reason)
            .order_by(firings.c.schedule_id, firings.c.outcome, firings.c.reason)
        )
        with self._database.reading() as connection:
            return [dict(row._mapping) for row in connection.execute(query)]


def _told(task: str, definition: str) -> dict[str, Any]:
    """Return a definition as the audit ledger shows it."""
    return {"task": task, **from_json(definition)}


def _outside(without: LeftOut) -> list[Any]:
    conditions = []
    if without.tasks:
        conditions.append(schedules.c.task.not_in(without.tasks))
    if without.ids:
        conditions.append(schedules.c.id.not_in(without.ids))
    return conditions


def _unpaused(now: int) -> Any:
    return or_(
        schedules.c.paused_at.is_(None),
        and_(schedules.c.paused_until.is_not(None), schedules.c.paused_until <= now),
    )


def _move(connection: Connection, move: Move, now: int) -> bool:
    last = max((tick.until or tick.fire_at for tick in move.ticks), default=None)
    moved = connection.execute(
        update(schedules)
        .where(schedules.c.id == move.schedule_id, schedules.c.version == move.version)
        .where(_unpaused(now))
        .values(
            next_fire_at=move.next_fire_at,
            last_fire_at=func.coalesce(last, schedules.c.last_fire_at),
            version=schedules.c.version + 1,
        )
    )
    return moved.rowcount == 1


def _stored_instants(connection: Connection, moves: Sequence[Move]) -> set[tuple[str, int]]:
    """Return which of the moves' instants have a marker already, as after a step back in time."""
    stored: set[tuple[str, int]] = set()
    for start in range(0, len(moves), _CHUNK):
        chunk = moves[start : start + _CHUNK]
        instants = [tick.fire_at for m in chunk for tick in m.ticks]
        if not instants:
            continue
        query = select(firings.c.schedule_id, firings.c.fire_at).where(
            firings.c.schedule_id.in_([m.schedule_id for m in chunk]),
            firings.c.fire_at.between(min(instants), max(instants)),
        )
        stored.update((row.schedule_id, row.fire_at) for row in connection.execute(query))
    return stored


def _firing_row(schedule_id: str, tick: Firing, now: int) -> dict[str, Any]:
    return {
        "schedule_id": schedule_id,
        "fire_at": tick.fire_at,
        "outcome": tick.outcome,
        "reason": tick.reason,
        "run_id": None if tick.item is None else tick.item.id,
        "count": tick.instants,
        "until_at": tick.until,
        "noted_at": now,
    }


def _cancel_others(connection: Connection, schedule_id: str, run_id: str, now: int) -> None:
    waiting = and_(
        runs.c.schedule_id == schedule_id, runs.c.finished_at.is_(None), runs.c.id != run_id
    )
    reason = f"replaced by run {run_id} (overlap: cancel_other)"
    connection.execute(
        update(runs)
        .where(waiting, runs.c.state != "running")
        .values(state="cancelled", finished_at=now, reason=reason)
    )
    connection.execute(
        update(runs)
        .where(waiting, runs.c.state == literal("running"), runs.c.cancel_requested_at.is_(None))
        .values(cancel_requested_at=now, cancel_reason=reason)
    )
