"""Alerts and notifications written inside the transaction of their cause."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection

from closingbell.core.notification import Notification
from closingbell.store.alert_schema import alerts, notifications
from closingbell.store.codec import to_json
from closingbell.store.insert import insert_of


def raise_on(
    connection: Connection,
    alert_id: str,
    kind: str,
    subject: str,
    message: str,
    now: int,
    *,
    severity: str,
    task: str | None,
    run_id: str | None,
    data: dict[str, Any],
) -> None:
    """Raise an alert inside a transaction, or count it on the open one of its subject."""
    fresh = insert_of(connection)(alerts).values(
        id=alert_id,
        type=kind,
        severity=severity,
        subject=subject,
        task=task,
        run_id=run_id,
        message=message,
        data=to_json(data),
        note=alert_id,
        raised_at=now,
        last_at=now,
    )
    again = {
        name: fresh.excluded[name] for name in ("run_id", "message", "data", "note", "last_at")
    }
    connection.execute(
        fresh.on_conflict_do_update(
            index_elements=["subject"],
            index_where=alerts.c.cleared_at.is_(None),
            set_={**again, "count": alerts.c.count + 1},
            where=alerts.c.note != fresh.excluded.note,
        )
    )


def put_on(connection: Connection, made: Iterable[Notification]) -> int:
    """Store messages that are to be sent; one that is there already stays as it is.

    Returns:
        How many are new.
    """
    new = 0
    for one in made:
        row = {**one._asdict(), "body": to_json(one.body)}
        fresh = insert_of(connection)(notifications).values(row).on_conflict_do_nothing()
        new += len(connection.execute(fresh.returning(notifications.c.id)).all())
    return new
