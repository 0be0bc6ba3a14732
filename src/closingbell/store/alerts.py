"""Alerts: facts that a person must see, until somebody, or the end of their cause, clears them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, delete, func, or_, select, update

from closingbell.core.actor import current_actor
from closingbell.core.alert import SYSTEM, Alert, AlertState, subject_of
from closingbell.core.alert_plan import Plan, Step
from closingbell.core.error import InvalidTransition, UnknownAlert
from closingbell.store.alert_insert import put_on, raise_on
from closingbell.store.alert_schema import alerts, notifications
from closingbell.store.audit import StoredAudit
from closingbell.store.codec import from_json, instant, storable, to_json
from closingbell.store.database import Database
from closingbell.store.insert import insert_of
from closingbell.store.schema import literal

#: So many of the alerts that are cleared together are named in the audit ledger.
_NAMED = 100
_CHUNK = 500


class StoredAlerts:
    """Raised alerts, and what a plan does to them."""

    def __init__(self, database: Database, audit: StoredAudit) -> None:
        self._database = database
        self._audit = audit

    def put(
        self,
        alert_id: str,
        kind: str,
        message: str,
        now: int,
        *,
        severity: str = "WARNING",
        task: str | None = None,
        run_id: str | None = None,
        data: dict[str, Any] | None = None,
        about: str | None = None,
    ) -> bool:
        """Store an alert; one with the same id is not stored again. Returns whether it was new.

        One of the same type that is about the same, and is open, is counted on the open alert;
        `about` is, if not given, its task, severity and message.
        """
        with self._database.writing() as connection:
            told = connection.execute(select(alerts.c.id).where(alerts.c.id == alert_id)).first()
            if told is not None:
                return False
            level, text = severity.upper(), storable(message)
            of = subject_of(kind, about or ":".join((task or "", level, text)))
            raise_on(
                connection,
                alert_id,
                kind,
                of,
                text,
                now,
                severity=level,
                task=task,
                run_id=run_id,
                data=data or {},
            )
            return True

    # --- reading ---------------------------------------------------------------------------

    def open(self, kind: str | None = None, since: int | None = None) -> list[dict[str, Any]]:
        """Return alerts that nobody cleared, oldest first."""
        query = select(alerts).where(alerts.c.cleared_at.is_(None)).order_by(alerts.c.raised_at)
        if kind is not None:
            query = query.where(alerts.c.type == kind)
        if since is not None:
            query = query.where(alerts.c.raised_at >= since)
        with self._database.reading() as connection:
            rows = [dict(row._mapping) for row in connection.execute(query)]
        for row in rows:
            row["data"] = from_json(row["data"])
            row["raised_at"] = instant(row["raised_at"])
        return rows

    def get(self, alert_id: str) -> Alert:
        """Return one alert.

        Raises:
            UnknownAlert: there is none of that id.
        """
        with self._database.reading() as connection:
            found = connection.execute(select(alerts).where(alerts.c.id == alert_id)).one_or_none()
        if found is None:
            raise UnknownAlert(alert_id)
        return _read(found)

    def page(
        self,
        *,
        kind: str | None = None,
        severity: str | None = None,
        state: AlertState | None = None,
        task: str | None = None,
        since: int | None = None,
        before: tuple[int, str] | None = None,
        limit: int = 100,
    ) -> list[Alert]:
        """Return a page of alerts, the newest first.

        Args:
            kind: only of this type.
            severity: only so urgent ones.
            state: only those that stand so.
            task: only of this task.
            since: only those raised at or after this instant.
            before: `raised_at` and id of the last one of the page before.
            limit: at most so many.
        """
        query = select(alerts).order_by(alerts.c.raised_at.desc(), alerts.c.id.desc())
        wanted = {"type": kind, "severity": severity, "task": task}
        for name, value in wanted.items():
            if value is not None:
                query = query.where(alerts.c[name] == value)
        if state is AlertState.CLEARED:
            query = query.where(alerts.c.cleared_at.is_not(None))
        elif state is not None:
            query = query.where(alerts.c.cleared_at.is_(None))
            acked = alerts.c.acknowledged_at
            query = query.where(acked.is_(None) if state is AlertState.OPEN else acked.is_not(None))
        if since is not None:
            query = query.where(alerts.c.raised_at >= since)
        if before is not None:
            at, last = before
            earlier = and_(alerts.c.raised_at == at, alerts.c.id < last)
            query = query.where(alerts.c.raised_at <= at)
            query = query.where(or_(alerts.c.raised_at < at, earlier))
        return self._all(query, limit)

    def next_step(self) -> int | None:
        """Return when an alert is to be looked at; 0 = at once, None = never."""
        query = select(alerts.c.next_step_at).where(alerts.c.next_step_at.is_not(None))
        with self._database.reading() as connection:
            fresh = select(alerts.c.id).where(alerts.c.routed_at.is_(None)).limit(1)
            if connection.execute(fresh).first() is not None:
                return 0
            first = query.order_by(alerts.c.next_step_at).limit(1)
            return connection.execute(first).scalar_one_or_none()

    def due(self, now: int, limit: int = 200) -> list[Alert]:
        """Return alerts that nobody has routed, and those whose next step is due."""
        fresh = select(alerts).where(alerts.c.routed_at.is_(None)).order_by(alerts.c.id)
        later = select(alerts).where(alerts.c.next_step_at <= now).order_by(alerts.c.next_step_at)
        found = {alert.id: alert for query in (fresh, later) for alert in self._all(query, limit)}
        return list(found.values())

    def watched(self, kinds: Sequence[str]) -> list[Alert]:
        """Return the open alerts that rules raised, and all open ones of some types."""
        still = alerts.c.cleared_at.is_(None)
        # A range, so that the index of open subjects finds them.
        of_rules = select(alerts).where(
            still, alerts.c.subject >= "rule:", alerts.c.subject < "rule;"
        )
        found = self._all(of_rules)
        if kinds:
            others = select(alerts).where(still, alerts.c.type.in_(kinds))
            found += [alert for alert in self._all(others) if alert not in found]
        return found

    def told(self, alert_ids: Sequence[str]) -> dict[str, list[str]]:
        """Return, by alert, the channels that something was sent to, or is being sent."""
        query = (
            select(notifications.c.alert_id, notifications.c.channel)
            .where(notifications.c.alert_id.in_(alert_ids))
            .where(notifications.c.state.in_(("sending", "sent")))
            .distinct()
            .order_by(notifications.c.channel)
        )
        found: dict[str, list[str]] = {}
        with self._database.reading() as connection:
            for alert_id, channel in connection.execute(query):
                found.setdefault(alert_id, []).append(channel)
        return found

    def dismissed(self, subjects: Sequence[str], since: int) -> frozenset[tuple[str, str]]:
        """Return subject and note of those whose last alert a person has cleared since then."""
        found: set[tuple[str, str]] = set()
        with self._database.reading() as connection:
            for subject in subjects:
                query = (
                    select(alerts.c.note, alerts.c.cleared_at, alerts.c.cleared_by)
                    .where(alerts.c.subject == subject)
                    .order_by(alerts.c.raised_at.desc())
                    .limit(1)
                )
                last = connection.execute(query).one_or_none()
                if last is None or last.cleared_at is None or last.cleared_at < since:
                    continue
                if last.cleared_by != SYSTEM:
                    found.add((subject, last.note))
        return frozenset(found)

    def _all(self, query: Select[Any], limit: int | None = None) -> list[Alert]:
        with self._database.reading() as connection:
            return [_read(row) for row in connection.execute(query.limit(limit))]

    # --- what people do --------------------------------------------------------------------

    def acknowledge(self, alert_id: str, now: int, reason: str | None = None) -> Alert:
        """Note that somebody looks after an alert: it is told no more until it is cleared.

        Acknowledging it again changes nothing.

        Raises:
            UnknownAlert: there is none of that id.
            InvalidTransition: it is cleared.
        """
        with self._database.writing(news=True) as connection:
            query = select(alerts).where(alerts.c.id == alert_id).with_for_update()
            row = connection.execute(query).one_or_none()
            if row is None:
                raise UnknownAlert(alert_id)
            if row.cleared_at is not None:
                raise InvalidTransition(alert_id, "cleared", "acknowledged")
            if row.acknowledged_at is None:
                who = storable(current_actor().name)
                connection.execute(
                    update(alerts)
                    .where(alerts.c.id == alert_id)
                    .values(acknowledged_at=now, acknowledged_by=who, next_step_at=None)
                )
                _forget(connection, [alert_id], ("repeated", "escalated"))
                self._audit.append_on(
                    connection,
                    "alert.acknowledged",
                    "alert",
                    alert_id,
                    after={"type": row.type, "message": row.message},
                    reason=reason,
                )
        return self.get(alert_id)

    def clear_one(self, alert_id: str, now: int, reason: str | None = None) -> Alert:
        """Clear one alert; clearing it again changes nothing.

        Raises:
            UnknownAlert: there is none of that id.
        """
        with self._database.writing(news=True) as connection:
            if _clear(connection, alerts.c.id == alert_id, now, current_actor().name):
                self._audit.append_on(connection, "alert.cleared", "alert", alert_id, reason=reason)
        return self.get(alert_id)

    def clear(self, now: int, kind: str | None = None) -> int:
        """Clear open alerts, all or of one type; return how many."""
        which = alerts.c.id.is_not(None) if kind is None else alerts.c.type == kind
        with self._database.writing(news=True) as connection:
            cleared = _clear(connection, which, now, current_actor().name)
            if cleared:
                named = {"count": len(cleared), "first": sorted(cleared)[:_NAMED]}
                self._audit.append_on(
                    connection, "alerts.cleared", "alerts", kind or "all", after=named
                )
            return len(cleared)

    def end(self, kind: str, about: str, now: int) -> bool:
        """Clear the open alert of a cause that `put` was told of and that is over.

        Returns:
            Whether there was one.
        """
        which = alerts.c.subject == subject_of(kind, about)
        with self._database.reading() as connection:
            still = select(alerts.c.id).where(which, alerts.c.cleared_at.is_(None))
            if connection.execute(still).first() is None:
                return False
        with self._database.writing(news=True) as connection:
            return bool(_clear(connection, which, now, SYSTEM))

    # --- what a plan does ------------------------------------------------------------------

    def carry_out(self, plan: Plan, now: int) -> int:
        """Do what was planned, in one transaction; return how many messages are to be sent.

        What another watcher did meanwhile is left as it is.
        """
        with self._database.writing(news=True) as connection:
            for alert in plan.clears:
                _clear(connection, alerts.c.id == alert.id, now, SYSTEM)
            for count in plan.counts:
                finding = count.finding
                connection.execute(
                    update(alerts)
                    .where(alerts.c.id == count.alert_id, alerts.c.note == count.was)
                    .where(alerts.c.cleared_at.is_(None))
                    .values(
                        count=alerts.c.count + 1,
                        note=finding.note,
                        message=finding.message,
                        run_id=finding.run_id,
                        data=to_json(finding.data),
                        last_at=now,
                    )
                )
            made = 0
            for step in plan.raises:
                if _insert(connection, step, now):
                    made += put_on(connection, step.notifications)
            for step in plan.steps:
                if _move(connection, step, now):
                    made += put_on(connection, step.notifications)
            return made

    def look_again(self, rule_id: str) -> None:
        """Let the open alerts of a rule that changed be stepped by what it says now."""
        with self._database.writing(news=True) as connection:
            still = alerts.c.cleared_at.is_(None) & alerts.c.acknowledged_at.is_(None)
            connection.execute(
                update(alerts)
                .where(still, alerts.c.rule_id == rule_id, alerts.c.routed_at.is_not(None))
                .values(next_step_at=alerts.c.raised_at)
            )


def _clear(connection: Connection, which: Any, now: int, who: str) -> list[str]:
    """Clear open alerts and forget what was not sent; what was is told that it is over."""
    # Only what was told has an end to be told; `told` is asked when the step comes.
    values = {
        "cleared_at": now,
        "cleared_by": storable(who),
        "routed_at": func.coalesce(alerts.c.routed_at, now),
        "next_step_at": now,
    }
    query = update(alerts).where(alerts.c.cleared_at.is_(None), which).values(values)
    cleared = list(connection.execute(query.returning(alerts.c.id)).scalars())
    _forget(connection, cleared, ("raised", "repeated", "escalated"))
    return cleared


def _forget(connection: Connection, alert_ids: Sequence[str], occasions: Sequence[str]) -> None:
    """Delete messages that nobody has begun to send."""
    for start in range(0, len(alert_ids), _CHUNK):
        connection.execute(
            delete(notifications).where(
                notifications.c.alert_id.in_(alert_ids[start : start + _CHUNK]),
                notifications.c.state == literal("pending"),
                notifications.c.attempts == 0,
                notifications.c.occasion.in_(occasions),
            )
        )


def _insert(connection: Connection, step: Step, now: int) -> bool:
    alert = step.alert
    fresh = insert_of(connection)(alerts).values(
        id=alert.id,
        type=alert.type,
        severity=step.severity,
        subject=alert.subject,
        rule_id=step.rule_id,
        task=alert.task,
        run_id=alert.run_id,
        message=storable(alert.message),
        data=to_json(alert.data),
        note=alert.note,
        raised_at=alert.raised_at,
        last_at=alert.last_at,
        routed_at=now,
        next_step_at=step.next_step_at,
    )
    stored = connection.execute(fresh.on_conflict_do_nothing().returning(alerts.c.id))
    return stored.first() is not None


def _move(connection: Connection, step: Step, now: int) -> bool:
    query = update(alerts).where(alerts.c.id == step.alert.id)
    if step.routes:
        query = query.where(alerts.c.routed_at.is_(None))
        query = query.values(routed_at=now, rule_id=step.rule_id, severity=step.severity)
    else:
        query = query.where(alerts.c.next_step_at == step.was)
    if step.alert.cleared_at is None:
        # Cleared or acknowledged since it was read: then this is not its step any more.
        query = query.where(alerts.c.cleared_at.is_(None))
    if step.notifications and step.alert.acknowledged_at is None and not step.alert.cleared_at:
        query = query.where(alerts.c.acknowledged_at.is_(None))
    moved = connection.execute(query.values(next_step_at=step.next_step_at))
    return moved.rowcount == 1


def _read(row: Row[Any]) -> Alert:
    values = dict(row._mapping)
    return Alert(**{**values, "data": from_json(values["data"])})
