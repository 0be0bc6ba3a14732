"""Door: what makes runs of firings, events and submissions; the app's own, given to a simulation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from closingbell.core.run import RunItem, RunTemplate
from closingbell.core.schedule import Schedule
from closingbell.core.task import TaskDefinition


class Door(Protocol):
    """Checks payloads and options, and says what a store would keep of them.

    The ids of the items do not count: a simulation gives its runs ids of its own.
    """

    def firing(
        self, schedule: Schedule, fire_at: datetime, gate: bool
    ) -> tuple[RunTemplate, RunItem]:
        """Return the run of a schedule's firing; with a `gate` it waits for earlier ones.

        Raises:
            PayloadError: the payload does not fit the task.
            DefinitionError: the task cannot be run with it.
        """
        ...

    def dependent(
        self, task: TaskDefinition, schedule_id: str, fire_at: datetime
    ) -> tuple[RunTemplate, RunItem]:
        """Return the run of a task whose dependencies have succeeded; raises as `firing`."""
        ...

    def started_by(
        self, event_type: str, data: Mapping[str, Any]
    ) -> Sequence[tuple[RunTemplate, RunItem]]:
        """Return the runs that an event starts; raises as `firing`."""
        ...

    def wants(self, event_type: str) -> bool:
        """Whether an event of this type may start anything."""
        ...
