"""ScheduledTask and TaskStatus: the document's words for a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any

from closingbell.core.run import Run


class TaskStatus(Enum):
    """Where a run stands: the document's five words, and two of the engine's own."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCESS = "success"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SCHEDULED = "scheduled"
    SKIPPED = "skipped"


@dataclass
class ScheduledTask:
    """A task with its payload and its time.

    Attributes:
        task_name: a registered task.
        payload: what the handler is given.
        trigger_time: not before this instant.
        priority: 1 runs first, 9 last.
        task_id: the run's id; None before it is submitted.
        retry_count: how many attempts failed so far.
        max_retries: how many may follow the first. Read only: what the task, or
            `set_retry_policy`, says is what happens.
        tags: labels.
    """

    task_name: str
    payload: dict[str, Any]
    trigger_time: datetime
    priority: int = 5
    task_id: str | None = None
    retry_count: int = 0
    max_retries: int = 3
    tags: list[str] = field(default_factory=list)

    def __lt__(self, other: ScheduledTask) -> bool:
        """Whether it runs before `other`: earlier, and at one instant by priority."""
        return (self.trigger_time, self.priority) < (other.trigger_time, other.priority)


def scheduled_task_of(run: Run) -> ScheduledTask:
    """Return a waiting run in the document's form."""
    return ScheduledTask(
        task_name=run.task,
        payload=dict(run.payload),
        trigger_time=run.due_at,
        priority=run.priority,
        task_id=run.id,
        retry_count=run.attempt,
        max_retries=max(run.max_attempts - 1, 0),
        tags=list(run.tags),
    )


def error_text(error: Mapping[str, Any] | None) -> str:
    """Return an error in one line: its message, or its type when it has none."""
    error = error or {}
    return str(error.get("message") or error.get("type") or "Unknown error")
