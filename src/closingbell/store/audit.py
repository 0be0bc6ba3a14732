"""The audit ledger: each act is recorded in the transaction that does it, or is not done."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, Select, bindparam, insert, select, update

from closingbell.core.actor import Actor, ActorKind, acting_as, current_actor
from closingbell.core.audit import (
    RESTARTED,
    START,
    AuditRecord,
    Head,
    Verdict,
    canonical,
    difference,
    read_head,
    verify,
)
from closingbell.core.clock import Clock, to_micros
from closingbell.store.audit_schema import audit_records
from closingbell.store.codec import storable, to_json
from closingbell.store.database import Database, translated
from closingbell.store.insert import insert_of
from closingbell.store.masks import masked_on
from closingbell.store.schema import facts
from closingbell.store.sqlite_sql import INSERT_RECORDS

_HEAD = "audit_head"
#: Records that are read at once.
_PAGE = 2_000


# Made once: each act of each person passes here.
_HELD = select(facts.c.value).where(facts.c.name == _HEAD).with_for_update()
_LAST = (
    select(audit_records.c.seq, audit_records.c.hash).order_by(audit_records.c.seq.desc()).limit(1)
)
_MOVE = update(facts).where(facts.c.name == _HEAD).values(value=bindparam("head"))


class Act(NamedTuple):
    """An act to be recorded beside others; `after` is how its target stands, as a JSON value."""

    action: str
    target_kind: str
    target_id: str
    after: Any
    actor: Actor


class StoredAudit:
    """Who did what; records are added, and never changed or removed."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    # --- adding ----------------------------------------------------------------------------

    def append_on(
        self,
        connection: Connection,
        action: str,
        target_kind: str,
        target_id: str,
        *,
        before: Any = None,
        after: Any = None,
        reason: str | None = None,
    ) -> AuditRecord:
        """Record an act inside the transaction that does it.

        Call it last: it holds the end of the chain until the transaction ends, and whoever
        then waits for another row could wait for ever.

        Args:
            connection: on which the act was done.
            action: what, such as "schedule.paused".
            target_kind: of what.
            target_id: of which.
            before: how it stood, as a JSON value; None = it was not there.
            after: how it stands, likewise.
            reason: why; default what the actor says.
        """
        head = self._take_head(connection)
        if head is None:
            head = self._restart(connection)
        return self._add(connection, head, action, target_kind, target_id, before, after, reason)

    def changed_on(
        self,
        connection: Connection,
        action: str,
        target_kind: str,
        target_id: str,
        before: Mapping[str, Any],
        after: Mapping[str, Any],
        reason: str | None = None,
    ) -> None:
        """Record what differs between two states; two equal ones are no act. Call it last."""
        was, is_now = difference(before, after)
        if was or is_now:
            # Masked after the comparison: that a secret was changed is an act.
            was = _masked(connection, was, before.get("task"))
            is_now = _masked(connection, is_now, after.get("task"))
            self.append_on(
                connection, action, target_kind, target_id, before=was, after=is_now, reason=reason
            )

    def moved_on(
        self,
        connection: Connection,
        action: str,
        run_id: str,
        before: str,
        after: str,
        reason: str | None = None,
        **more: Any,
    ) -> None:
        """Record that somebody moved a run from a state to another. Call it last."""
        now = {"state": after, **more}
        self.append_on(
            connection, action, "run", run_id, before={"state": before}, after=now, reason=reason
        )

    def append_all_on(self, connection: Connection, acts: Sequence[Act]) -> None:
        """Record acts of several actors, in their order, as `append_on`. Call it last."""
        head = self._take_head(connection) or self._restart(connection)
        records: list[AuditRecord] = []
        for act in acts:
            record = self._sealed(
                connection,
                head,
                act.action,
                act.target_kind,
                act.target_id,
                None,
                act.after,
                act.actor.reason,
                act.actor,
            )
            records.append(record)
            head = Head(record.seq, record.hash)
        if not records:
            return
        if connection.dialect.name == "sqlite":
            # One step inside SQLite: after each of many it would wait for Python's global lock.
            connection.exec_driver_sql(INSERT_RECORDS, (to_json(records),))
        else:
            connection.execute(insert(audit_records), [_row(record) for record in records])
        _move_head(connection, head)

    def append(self, action: str, target_kind: str, target_id: str, **more: Any) -> AuditRecord:
        """Record an act that no transaction does, such as a copy; see `append_on`."""
        with self._database.writing() as connection:
            return self.append_on(connection, action, target_kind, target_id, **more)

    def _add(
        self,
        connection: Connection,
        head: Head,
        action: str,
        target_kind: str,
        target_id: str,
        before: Any,
        after: Any,
        reason: str | None,
    ) -> AuditRecord:
        actor = current_actor()
        why = reason if reason is not None else actor.reason
        record = self._sealed(
            connection, head, action, target_kind, target_id, before, after, why, actor
        )
        connection.execute(insert(audit_records).values(_row(record)))
        _move_head(connection, Head(record.seq, record.hash))
        return record

    def _sealed(
        self,
        connection: Connection,
        head: Head,
        action: str,
        target_kind: str,
        target_id: str,
        before: Any,
        after: Any,
        why: str | None,
        actor: Actor,
    ) -> AuditRecord:
        before, after = _masked(connection, before), _masked(connection, after)
        return AuditRecord(
            seq=head.seq + 1,
            at=self._clock.micros(),
            actor=storable(actor.name),
            actor_kind=str(actor.kind),
            action=action,
            target_kind=target_kind,
            target_id=storable(target_id),
            reason=None if why is None else storable(why),
            before_json=canonical(before),
            after_json=canonical(after),
            previous=head.hash,
        ).sealed()

    def _take_head(self, connection: Connection) -> Head | None:
        """Return the end of the chain, and hold it; None when it is gone, or behind."""
        # On SQLite whoever writes is alone; PostgreSQL holds the row.
        value = connection.execute(_HELD).scalar_one_or_none()
        if value is None:
            fresh = insert_of(connection)(facts).values(name=_HEAD, value=str(START))
            connection.execute(fresh.on_conflict_do_nothing())
            value = connection.execute(_HELD).scalar_one()
        head, last = _as_head(value), _last(connection)
        return None if head is None or (last is not None and last.seq > head.seq) else head

    def _restart(self, connection: Connection) -> Head:
        """Go on from the last record, and record that the head was gone."""
        last = _last(connection) or START
        with acting_as("closingbell", ActorKind.SYSTEM, "the head was gone, or behind"):
            record = self._add(
                connection, last, RESTARTED, "audit", str(last.seq), None, None, None
            )
        return Head(record.seq, record.hash)

    # --- reading ---------------------------------------------------------------------------

    def records(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        action: str | None = None,
        actor: str | None = None,
        target: str | None = None,
        before_seq: int | None = None,
        limit: int = 100,
    ) -> list[AuditRecord]:
        """Return records, the newest first.

        Args:
            since: not before this instant; aware.
            until: before this instant; aware.
            action: only this one, or, with a dot at the end, all that begin so.
            actor: only this one's.
            target: only of this id.
            before_seq: the last number of the page before.
            limit: at most so many.
        """
        query = _between(select(audit_records), since, until)
        columns = audit_records.c
        if action is not None and action.endswith("."):
            query = query.where(columns.action.startswith(action, autoescape=True))
        elif action is not None:
            query = query.where(columns.action == action)
        if actor is not None:
            query = query.where(columns.actor == actor)
        if target is not None:
            query = query.where(columns.target_id == target)
        if before_seq is not None:
            query = query.where(columns.seq < before_seq)
        with self._database.reading() as connection:
            rows = connection.execute(query.order_by(columns.seq.desc()).limit(limit))
            return [_read(row) for row in rows]

    def walk(
        self, since: datetime | None = None, until: datetime | None = None
    ) -> Iterator[AuditRecord]:
        """Yield all records of a period, the oldest first; what is added meanwhile may follow.

        However slowly they are taken, no connection is held between two pages.
        """
        seq = audit_records.c.seq
        query = _between(select(audit_records), since, until).order_by(seq).limit(_PAGE)
        last = 0
        while True:
            with self._database.reading() as connection:
                rows = connection.execute(query.where(seq > last)).all()
            if not rows:
                return
            yield from map(_read, rows)
            last = rows[-1].seq

    def head(self) -> Head | None:
        """Return where the chain ends, as it is kept beside it; None = that is gone."""
        with self._database.reading() as connection:
            return _stored_head(connection)

    def verify(self, known: Iterable[Head] = ()) -> Verdict:
        """Check the whole chain; reads every record, a page at a time.

        Args:
            known: heads of earlier days that were kept elsewhere.
        """
        with self._database.reading() as connection, translated():
            if connection.dialect.name == "postgresql":
                # All that follows must see one and the same moment; SQLite's readers do anyway.
                connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            head = _stored_head(connection)
            return verify(_paged(connection, select(audit_records)), head, known)


