"""Alerts: facts that a person must see."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select, update

from closingbell.core.actor import current_actor
from closingbell.store.audit import StoredAudit
from closingbell.store.codec import from_json, instant, to_json
from closingbell.store.database import Database
from closingbell.store.insert import insert_of
from closingbell.store.schema import alerts

#: So many of the alerts that are cleared together are named in the audit ledger.
_NAMED = 100


class StoredAlerts:
    """Raised alerts, until somebody clears them."""

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
    ) -> bool:
        """Store an alert; one with the same id is not stored again. Returns whether it was new.

        One whose subject (its type, task and message) is open is counted on the open alert.
        """
        with self._database.writing() as connection:
            told = connection.execute(select(alerts.c.id).where(alerts.c.id == alert_id)).first()
            if told is not None:
                return False
            fresh = insert_of(connection)(alerts).values(
                id=alert_id,
                type=kind,
                severity=severity.upper(),
                subject=f"{kind}:{task or ''}:{message}",
                task=task,
                run_id=run_id,
                message=message,
                data=to_json(data or {}),
                note=alert_id,
                raised_at=now,
                last_at=now,
            )
            again = {name: fresh.excluded[name] for name in ("run_id", "data", "note", "last_at")}
            connection.execute(
                fresh.on_conflict_do_update(
                    index_elements=["subject"],
                    index_where=alerts.c.cleared_at.is_(None),
                    set_={**again, "count": alerts.c.count + 1},
                    where=alerts.c.note != fresh.excluded.note,
                )
            )
            return True

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

    def clear(self, now: int, kind: str | None = None) -> int:
        """Clear open alerts, all or of one type; return how many."""
        query = update(alerts).where(alerts.c.cleared_at.is_(None))
        query = query.values(cleared_at=now, cleared_by=current_actor().name)
        if kind is not None:
            query = query.where(alerts.c.type == kind)
        with self._database.writing() as connection:
            cleared = connection.execute(query.returning(alerts.c.id)).scalars().all()
            if cleared:
                named = {"count": len(cleared), "first": sorted(cleared)[:_NAMED]}
                self._audit.append_on(
                    connection, "alerts.cleared", "alerts", kind or "all", after=named
                )
            return len(cleared)
