"""RunSummary: a run as lists show it, without what can be large."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta
from typing import NamedTuple

from closingbell.core.clock import from_micros
from closingbell.core.run import RunState, RunTemplate


class RunSummary(NamedTuple):
    """A run in a list: neither payload nor result nor traceback.

    Attributes:
        error: the latest failure in one line, "Type: message", cut off where it is long.

    The others are those of `closingbell.core.run.Run`.
    """

    id: str
    task: str
    state: RunState
    priority: int
    executor: str
    tags: tuple[str, ...]
    key: str | None
    due_at: datetime
    fire_at: datetime | None
    session_date: date | None
    schedule_id: str | None
    event_id: str | None
    batch_id: str | None
    cause: str
    attempt: int
    max_attempts: int
    worker_id: str | None
    submitted_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    error: str | None
    reason: str | None
    hold: str | None
    requested_by: str | None
    cancel_requested_at: datetime | None

    @classmethod
    def made(cls, run_id: str, template: RunTemplate) -> RunSummary:
        """Return a run that was just made of a template, as it was stored."""
        day, fire_at = template.session_date, template.fire_at
        return cls(
            id=run_id,
            task=template.task,
            state=RunState(template.state),
            priority=template.priority,
            executor=template.executor,
            tags=tuple(json.loads(template.tags)),
            key=template.key,
            due_at=from_micros(template.due_at),
            fire_at=None if fire_at is None else from_micros(fire_at),
            session_date=None if day is None else date.fromisoformat(day),
            schedule_id=template.schedule_id,
            event_id=template.event_id,
            batch_id=template.batch_id,
            cause=template.cause,
            attempt=0,
            max_attempts=template.max_attempts,
            worker_id=None,
            submitted_at=from_micros(template.submitted_at),
            started_at=None,
            finished_at=None,
            error=None,
            reason=None,
            hold=template.hold,
            requested_by=template.requested_by,
            cancel_requested_at=None,
        )

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


class RunPage(NamedTuple):
    """Some runs of a list, the newest first.

    Attributes:
        next: the id before which the next page begins; None = nothing follows.
        complete: False = the look stopped at its bound, and what follows may match or not.
    """

    items: list[RunSummary]
    next: str | None
    complete: bool


class RunIdPage(NamedTuple):
    """As `RunPage`, with ids alone."""

    ids: list[str]
    next: str | None
    complete: bool
