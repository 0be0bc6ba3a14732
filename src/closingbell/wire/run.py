"""Runs: how they are asked for, and what lists and details tell of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from pydantic import BaseModel, Field

from closingbell.core.mask import mask
from closingbell.core.run import Attempt, Run, RunState
from closingbell.core.run_history import Happening
from closingbell.core.run_summary import RunSummary
from closingbell.wire.instant import Instant
from closingbell.wire.text import Given, Id, JsonObject, Name, Priority, Reason, Tags


class RunRequest(Given):
    """A run that is asked for."""

    task: Name
    payload: JsonObject = Field(default={}, description="what the handler is given")
    at: Instant | None = Field(default=None, description="not before this instant")
    delay_s: float | None = Field(
        default=None, ge=0, strict=True, description="not before so many seconds from now"
    )
    priority: Priority | None = Field(default=None, description="1 first; null = the task's own")
    tags: Tags = Field(default=[], description="beside the task's own")
    key: Id | None = Field(
        default=None, description="a second run of the task with the same key is the first one"
    )
    reason: Reason | None = Field(default=None, description="why, for the audit ledger")


class RunSummaryInfo(BaseModel):
    """A run as lists show it."""

    id: str
    task: str
    state: RunState
    priority: int
    executor: str
    tags: list[str]
    key: str | None
    cause: str = Field(description="submit, schedule, event, after, retry or elsewhere")
    schedule_id: str | None
    event_id: str | None
    batch_id: str | None
    requested_by: str | None = Field(description="who asked for it at the door")
    hold: str | None = Field(description="approval: it waits for people")
    submitted_at: datetime
    due_at: datetime
    fire_at: datetime | None = Field(description="the instant that a trigger named")
    session_date: date | None
    started_at: datetime | None
    finished_at: datetime | None
    cancel_requested_at: datetime | None
    attempt: int = Field(description="the latest one's number, 0 before the first")
    max_attempts: int
    worker_id: str | None
    lateness_s: float | None = Field(description="from fire_at, or due_at, to the start")
    duration_s: float | None = Field(description="of the latest attempt")
    reason: str | None = Field(description="why it was skipped, cancelled or given back")
    error_line: str | None = Field(description="the latest failure, short")

    @classmethod
    def of(cls, run: RunSummary) -> RunSummaryInfo:
        """Return a run of a list as the API tells it."""
        fields = run._asdict()
        fields["error_line"] = fields.pop("error")
        return cls(
            **fields,
            lateness_s=_seconds(run.lateness),
            duration_s=_seconds(run.duration),
        )


class ErrorInfo(BaseModel):
    """What an attempt failed with."""

    code: str | None
    type: str
    message: str
    traceback: str | None


class AttemptInfo(BaseModel):
    """One try of a run."""

    number: int
    outcome: str = Field(
        description="returned, raised, timed_out, lost, cancelled, skipped, snoozed, given_back "
        "or running"
    )
    fence: int = Field(description="the number of the claim that made it")
    worker_id: str | None
    started_at: datetime | None
    finished_at: datetime | None
    duration_s: float | None
    error: ErrorInfo | None

    @classmethod
    def of(cls, attempt: Attempt) -> AttemptInfo:
        """Return an attempt as the API tells it."""
        return cls(
            number=attempt.number,
            outcome=attempt.outcome,
            fence=attempt.fence,
            worker_id=attempt.worker_id,
            started_at=attempt.started_at,
            finished_at=attempt.finished_at,
            duration_s=_seconds(attempt.duration),
            error=_error(attempt.error),
        )


class RunInfo(RunSummaryInfo):
    """A run with all that is known of it."""

    payload: JsonObject = Field(description="without what its task masks")
    result: Any = Field(description="what the handler returned, without what its task masks")
    error: ErrorInfo | None = Field(description="the latest failure")
    queue_wait_s: float | None = Field(description="from due_at to the start")
    fence: int
    lane: str | None = Field(description="the limits that it goes under")
    attempts: list[AttemptInfo] = Field(description="the first one first")
    explanation: str = Field(description="why it is where it is, in one line")

    @classmethod
    def whole(cls, run: Run, masked: Sequence[str], explanation: str) -> RunInfo:
        """Return a run as the API tells it.

        Args:
            run: with its attempts.
            masked: fields of the payload that nothing shows.
            explanation: why it is where it is.
        """
        names = set(RunSummary._fields) - {"error", "tags"}
        error = _error(run.error)
        waited = None if run.started_at is None else _seconds(run.started_at - run.due_at)
        line = None if error is None else " ".join(f"{error.type}: {error.message}".split())[:300]
        return cls(
            **{name: getattr(run, name) for name in names},
            tags=list(run.tags),
            payload=mask(run.payload, masked),
            result=mask(run.result, masked),
            error=error,
            error_line=line,
            lateness_s=_seconds(run.lateness),
            duration_s=_seconds(run.duration),
            queue_wait_s=None if waited is None else max(waited, 0.0),
            fence=run.fence,
            lane=run.lane,
            attempts=[AttemptInfo.of(attempt) for attempt in run.attempts],
            explanation=explanation,
        )


class HappeningInfo(BaseModel):
    """One thing that happened to a run."""

    at: datetime
    what: str = Field(
        description="submitted, held, asked for, approved, rejected, due, hastened, started, "
        "ended (an attempt), cancel asked, cancelled, retried, dismissed, or the state it ended in"
    )
    detail: str
    by: str | None = Field(description="who did it, where somebody did")
    worker: str | None
    attempt: int | None

    @classmethod
    def of(cls, happening: Happening) -> HappeningInfo:
        """Return a happening as the API tells it."""
        return cls(**happening._asdict())


class LogPiece(BaseModel):
    """Something that a run printed or logged."""

    fence: int = Field(description="of the attempt that wrote it")
    seq: int = Field(description="its place in that attempt")
    stream: str = Field(description="stdout, stderr or log")
    text: str
    written_at: datetime


class RunId(BaseModel):
    """Which run is meant."""

    id: str


class Explanation(BaseModel):
    """Why a run is where it is."""

    id: str
    state: RunState
    explanation: str


def _error(error: dict[str, Any] | None) -> ErrorInfo | None:
    if error is None:
        return None
    return ErrorInfo(
        code=error.get("code"),
        type=str(error.get("type", "Error")),
        message=str(error.get("message", "")),
        traceback=error.get("traceback"),
    )


def _seconds(length: Any) -> float | None:
    return None if length is None else length.total_seconds()
