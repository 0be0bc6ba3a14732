"""The audit ledger page by page, at a cost that does not grow with the chain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import select

from closingbell.core.audit import AuditRecord
from closingbell.store.audit_schema import audit_records
from closingbell.store.bounded_scan import Filter, scan
from closingbell.store.database import Database


class AuditPage(NamedTuple):
    """Records, the newest first; see `bounded_scan.Scan` for the rest."""

    records: list[AuditRecord]
    position: tuple[Any, ...] | None
    complete: bool


class StoredAuditPages:
    """Reads pages of records."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(
        self,
        *,
        since: int | None = None,
        until: int | None = None,
        action: str | None = None,
        actor: str | None = None,
        target_kind: str | None = None,
        target_id: str | None = None,
        after: Sequence[Any] | None = None,
        limit: int = 100,
    ) -> AuditPage:
        """Return a page of records, the newest first.

        Args:
            since: not before this instant, in microseconds since the epoch.
            until: before this instant.
            action: only this one, or, with a dot at the end, all that begin so.
            actor: only this one's.
            target_kind: only of this kind.
            target_id: only of this id.
            after: the position of the page before.
            limit: at most so many.
        """
        columns = audit_records.c
        query, key = select(audit_records), [columns.seq]
        if since is not None:
            query = query.where(columns.acted_at >= since)
        if until is not None:
            query = query.where(columns.acted_at < until)
        if since is not None or until is not None:
            key.insert(0, columns.acted_at)
        filters: list[Filter] = []
        if action is not None and action.endswith("."):
            filters.append(lambda c: c.action.startswith(action, autoescape=True))
        elif action is not None:
            filters.append(lambda c: c.action == action)
        if actor is not None:
            filters.append(lambda c: c.actor == actor)
        if target_kind is not None:
            filters.append(lambda c: c.target_kind == target_kind)
        if target_id is not None:
            filters.append(lambda c: c.target_id == target_id)
        with self._database.reading() as connection:
            found = scan(connection, query, key, after, limit, filters)
        # The columns stand in the order of the fields.
        records = [AuditRecord._make(row) for row in found.rows]
        return AuditPage(records, found.position, found.complete)
