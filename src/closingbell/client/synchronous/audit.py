"""The audit ledger of a service."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from closingbell.client.request import Request, path, query
from closingbell.client.synchronous.transport import Transport
from closingbell.wire.audit import AuditInfo, AuditVerdict
from closingbell.wire.page import Page


class Audit:
    """Who did what."""

    def __init__(self, transport: Transport) -> None:
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
    ) -> Iterator[AuditInfo]:
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

    def page(self, *, limit: int = 100, after: str | None = None, **fields: Any) -> Page[AuditInfo]:
        """Return a page of records; `fields` are those of `all`."""
        values = {**fields, "limit": limit, "after": after}
        return self._transport.get(("audit",), Page[AuditInfo], values)

    def verify(self, heads: Sequence[str] = ()) -> AuditVerdict:
        """Say whether any record was altered, removed, moved or put in, and which.

        Args:
            heads: "SEQ:HASH" of earlier verdicts that were kept elsewhere.
        """
        return self._transport.get(("audit", "verify"), AuditVerdict, {"head": heads})

    def export(
        self,
        form: str = "csv",
        *,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Iterator[bytes]:
        """Yield the records of a period as a file, the oldest first.

        Args:
            form: "csv", "jsonl", or "html" for a report that people read.
            since: from then on.
            until: before it.
        """
        pairs = query({"format": form, "since": since, "until": until})
        yield from self._transport.download(Request("GET", path("audit", "export"), pairs))