def _move_head(connection: Connection, head: Head) -> None:
    connection.execute(_MOVE, {"head": str(head)})


def _masked(connection: Connection, state: Any, task: str | None = None) -> Any:
    """Return a state whose payload, if it has one, is as its task lets it be shown."""
    if state is None or not isinstance(state, Mapping) or "payload" not in state:
        return state
    task = state.get("task", task)
    return {**state, "payload": masked_on(connection, str(task), state["payload"])}


def _between(query: Select[Any], since: datetime | None, until: datetime | None) -> Select[Any]:
    if since is not None:
        query = query.where(audit_records.c.acted_at >= to_micros(since))
    if until is not None:
        query = query.where(audit_records.c.acted_at < to_micros(until))
    return query


def _paged(connection: Connection, query: Select[Any]) -> Iterator[AuditRecord]:
    seq = audit_records.c.seq
    query = query.order_by(seq).limit(_PAGE)
    rows = connection.execute(query).all()
    while rows:
        yield from map(_read, rows)
        rows = connection.execute(query.where(seq > rows[-1].seq)).all()


def _stored_head(connection: Connection) -> Head | None:
    query = select(facts.c.value).where(facts.c.name == _HEAD)
    value = connection.execute(query).scalar_one_or_none()
    return None if value is None else _as_head(value)


def _as_head(value: str) -> Head | None:
    try:
        return read_head(value)
    except ValueError:
        return None


def _last(connection: Connection) -> Head | None:
    row = connection.execute(_LAST).one_or_none()
    return None if row is None else Head(row.seq, row.hash)


def _row(record: AuditRecord) -> dict[str, Any]:
    fields = record._asdict()
    fields["acted_at"] = fields.pop("at")
    fields["previous_hash"] = fields.pop("previous")
    return fields


def _read(row: Row[Any]) -> AuditRecord:
    # The columns stand in the order of the fields.
    return AuditRecord._make(row)
