"""Tasks of a service."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from closingbell.client.asynchronous.transport import AsyncTransport
from closingbell.wire.task import TaskInfo


class AsyncTasks:
    """What can be run."""

    def __init__(self, transport: AsyncTransport) -> None:
        """Make it; use `client.tasks`."""
        self._transport = transport

    def all(self, *, registered: bool | None = None) -> AsyncIterator[TaskInfo]:
        """Yield tasks by name.

        Args:
            registered: only those that the service's app knows, or does not.
        """
        return self._transport.walk(("tasks",), TaskInfo, {"registered": registered})

    async def get(self, name: str) -> TaskInfo:
        """Return one task: its options, and how it stands."""
        return await self._transport.get(("tasks", name), TaskInfo)

    async def form(self, name: str) -> dict[str, Any]:
        """Return the JSON Schema of a task's payload."""
        return await self._transport.get(("tasks", name, "form"), dict[str, Any])
