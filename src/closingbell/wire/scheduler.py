"""The scheduler-centre document's requests and answers; `task_id` is the id of a run."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from closingbell.wire.instant import Instant
from closingbell.wire.text import Given, JsonObject, Name, Priority, Tags


class TaskRequest(Given):
    """A run, for now or for later."""

    task_name: Name
    payload: JsonObject = Field(default={})
    trigger_time: Instant | None = Field(default=None, description="not before it; null = now")
    priority: Priority = Field(default=5, description="1 runs first, 9 last")
    tags: Tags = Field(default=[])


class CronTaskRequest(Given):
    """A task that runs again and again."""

    task_name: Name
    cron_expression: str = Field(
        strict=True, min_length=1, max_length=1_000, description="five fields, in the app's zone"
    )
    payload: JsonObject = Field(default={})
    priority: Priority = 5


class EventTriggerRequest(Given):
    """A task that runs when an event happens."""

    task_name: Name
    event_type: Name
    payload: JsonObject = Field(default={}, description="the event's data is laid over it")
    priority: Priority = 5


class Submitted(BaseModel):
    """What was stored, and what was done with it."""

    task_id: str
    status: Literal["scheduled", "registered", "cancelled"]


class TriggeredTasks(BaseModel):
    """The runs that an event started."""

    triggered_tasks: list[str]
    count: int


class WaitingTask(BaseModel):
    """A run that waits for its time or for a worker, or the next firing of a schedule."""

    task_id: str
    task_name: str
    status: Literal["scheduled", "pending", "paused", "ended"]
    trigger_time: datetime | None
    priority: int
    timestamp: datetime | None
    execution_time: None = None


class RunningTask(BaseModel):
    """A run that a worker has."""

    task_id: str
    task_name: str
    status: Literal["running"]
    priority: int
    started_at: datetime | None
    timestamp: datetime | None
    execution_time: float | None = Field(description="seconds until now")


class FailedTask(BaseModel):
    """A run that failed and that nobody cleared."""

    task_id: str
    task_name: str
    status: Literal["retrying", "permanently_failed"]
    priority: int
    retry_count: int
    last_failure: datetime | None
    timestamp: datetime | None
    execution_time: float | None = Field(description="seconds of the last attempt")
    error: str


class EndedTask(BaseModel):
    """A run that ended."""

    task_id: str
    task_name: str
    status: Literal["success", "failed", "cancelled", "skipped"]
    result: Any = None
    error: str | None
    reason: str | None
    execution_time: float | None = Field(description="seconds; null = it never started")
    completed_at: datetime | None
    timestamp: datetime | None
    retry_count: int
    priority: int
    payload: JsonObject
    tags: list[str]


class RegisteredTask(BaseModel):
    """An event trigger: its task waits for an event."""

    task_id: str
    task_name: str
    status: Literal["registered"]
    event_type: str
    priority: int | None
    timestamp: datetime


class SchedulerAlert(BaseModel):
    """Something that a person must see."""

    id: str
    type: str
    task_id: str | None
    task_name: str | None
    timestamp: datetime
    severity: str
    message: str
    count: int
    acknowledged_by: str | None
    error: str | None = None
    execution_time: float | None = None


class ClearedAlerts(BaseModel):
    """How many alerts were cleared."""

    cleared_count: int


EndedState = Literal["success", "failed", "cancelled", "skipped"]
