"""RunSummary: a run as lists show it, without what can be large."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import NamedTuple

from closingbell.core.run import RunState


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
