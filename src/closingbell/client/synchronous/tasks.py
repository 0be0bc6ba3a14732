"""Tasks of a service."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from closingbell.client.synchronous.transport import Transport
from closingbell.wire.task import TaskInfo


class Tasks:
    """What can be run."""

    def __init__(self, transport: Transport) -> None:
        """Make it; use `client.tasks`."""
        self._transport = transport

    def all(self, *, registered: bool | None = None) -> Iterator[TaskInfo]:
        """Yield tasks by name.

        Args:
            registered: only those that the service's app knows, or does not.
        """
        return self._transport.walk(("tasks",), TaskInfo, {"registered": registered})

    def get(self, name: str) -> TaskInfo:
        """Return one task: its options, and how it stands."""
        return self._transport.get(("tasks", name), TaskInfo)

    def form(self, name: str) -> dict[str, Any]:
        """Return the JSON Schema of a task's payload."""
        return self._transport.get(("tasks", name, "form"), dict[str, Any])
