"""Approvals of a service: runs that wait for people."""

from __future__ import annotations

from collections.abc import AsyncIterator

from closingbell.client.asynchronous.transport import AsyncTransport
from closingbell.wire.approval import ApprovalInfo, ApprovalStanding
from closingbell.wire.page import Page


class AsyncApprovals:
    """Runs that two persons must agree on."""

    def __init__(self, transport: AsyncTransport) -> None:
        """Make it; use `client.approvals`."""
        self._transport = transport

    def all(self) -> AsyncIterator[ApprovalInfo]:
        """Yield the runs that wait for people, the oldest first."""
        return self._transport.walk(("approvals",), ApprovalInfo)

    async def page(self, *, limit: int = 100, after: str | None = None) -> Page[ApprovalInfo]:
        """Return a page of the runs that wait for people."""
        values = {"limit": limit, "after": after}
        return await self._transport.get(("approvals",), Page[ApprovalInfo], values)

    async def approve(self, run_id: str, reason: str | None = None) -> ApprovalStanding:
        """Release a run, as one of the persons who must agree.

        Raises:
            ApprovalRefused: the token is no person's, or that person may not.
        """
        values = {"reason": reason}
        return await self._transport.post(("runs", run_id, "approve"), ApprovalStanding, values)

    async def reject(self, run_id: str, reason: str) -> ApprovalStanding:
        """End a run before it begins."""
        values = {"reason": reason}
        return await self._transport.post(("runs", run_id, "reject"), ApprovalStanding, values)
