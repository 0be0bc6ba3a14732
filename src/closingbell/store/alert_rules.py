"""Rules of alerts: those that code declares, that people make, and that every store has."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, delete, select, update

from closingbell.core.alert_rule import AlertRule, default_rules, read_alert_rule
from closingbell.core.error import (
    AlertRuleError,
    AlreadyExists,
    DeclaredInCode,
    UnknownAlertRule,
    VersionMismatch,
)
from closingbell.store.alert_schema import alert_rules
from closingbell.store.audit import StoredAudit
from closingbell.store.codec import from_json, instant, to_json
from closingbell.store.database import Database
from closingbell.store.insert import insert_of

_log = logging.getLogger("closingbell.alerts")


class StoredRule(NamedTuple):
    """A rule as it is stored.

    Attributes:
        source: "code", "api" or "default".
        version: grows with every change.
        created_at: microseconds; `updated_at` likewise.
    """

    rule: AlertRule
    source: str
    version: int
    created_at: int
    updated_at: int

    def to_dict(self) -> dict[str, Any]:
        """Return it as values to show."""
        return {
            **self.rule.to_dict(),
            "source": self.source,
            "version": self.version,
            "created_at": instant(self.created_at),
            "updated_at": instant(self.updated_at),
        }


class StoredAlertRules:
    """Every rule, by id."""

    def __init__(self, database: Database, audit: StoredAudit) -> None:
        self._database = database
        self._audit = audit

    def all(self) -> list[StoredRule]:
        """Return all rules, by id; one that another version wrote and this one cannot read is not."""
        found: list[StoredRule] = []
        with self._database.reading() as connection:
            for row in connection.execute(select(alert_rules).order_by(alert_rules.c.id)):
                try:
                    found.append(_read(row))
                except AlertRuleError as problem:
                    _log.error("an alert rule is passed over: %s", problem)
        return found

    def get(self, rule_id: str) -> StoredRule:
        """Return one rule.

        Raises:
            UnknownAlertRule: there is none of that id; it carries the nearest one.
        """
        with self._database.reading() as connection:
            return _read(_found(connection, rule_id))

    def adopt_defaults(self, now: int) -> None:
        """Store the rules that every store has; one that is there stays as it is."""
        rows = [_row(rule, "default", now) for rule in default_rules()]
        with self._database.reading() as connection:
            known = set(connection.execute(select(alert_rules.c.id)).scalars())
        missing = [row for row in rows if row["id"] not in known]
        if missing:
            with self._database.writing() as connection:
                connection.execute(
                    insert_of(connection)(alert_rules).on_conflict_do_nothing(), missing
                )

    def declare(self, rule: AlertRule, now: int) -> bool:
        """Store what code declares; returns whether anything changed.

        Whether it is in force stays as a person has set it, until the declaration itself changes.
        """
        with self._database.writing(news=True) as connection:
            query = select(alert_rules).where(alert_rules.c.id == rule.id).with_for_update()
            row = connection.execute(query).one_or_none()
            if row is None:
                fresh = insert_of(connection)(alert_rules).values(_row(rule, "code", now))
                fresh = fresh.on_conflict_do_nothing().returning(alert_rules.c.id)
                if connection.execute(fresh).first() is None:
                    return False
                self._note(connection, "alert_rule.created", rule.id, None, rule.to_dict())
                return True
            if row.definition == to_json(_lasting(rule)) and row.source == "code":
                return False
            self._write(connection, row, rule, "code", now, None)
            return True

    def create(self, rule: AlertRule, now: int, reason: str | None = None) -> StoredRule:
        """Store a new rule.

        Raises:
            AlreadyExists: its id is taken.
        """
        with self._database.writing(news=True) as connection:
            fresh = insert_of(connection)(alert_rules).values(_row(rule, "api", now))
            fresh = fresh.on_conflict_do_nothing().returning(alert_rules.c.id)
            if connection.execute(fresh).first() is None:
                raise AlreadyExists("alert rule", rule.id)
            self._note(connection, "alert_rule.created", rule.id, None, rule.to_dict(), reason)
        return self.get(rule.id)

    def change(
        self,
        rule: AlertRule,
        now: int,
        *,
        version: int | None = None,
        reason: str | None = None,
    ) -> StoredRule:
        """Change a rule. Of one that code declares only whether it is in force can be changed.

        Args:
            rule: what it is to be, with the id of the one that there is.
            now: the desk's time.
            version: that it must be at; None = any.
            reason: why.

        Raises:
            UnknownAlertRule: there is none of that id.
            VersionMismatch: somebody else changed it.
            DeclaredInCode: more would change than whether it is in force.
        """
        with self._database.writing(news=True) as connection:
            row = _found(connection, rule.id, hold=True)
            if version is not None and row.version != version:
                raise VersionMismatch("alert rule", rule.id, str(version), str(row.version))
            if row.source == "code" and row.definition != to_json(_lasting(rule)):
                raise DeclaredInCode(
                    "alert rule", rule.id, "change it there, or disable it and make another"
                )
            self._write(connection, row, rule, row.source, now, reason)
        return self.get(rule.id)

    def remove(self, rule_id: str, declared: Sequence[str] = (), reason: str | None = None) -> None:
        """Delete a rule that nobody declares.

        Args:
            rule_id: which.
            declared: ids that the app's code declares.
            reason: why.

        Raises:
            UnknownAlertRule: there is none of that id.
            DeclaredInCode: it would be there again at the next start.
        """
        with self._database.writing(news=True) as connection:
            row = _found(connection, rule_id, hold=True)
            if row.source == "default" or rule_id in declared:
                raise DeclaredInCode("alert rule", rule_id, "disable it instead")
            connection.execute(delete(alert_rules).where(alert_rules.c.id == rule_id))
            before = _read(row).rule.to_dict()
            self._note(connection, "alert_rule.removed", rule_id, before, None, reason)

    def _write(
        self,
        connection: Connection,
        row: Row[Any],
        rule: AlertRule,
        source: str,
        now: int,
        reason: str | None,
    ) -> None:
        values = {**_row(rule, source, row.created_at), "updated_at": now}
        before, after = _read(row).rule.to_dict(), rule.to_dict()
        if before == after and source == row.source:
            return
        connection.execute(
            update(alert_rules)
            .where(alert_rules.c.id == rule.id)
            .values(**values, version=alert_rules.c.version + 1)
        )
        self._audit.changed_on(
            connection, "alert_rule.changed", "alert_rule", rule.id, before, after, reason
        )

    def _note(
        self,
        connection: Connection,
        action: str,
        rule_id: str,
        before: Any,
        after: Any,
        reason: str | None = None,
    ) -> None:
        self._audit.append_on(
            connection, action, "alert_rule", rule_id, before=before, after=after, reason=reason
        )


def _found(connection: Connection, rule_id: str, hold: bool = False) -> Row[Any]:
    query = select(alert_rules).where(alert_rules.c.id == rule_id)
    row = connection.execute(query.with_for_update() if hold else query).one_or_none()
    if row is None:
        known = connection.execute(select(alert_rules.c.id)).scalars().all()
        raise UnknownAlertRule(rule_id, known)
    return row


def _lasting(rule: AlertRule) -> dict[str, Any]:
    """Return what a rule is, without whether it is in force."""
    values = rule.to_dict()
    del values["enabled"]
    return values


def _row(rule: AlertRule, source: str, now: int) -> dict[str, Any]:
    return {
        "id": rule.id,
        "kind": rule.kind,
        "definition": to_json(_lasting(rule)),
        "enabled": rule.enabled,
        "source": source,
        "created_at": now,
        "updated_at": now,
    }


def _read(row: Row[Any]) -> StoredRule:
    rule = read_alert_rule({**from_json(row.definition), "enabled": row.enabled})
    return StoredRule(rule, row.source, row.version, row.created_at, row.updated_at)
