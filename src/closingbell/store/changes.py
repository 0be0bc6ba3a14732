"""What changed in a store since an instant, at a cost that does not grow with its tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Column, Connection, Select, func, select

from closingbell.store.audit_schema import audit_records
from closingbell.store.database import Database
from closingbell.store.ended import newest
from closingbell.store.schema import (
    alerts,
    event_triggers,
    events,
    literal,
    runs,
    schedules,
    workers,
)

#: Run ids begin with the milliseconds at which they were made; ids from further ahead are not
#: looked for, so that ids of other makings are left out.
_AHEAD_MS = 3_600_000

_RUN = (
    runs.c.id,
    runs.c.task,
    runs.c.state,
    runs.c.priority,
    runs.c.attempt,
    runs.c.fence,
    runs.c.due_at,
    runs.c.submitted_at,
    runs.c.started_at,
    runs.c.finished_at,
    runs.c.worker_id,
    runs.c.schedule_id,
    runs.c.batch_id,
    runs.c.outcome,
    runs.c.hold,
    runs.c.cancel_requested_at,
)
_ALERT = (
    alerts.c.id,
    alerts.c.type,
    alerts.c.severity,
    alerts.c.task,
    alerts.c.run_id,
    alerts.c.message,
    alerts.c.count,
    alerts.c.raised_at,
    alerts.c.last_at,
    alerts.c.acknowledged_at,
    alerts.c.acknowledged_by,
    alerts.c.cleared_at,
    alerts.c.cleared_by,
)
_SCHEDULE = (
    schedules.c.id,
    schedules.c.task,
    schedules.c.version,
    schedules.c.next_fire_at,
    schedules.c.last_fire_at,
    schedules.c.paused_at,
    schedules.c.paused_reason,
    schedules.c.paused_until,
)
_EVENT_TRIGGER = (event_triggers.c.id, event_triggers.c.event_type, event_triggers.c.task)
_WORKER = (
    workers.c.id,
    workers.c.state,
    workers.c.host,
    workers.c.pid,
    workers.c.started_at,
    workers.c.stopped_at,
)
_EVENT = (events.c.id, events.c.type, events.c.happened_at, events.c.runs)
_RECORD = (
    audit_records.c.seq,
    audit_records.c.acted_at,
    audit_records.c.actor,
    audit_records.c.action,
    audit_records.c.target_kind,
    audit_records.c.target_id,
)


class RunMark(NamedTuple):
    """What tells one state of a run from the next."""

    id: str
    fence: int
    state: str
    hold: str | None
    cancelled_at: int | None


class Look(NamedTuple):
    """One look at a store, in one snapshot.

    Attributes:
        runs: those that are new, ended, or at work, marked.
        running: the ids of those at work.
        held: the ids of those that wait for people.
        alerts: all that are open, and those that were cleared since.
        records: of the audit ledger, in order.
        workers: those that are alive.
        events: those that happened since.
        whole: False: there was more than a look takes in.
    """

    runs: list[RunMark]
    running: list[str]
    held: list[str]
    alerts: list[dict[str, Any]]
    records: list[dict[str, Any]]
    workers: list[dict[str, Any]]
    events: list[dict[str, Any]]
    whole: bool


class StoredChanges:
    """Looks for what changed; keeps nothing itself."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def last_record(self) -> int:
        """Return the number of the audit ledger's last record; 0 for none."""
        with self._database.reading() as connection:
            return connection.execute(select(func.max(audit_records.c.seq))).scalar() or 0

    def look(self, since: int, now: int, after_record: int, most: int) -> Look:
        """Return what changed.

        Args:
            since: runs made or ended, alerts cleared and events happened after this instant, in
                desk microseconds.
            now: the present one.
            after_record: records of the audit ledger after this one.
            most: so many rows of each kind at most, the latest ones.
        """
        with self._database.reading() as connection:
            new = _marks(connection, _new_runs(since, now), most)
            running = _marks(connection, _RUNNING, most)
            retrying = _marks(connection, _RETRYING, most)
            held = _marks(connection, _HELD, most)
            ended = _ended(connection, since, most)
            opened = _dicts(connection, _OPEN_ALERTS.limit(most))
            cleared = _dicts(
                connection,
                select(*_ALERT)
                .where(alerts.c.cleared_at > since)
                .order_by(alerts.c.cleared_at.desc())
                .limit(most),
            )
            records = _dicts(
                connection,
                select(*_RECORD)
                .where(audit_records.c.seq > after_record)
                .order_by(audit_records.c.seq)
                .limit(most),
            )
            alive = _dicts(connection, select(*_WORKER).where(workers.c.state == "alive"))
            happened = _dicts(
                connection,
                select(*_EVENT)
                .where(events.c.happened_at > since)
                .order_by(events.c.happened_at.desc())
                .limit(most),
            )
        kinds: Sequence[Sequence[Any]] = (
            new, running, retrying, held, ended, opened, cleared, records, happened,
        )  # fmt: skip
        return Look(
            runs=[*new, *retrying, *held, *running, *ended],
            running=[mark.id for mark in running],
            held=[mark.id for mark in held],
            alerts=[*opened, *cleared],
            records=records,
            workers=alive,
            events=happened,
            whole=all(len(kind) < most for kind in kinds),
        )

    def running(self, most: int) -> list[str]:
        """Return the ids of runs at work, `most` at most."""
        with self._database.reading() as connection:
            return [mark.id for mark in _marks(connection, _RUNNING, most)]

    def runs(self, ids: Iterable[str]) -> list[dict[str, Any]]:
        """Return the small states of runs; those that are gone are left out."""
        return self._by_id(_RUN, runs.c.id, ids)

    def schedules(self, ids: Iterable[str]) -> list[dict[str, Any]]:
        """Return the small states of schedules; those that are gone are left out."""
        return self._by_id(_SCHEDULE, schedules.c.id, ids)

    def event_triggers(self, ids: Iterable[str]) -> list[dict[str, Any]]:
        """Return the small states of event triggers; those that are gone are left out."""
        return self._by_id(_EVENT_TRIGGER, event_triggers.c.id, ids)

    def workers(self, ids: Iterable[str]) -> list[dict[str, Any]]:
        """Return the small states of workers; those that are gone are left out."""
        return self._by_id(_WORKER, workers.c.id, ids)

    def _by_id(
        self, columns: Sequence[Column[Any]], key: Column[Any], ids: Iterable[str]
    ) -> list[dict[str, Any]]:
        wanted = list(ids)
        if not wanted:
            return []
        with self._database.reading() as connection:
            return _dicts(connection, select(*columns).where(key.in_(wanted)))


