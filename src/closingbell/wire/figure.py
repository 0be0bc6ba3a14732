"""Figures on the wire: how runs went, and how the desk stands."""

from __future__ import annotations

from datetime import date, datetime

from pydantic import BaseModel, Field

from closingbell.wire.worker import Slots


class Times(BaseModel):
    """How long something took, in seconds; null when nothing was counted.

    `count`, `avg_s`, `min_s` and `max_s` are exact, the quantiles within 1 %.
    """

    count: int
    avg_s: float | None
    min_s: float | None
    max_s: float | None
    p50_s: float | None
    p95_s: float | None
    p99_s: float | None


class TaskFigures(BaseModel):
    """How the runs of a task went that a worker took."""

    task: str | None = Field(description="null = all tasks together")
    count: int = Field(description="runs that ended")
    success: int
    failed: int
    cancelled: int
    skipped: int
    retried: int = Field(description="attempts that failed and were followed by another")
    failure_rate: float | None = Field(
        description="of the runs that succeeded or failed, a fraction; null when none did either"
    )
    duration: Times = Field(description="of the attempts that succeeded")
    lateness: Times = Field(description="from the planned instant to the first start")
    queue_wait: Times = Field(description="from the instant an attempt was due to its start")


class Performance(BaseModel):
    """How runs went in a window, by task."""

    window: str
    since: datetime | None = Field(description="where the window begins; null = with the first run")
    until: datetime
    total: TaskFigures | None = Field(description="of all tasks; null when one was asked for")
    items: list[TaskFigures] = Field(description="by task name")
    next: str | None


class ThroughputPoint(BaseModel):
    """How runs went that ended in a span of time; times are seconds."""

    at: datetime
    until: datetime
    success: int
    failed: int
    cancelled: int
    skipped: int
    retried: int
    duration_p50_s: float | None
    duration_p95_s: float | None
    lateness_p95_s: float | None
    queue_wait_p95_s: float | None


class Throughput(BaseModel):
    """How runs went over time."""

    window: str
    task: str | None
    step_s: int = Field(description="how long each point lasts")
    points: list[ThroughputPoint] = Field(
        description="without gaps, the oldest first; the last one is not over yet"
    )


class Counts(BaseModel):
    """Runs that have not ended."""

    running: int
    pending: int = Field(description="they could start now")
    scheduled: int = Field(description="due later, or waiting for a retry")
    held: int = Field(description="waiting for people")
    complete: bool = Field(description="false: one of them is more than was counted")


class AliveWorkers(BaseModel):
    """The workers that are alive."""

    alive: int
    slots: dict[str, Slots] = Field(description="of all together, by kind of executor")


class NextFiring(BaseModel):
    """What a schedule will do next."""

    schedule_id: str
    task: str
    fire_at: datetime
    explanation: str = Field(description="why then")


class VenueToday(BaseModel):
    """A venue's session of today, by its own local date."""

    venue: str
    timezone: str
    date: date
    is_open: bool = Field(description="whether it trades at this moment")
    open_at: datetime | None = Field(description="null = no session today")
    close_at: datetime | None
    breaks: list[tuple[datetime, datetime]]
    early_close: bool
    note: str | None = Field(description="why there is none, or why its hours are special")
    next_open_at: datetime | None = Field(description="null where the calendar ends")


class Overview(BaseModel):
    """How the desk stands, in one look."""

    at: datetime
    timezone: str
    counts: Counts
    late_after_s: float = Field(description="what is due for so long, and has not begun, is late")
    late_runs: int
    late_schedules: int = Field(description="schedules that should have fired and have not")
    oldest_pending_age_s: float | None = Field(description="null = nothing waits")
    day: TaskFigures = Field(description="of all tasks in the last 24 hours")
    open_alerts: dict[str, int] = Field(description="by severity")
    workers: AliveWorkers
    next_firings: list[NextFiring]
    venues: list[VenueToday] = Field(description="those that schedules and accounts name")
    throughput: Throughput = Field(description="of the last hour")
