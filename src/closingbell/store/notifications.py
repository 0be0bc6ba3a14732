"""Notifications: the outbox. What is to be told is stored with its cause, and sent afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, and_, or_, select, update

from closingbell.core.alert import subject_of
from closingbell.core.notification import Notification
from closingbell.store.alert_insert import put_on, raise_on
from closingbell.store.alert_schema import alerts, notifications
from closingbell.store.codec import from_json, storable
from closingbell.store.database import Database
from closingbell.store.schema import literal

#: The type of the alert that a channel does not work.
FAILED = "notification_failed"


class StoredNotifications:
    """Messages: to be sent, being sent, sent, and given up."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, one: Notification) -> bool:
        """Store a message that belongs to no plan, such as a test; returns whether it is new."""
        with self._database.writing(news=True) as connection:
            return put_on(connection, [one]) == 1

    def next_due(self, channels: Sequence[str]) -> int | None:
        """Return when the next message of some channels is due; None = there is none."""
        query = (
            select(notifications.c.next_at)
            .where(notifications.c.next_at.is_not(None), notifications.c.channel.in_(channels))
            .order_by(notifications.c.next_at)
            .limit(1)
        )
        with self._database.reading() as connection:
            return connection.execute(query).scalar_one_or_none()

    def claim(
        self, channels: Sequence[str], now: int, until: int, limit: int
    ) -> list[Notification]:
        """Take messages that are due, and those whose sender has not said what became of them.

        Args:
            channels: only theirs.
            now: the desk's time.
            until: when another may take them over.
            limit: at most so many.
        """
        due = (
            select(notifications.c.id)
            .where(notifications.c.next_at <= now, notifications.c.channel.in_(channels))
            .order_by(notifications.c.next_at)
        )
        with self._database.reading() as connection:
            if connection.execute(due.limit(1)).first() is None:
                return []
        with self._database.writing() as connection:
            free = due.limit(limit).with_for_update(skip_locked=True)
            ids = list(connection.execute(free).scalars())
            taken = (
                update(notifications)
                .where(notifications.c.id.in_(ids))
                .values(
                    state="sending",
                    next_at=until,
                    fence=notifications.c.fence + 1,
                    attempts=notifications.c.attempts + 1,
                )
                .returning(notifications)
            )
            rows = connection.execute(taken).all()
        return sorted(map(_read, rows), key=lambda one: (one.created_at, one.id))

    def sent(self, one: Notification, now: int) -> bool:
        """Note that a message was taken; False when another sender has it by now."""
        values = {"state": "sent", "sent_at": now, "next_at": None, "error": None}
        with self._database.writing() as connection:
            return _settle(connection, one, values)

    def put_off(self, one: Notification, until: int, error: str) -> bool:
        """Let a message be tried again; False when another sender has it by now."""
        values = {"state": "pending", "next_at": until, "error": storable(error)}
        with self._database.writing() as connection:
            return _settle(connection, one, values)

    def give_up(self, one: Notification, now: int, error: str) -> bool:
        """Note that a message will not be sent, and raise an alert about its channel.

        A message about a channel that fails raises no further alert.
        """
        text = storable(error)
        with self._database.writing(news=True) as connection:
            if not _settle(connection, one, {"state": "failed", "next_at": None, "error": text}):
                return False
            about = select(alerts.c.type).where(alerts.c.id == one.alert_id)
            told = connection.execute(about).scalar_one_or_none()
            if told != FAILED and one.occasion != "test":
                raise_on(
                    connection,
                    f"{one.id}:{FAILED}",
                    FAILED,
                    subject_of(FAILED, one.channel),
                    f"channel {one.channel!r} did not take a message: {text}",
                    now,
                    severity="ERROR",
                    task=None,
                    run_id=None,
                    data={"channel": one.channel, "notification": one.id, "alert": one.alert_id},
                )
            return True

    def forsaken(self, before: int, limit: int = 100) -> list[Notification]:
        """Return messages that were due before an instant and that nobody has ever taken."""
        query = (
            select(notifications)
            .where(notifications.c.next_at < before, notifications.c.state == literal("pending"))
            .where(notifications.c.attempts == 0)
            .limit(limit)
        )
        return self._all(query)

    def of_alert(self, alert_id: str) -> list[Notification]:
        """Return the messages about one alert, oldest first."""
        query = select(notifications).where(notifications.c.alert_id == alert_id)
        return self._all(query.order_by(notifications.c.created_at, notifications.c.id))

    def page(
        self,
        *,
        state: str | None = None,
        before: tuple[int, str] | None = None,
        limit: int = 100,
    ) -> list[Notification]:
        """Return a page of messages, the newest first.

        Args:
            state: only those that stand so.
            before: `created_at` and id of the last one of the page before.
            limit: at most so many.
        """
        columns = notifications.c
        query = select(notifications).order_by(columns.created_at.desc(), columns.id.desc())
        if state is not None:
            query = query.where(columns.state == state)
        if before is not None:
            at, last = before
            query = query.where(columns.created_at <= at)
            earlier = and_(columns.created_at == at, columns.id < last)
            query = query.where(or_(columns.created_at < at, earlier))
        return self._all(query.limit(limit))

    def _all(self, query: Any) -> list[Notification]:
        with self._database.reading() as connection:
            return [_read(row) for row in connection.execute(query)]


def _settle(connection: Connection, one: Notification, values: dict[str, Any]) -> bool:
    mine = update(notifications).where(
        notifications.c.id == one.id,
        notifications.c.fence == one.fence,
        notifications.c.sent_at.is_(None),
        notifications.c.next_at.is_not(None),
    )
    return connection.execute(mine.values(values)).rowcount == 1


def _read(row: Row[Any]) -> Notification:
    values = dict(row._mapping)
    return Notification(**{**values, "body": from_json(values["body"])})
