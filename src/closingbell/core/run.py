"""Run and Attempt: one intended execution, and its tries.

scheduled -> pending -> running -> success | failed | cancelled | skipped
    ^                      |
    +---- retry, snooze ---+      (and back to pending when a worker gives it back)
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple


class RunState(StrEnum):
    """Where a run stands."""

    SCHEDULED = "scheduled"
    PENDING = "pending"
    RUNNING = "running"
    SUCCESS = "success"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"

    @property
    def is_final(self) -> bool:
        """Whether the run has ended."""
        return self in FINAL_STATES


FINAL_STATES = frozenset({RunState.SUCCESS, RunState.FAILED, RunState.CANCELLED, RunState.SKIPPED})
ACTIVE_STATES = frozenset({RunState.SCHEDULED, RunState.PENDING, RunState.RUNNING})

#: From each state, the states that a run may go to next.
TRANSITIONS: dict[RunState, frozenset[RunState]] = {
    RunState.SCHEDULED: frozenset({RunState.PENDING, RunState.CANCELLED}),
    RunState.PENDING: frozenset({RunState.RUNNING, RunState.CANCELLED}),
    RunState.RUNNING: FINAL_STATES | {RunState.SCHEDULED, RunState.PENDING},
    RunState.SUCCESS: frozenset({RunState.PENDING}),
    RunState.FAILED: frozenset({RunState.PENDING, RunState.SCHEDULED}),
    RunState.CANCELLED: frozenset({RunState.PENDING}),
    RunState.SKIPPED: frozenset({RunState.PENDING}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try of a run.

    Attributes:
        number: from 1.
        outcome: "returned", "raised", "timed_out", "lost", "cancelled", "skipped",
            "snoozed", "given_back", or "running".
        fence: the number of the claim that made this attempt.
        error: `code`, `type`, `message`, `traceback`, or None.
    """

    number: int
    outcome: str
    fence: int
    worker_id: str | None
    started_at: datetime | None
    finished_at: datetime | None
    error: dict[str, Any] | None = None

    @property
    def duration(self) -> timedelta | None:
        """How long it ran, or None while it runs."""
        if self.started_at is None or self.finished_at is None:
            return None
        return self.finished_at - self.started_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One intended execution, as the store knows it.

    Attributes:
        due_at: from when it may be claimed.
        fire_at: the instant that a trigger named; None for a submitted run.
        attempt: the number of the latest attempt, 0 before the first.
        attempts: every attempt, oldest first (empty in lists of runs).
        result: what the handler returned, as JSON values.
        error: `code`, `type`, `message`, `traceback` of the last failure.
        reason: why it was skipped, cancelled or given back.
        cause: "submit", "schedule", "event", "after", "retry", or "elsewhere" for a result
            that was recorded and not run here.
        hold: "approval" while it waits for people; it stays on a run that was cancelled
            meanwhile, which is asked about anew when it is tried again. Else None.
        requested_by: who asked for it at the door; None for code, schedules and events.
    """

    id: str
    task: str
    state: RunState
    priority: int
    executor: str
    payload: dict[str, Any]
    tags: tuple[str, ...]
    key: str | None
    due_at: datetime
    fire_at: datetime | None
    session_date: date | None
    schedule_id: str | None
    cause: str
    attempt: int
    max_attempts: int
    fence: int
    worker_id: str | None
    submitted_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    result: Any = None
    error: dict[str, Any] | None = None
    reason: str | None = None
    lane: str | None = None
    cancel_requested_at: datetime | None = None
    event_id: str | None = None
    hold: str | None = None
    batch_id: str | None = None
    requested_by: str | None = None
    attempts: tuple[Attempt, ...] = field(default=())

    @property
    def lateness(self) -> timedelta | None:
        """How long after `fire_at` (or `due_at`) it started, or None before it started."""
        if self.started_at is None:
            return None
        return self.started_at - (self.fire_at or self.due_at)

    @property
    def duration(self) -> timedelta | None:
        """How long the latest attempt ran, or None."""
        if self.started_at is None or self.finished_at is None:
            return None
        return self.finished_at - self.started_at


class RunTemplate(NamedTuple):
    """What the runs of one submission share. Times are microseconds since the epoch.

    Attributes:
        hold: "approval" for a run that is scheduled and waits for people, else None.
        batch_id: the batch that it belongs to.
        requested_by: who asked for it, where that is somebody at the door.
        trace: the W3C `traceparent` of who asked for it.
    """

    task: str
    executor: str
    priority: int
    state: str
    due_at: int
    max_attempts: int
    timeout_s: float
    submitted_at: int
    cause: str = "submit"
    tags: str = "[]"
    key: str | None = None
    schedule_id: str | None = None
    fire_at: int | None = None
    session_date: str | None = None
    event_id: str | None = None
    hold: str | None = None
    batch_id: str | None = None
    requested_by: str | None = None
    trace: str | None = None


class RunItem(NamedTuple):
    """What each run of one submission has for itself."""

    id: str
    payload: str
    lane: str | None = None


class Claim(NamedTuple):
    """A run that this worker holds. Times are microseconds since the epoch."""

    id: str
    fence: int
    task: str
    payload: str
    attempt: int
    max_attempts: int
    timeout_s: float
    due_at: int
    fire_at: int | None
    session_date: str | None
    schedule_id: str | None
    executor: str
    lost_count: int
    cancel_reason: str | None
    started_at: int
    trace: str | None = None


class AlertNote(NamedTuple):
    """An alert that is raised by the transaction that settles its cause.

    Attributes:
        type: "task_failure", "poison_run" or "long_execution".
        message: one sentence.
        data: JSON text with what a person needs.
        severity: how urgent it is.
    """

    type: str
    message: str
    data: str
    severity: str = "WARNING"


class Settlement(NamedTuple):
    """What one claim ended in: the write that carries the fence.

    Attributes:
        state: the run's next state.
        outcome: what the attempt did, one of `Attempt.outcome`.
        attempt: the attempt number to store (a snooze and a give-back restore it).
        due_at: when it may be claimed again, for scheduled and pending.
        result: JSON text, for success.
        error: JSON text, for failures.
        ledger: whether this attempt is followed by another and so moves to the ledger.
        lost: 1 when the worker was lost, to be added to the run's count.
        logs: captured output, as (stream, text) pieces in order.
        alert: what a person should see, or None.
        started_at: when the code really started, where that is known; a claim is made a
            little ahead, or waits for its place.
    """

    id: str
    fence: int
    state: str
    outcome: str
    attempt: int
    finished_at: int
    due_at: int | None = None
    result: str | None = None
    error: str | None = None
    reason: str | None = None
    ledger: bool = False
    lost: int = 0
    logs: tuple[tuple[str, str], ...] = ()
    alert: AlertNote | None = None
    started_at: int | None = None
