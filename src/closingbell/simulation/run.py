"""SimulatedRun: a run that has a longer life than one uninterrupted attempt."""

from __future__ import annotations

from typing import TYPE_CHECKING

from closingbell.core.run import Claim, RunItem, RunTemplate

if TYPE_CHECKING:
    from closingbell.simulation.attempt import Attempt
    from closingbell.simulation.lineup import TaskState
    from closingbell.simulation.timetable import Timetable


class SimulatedRun:
    """A run that waits, sleeps, or is tried again.

    Attributes:
        id, number: its id, and its number within its task.
        state: its task.
        timetable: the schedule that fired it, or None; `schedule_id` also names `after=`.
        at: the firing's instant, or when the run was first due.
        due_at: from when it may start.
        attempt: the number of the latest attempt that counts.
        fence: of the latest attempt.
        status: "scheduled", "pending", "running", or how it ended.
        cancel_reason: why its end was asked for.
        began_at: when its first attempt began, or None.
    """

    __slots__ = (
        "at",
        "attempt",
        "began_at",
        "cancel_reason",
        "due_at",
        "event_type",
        "fence",
        "fire_at",
        "id",
        "lane",
        "lost_count",
        "max_attempts",
        "number",
        "payload",
        "priority",
        "schedule_id",
        "session_date",
        "state",
        "status",
        "timeout_s",
        "timetable",
    )

    def __init__(
        self,
        run_id: str,
        number: int,
        state: TaskState,
        template: RunTemplate,
        item: RunItem,
        timetable: Timetable | None = None,
        event_type: str | None = None,
    ) -> None:
        self.id = run_id
        self.number = number
        self.state = state
        self.timetable = timetable
        self.event_type = event_type
        self.payload = item.payload
        self.lane = item.lane
        self.priority = template.priority
        self.due_at = template.due_at
        self.fire_at = template.fire_at
        self.at = template.due_at if template.fire_at is None else template.fire_at
        self.session_date = template.session_date
        self.schedule_id = template.schedule_id
        self.max_attempts = template.max_attempts
        self.timeout_s = template.timeout_s
        self.attempt = 0
        self.fence = 0
        self.lost_count = 0
        self.status = "scheduled"
        self.cancel_reason: str | None = None
        self.began_at: int | None = None

    @classmethod
    def of(cls, attempt: Attempt) -> SimulatedRun:
        """Return the run of a plain firing's first attempt, which is under way."""
        claim, timetable = attempt.claim, attempt.timetable
        run = cls.__new__(cls)
        run.id = claim.id
        run.number = attempt.number
        run.state = attempt.state
        run.timetable = timetable
        run.event_type = None
        run.payload = claim.payload
        run.lane = None
        run.priority = attempt.state.priority if timetable is None else timetable.priority
        run.due_at = claim.due_at
        run.fire_at = claim.fire_at
        run.at = claim.due_at if claim.fire_at is None else claim.fire_at
        run.session_date = claim.session_date
        run.schedule_id = claim.schedule_id
        run.max_attempts = claim.max_attempts
        run.timeout_s = claim.timeout_s
        run.attempt = 0
        run.fence = claim.fence
        run.lost_count = 0
        run.status = "running"
        run.cancel_reason = None
        run.began_at = claim.started_at
        attempt.run = run
        return run

    def claim(self, now: int) -> Claim:
        """Return the claim of the run's next attempt."""
        return Claim(
            id=self.id,
            fence=self.fence + 1,
            task=self.state.name,
            payload=self.payload,
            attempt=self.attempt + 1,
            max_attempts=self.max_attempts,
            timeout_s=self.timeout_s,
            due_at=self.due_at,
            fire_at=self.fire_at,
            session_date=self.session_date,
            schedule_id=self.schedule_id,
            executor=self.state.definition.executor,
            lost_count=self.lost_count,
            cancel_reason=self.cancel_reason,
            started_at=now,
        )

    def begin(self, now: int) -> Claim:
        """Claim the run, and return the claim."""
        claim = self.claim(now)
        self.fence = claim.fence
        self.status = "running"
        if self.began_at is None:
            self.began_at = now
        return claim
