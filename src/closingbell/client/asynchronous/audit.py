"""The audit ledger of a service."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any

from closingbell.client.asynchronous.transport import AsyncTransport
from closingbell.client.request import Request, path, query
from closingbell.wire.audit import AuditInfo, AuditVerdict
from closingbell.wire.page import Page


class AsyncAudit:
    """Who did what."""

    def __init__(self, transport: AsyncTransport) -> None:
        """Make it; use `client.audit`."""
        self._transport = transport

    def all(
        self,
        *,
        actor: str | None = None,
        action: str | None = None,
        target_kind: str | None = None,
        target_id: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> AsyncIterator[AuditInfo]:
        """Yield records, the newest first.

        Args:
            actor: only whose.
            action: "schedule.paused", or "schedule." for all that begin so.
            target_kind: only what was done to such.
            target_id: only what was done to it.
            since: only from then on.
            until: only before it.
        """
        values = {
            "actor": actor,
            "action": action,
            "target_kind": target_kind,
            "target_id": target_id,
            "since": since,
            "until": until,
        }
        return self._transport.walk(("audit",), AuditInfo, values)

    async def page(
        self, *, limit: int = 100, after: str | None = None, **fields: Any
    ) -> Page[AuditInfo]:
        """Return a page of records; `fields` are those of `all`."""
        values = {**fields, "limit": limit, "after": after}
        return await self._transport.get(("audit",), Page[AuditInfo], values)

    async def verify(self, heads: Sequence[str] = ()) -> AuditVerdict:
        """Say whether any record was altered, removed, moved or put in, and which.

        Args:
            heads: "SEQ:HASH" of earlier verdicts that were kept elsewhere.
        """
        return await self._transport.get(("audit", "verify"), AuditVerdict, {"head": heads})

    async def export(
        self,
        form: str = "csv",
        *,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> AsyncIterator[bytes]:
        """Yield the records of a period as a file, the oldest first.

        Args:
            form: "csv", "jsonl", or "html" for a report that people read.
            since: from then on.
            until: before it.
        """
        pairs = query({"format": form, "since": since, "until": until})
        async for piece in self._transport.download(Request("GET", path("audit", "export"), pairs)):
            yield piece
