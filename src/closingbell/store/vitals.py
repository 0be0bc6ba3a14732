"""Vital signs of a store: how large it is, what its chain holds, who is still to be told."""

from __future__ import annotations

from sqlalchemy import func, select, text

from closingbell.store.alert_schema import notifications
from closingbell.store.audit_schema import audit_records
from closingbell.store.database import Database
from closingbell.store.schema import literal, workers

#: Nothing is counted further than this.
_MOST = 10_000


class StoredVitals:
    """Reads figures about the store itself, each by one short query."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def size(self) -> int:
        """Return how many bytes the database takes, free pages inside it included."""
        query = (
            "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"
            if self._database.dialect == "sqlite"
            else "SELECT pg_database_size(current_database())"
        )
        with self._database.reading() as connection:
            return int(connection.execute(text(query)).scalar_one())

    def audit_records(self) -> int:
        """Return how many audit records were ever made."""
        with self._database.reading() as connection:
            return int(connection.execute(select(func.max(audit_records.c.seq))).scalar() or 0)

    def waiting_notifications(self) -> dict[str, tuple[int, int]]:
        """Return, by channel, how many messages wait to be sent, and when the first was made."""
        window = (
            select(notifications.c.channel, notifications.c.created_at)
            .where(notifications.c.next_at.is_not(None))
            .order_by(notifications.c.next_at)
            .limit(_MOST)
            .subquery()
        )
        query = select(window.c.channel, func.count(), func.min(window.c.created_at)).group_by(
            window.c.channel
        )
        with self._database.reading() as connection:
            return {
                channel: (int(count), int(first))
                for channel, count, first in connection.execute(query)
            }

    def failed_notifications(self, since: int) -> dict[str, int]:
        """Return, by channel, how many messages made since an instant were given up."""
        window = (
            select(notifications.c.channel, notifications.c.state)
            .where(notifications.c.created_at >= since)
            .order_by(notifications.c.created_at)
            .limit(_MOST)
            .subquery()
        )
        query = (
            select(window.c.channel, func.count())
            .where(window.c.state == literal("failed"))
            .group_by(window.c.channel)
        )
        with self._database.reading() as connection:
            return {channel: int(count) for channel, count in connection.execute(query)}

    def first_lease_end(self) -> int | None:
        """Return when the first lease of a living worker ends; None when none is alive."""
        query = select(func.min(workers.c.lease_until)).where(workers.c.state == "alive")
        with self._database.reading() as connection:
            found = connection.execute(query).scalar_one()
            return None if found is None else int(found)
