"""Batches of a service."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from closingbell.client.synchronous.transport import Transport
from closingbell.wire.batch import BatchDetail, BatchInfo
from closingbell.wire.bulk import BulkAnswer


class Batches:
    """Runs that are submitted together."""

    def __init__(self, transport: Transport) -> None:
        """Make it; use `client.batches`."""
        self._transport = transport

    def submit(
        self,
        task: str,
        payloads: Sequence[Mapping[str, Any]],
        *,
        name: str | None = None,
        priority: int | None = None,
        tags: Sequence[str] = (),
        reason: str | None = None,
        request_key: str | None = None,
    ) -> BatchInfo:
        """Submit one run for each payload: all of them or none.

        Args:
            task: its name.
            payloads: one for each run.
            name: for people; default the task's.
            priority: 1 runs first, 9 last; default the task's.
            tags: beside the task's own.
            reason: why, for the audit ledger.
            request_key: an idempotency key of your own; see `runs.submit`.
        """
        values = {
            "task": task,
            "payloads": [dict(payload) for payload in payloads],
            "name": name,
            "priority": priority,
            "tags": list(tags),
            "reason": reason,
        }
        return self._transport.post(("batches",), BatchInfo, values, request_key)

    def all(self) -> Iterator[BatchInfo]:
        """Yield batches, the newest first."""
        return self._transport.walk(("batches",), BatchInfo)

    def get(self, batch_id: str) -> BatchDetail:
        """Return one batch, and how far it has come."""
        return self._transport.get(("batches", batch_id), BatchDetail)

    def cancel(self, batch_id: str, reason: str | None = None) -> BulkAnswer:
        """Cancel what of a batch has not ended."""
        values = {"reason": reason}
        return self._transport.post(("batches", batch_id, "cancel"), BulkAnswer, values)

    def retry_failed(self, batch_id: str, reason: str | None = None) -> BulkAnswer:
        """Let what of a batch failed run again."""
        values = {"reason": reason}
        return self._transport.post(("batches", batch_id, "retry-failed"), BulkAnswer, values)
