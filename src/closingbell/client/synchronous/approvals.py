"""Approvals of a service: runs that wait for people."""

from __future__ import annotations

from collections.abc import Iterator

from closingbell.client.synchronous.transport import Transport
from closingbell.wire.approval import ApprovalInfo, ApprovalStanding
from closingbell.wire.page import Page


class Approvals:
    """Runs that two persons must agree on."""

    def __init__(self, transport: Transport) -> None:
        """Make it; use `client.approvals`."""
        self._transport = transport

    def all(self) -> Iterator[ApprovalInfo]:
        """Yield the runs that wait for people, the oldest first."""
        return self._transport.walk(("approvals",), ApprovalInfo)

    def page(self, *, limit: int = 100, after: str | None = None) -> Page[ApprovalInfo]:
        """Return a page of the runs that wait for people."""
        values = {"limit": limit, "after": after}
        return self._transport.get(("approvals",), Page[ApprovalInfo], values)

    def approve(self, run_id: str, reason: str | None = None) -> ApprovalStanding:
        """Release a run, as one of the persons who must agree.

        Raises:
            ApprovalRefused: the token is no person's, or that person may not.
        """
        values = {"reason": reason}
        return self._transport.post(("runs", run_id, "approve"), ApprovalStanding, values)

    def reject(self, run_id: str, reason: str) -> ApprovalStanding:
        """End a run before it begins."""
        values = {"reason": reason}
        return self._transport.post(("runs", run_id, "reject"), ApprovalStanding, values)