_MARK = (runs.c.id, runs.c.fence, runs.c.state, runs.c.hold, runs.c.cancel_requested_at)
_END = (runs.c.task, runs.c.state, runs.c.finished_at)
_RUNNING = select(*_MARK).where(runs.c.state == literal("running")).order_by(runs.c.worker_id)
_RETRYING = (
    select(*_MARK)
    .where(runs.c.finished_at.is_(None), runs.c.error.is_not(None))
    .order_by(runs.c.id.desc())
)
_HELD = (
    select(*_MARK)
    .where(runs.c.state == literal("scheduled"), runs.c.hold.is_not(None))
    .order_by(runs.c.id.desc())
)
_OPEN_ALERTS = (
    select(*_ALERT).where(alerts.c.cleared_at.is_(None)).order_by(alerts.c.raised_at.desc())
)


def _new_runs(since: int, now: int) -> Select[Any]:
    low, high = f"{max(since, 0) // 1000:012x}", f"{now // 1000 + _AHEAD_MS:012x}"
    return select(*_MARK).where(runs.c.id >= low, runs.c.id < high).order_by(runs.c.id.desc())


def _ended(connection: Connection, since: int, most: int) -> list[RunMark]:
    found: list[RunMark] = []
    for last in newest(connection, _END):
        if last.finished_at > since:
            query = (
                select(*_MARK)
                .where(runs.c.task == last.task, runs.c.state == last.state)
                .where(runs.c.finished_at.is_not(None), runs.c.finished_at > since)
                .order_by(runs.c.finished_at.desc())
            )
            found += _marks(connection, query, most)
    return found


def _marks(connection: Connection, query: Select[Any], most: int) -> list[RunMark]:
    return [RunMark(*row) for row in connection.execute(query.limit(most))]


def _dicts(connection: Connection, query: Select[Any]) -> list[dict[str, Any]]:
    return [dict(row._mapping) for row in connection.execute(query)]
