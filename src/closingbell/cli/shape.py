"""What stored things look like as JSON: the field names that scripts may rely on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from closingbell.core.clock import from_micros
from closingbell.core.mask import mask

if TYPE_CHECKING:
    from closingbell.core.approval import HeldRun
    from closingbell.core.run import Attempt, Run
    from closingbell.core.schedule import Schedule

_RUN = (
    "id", "task", "state", "priority", "executor", "payload", "tags", "key", "cause",
    "schedule_id", "fire_at", "session_date", "due_at", "submitted_at", "started_at",
    "finished_at", "attempt", "max_attempts", "worker_id", "result", "error", "reason",
    "hold", "requested_by", "batch_id", "event_id",
)  # fmt: skip


def run_shape(
    run: Run, masked: Mapping[str, Sequence[str]], *, whole: bool = False
) -> dict[str, Any]:
    """Return a run; `whole` adds its attempts, fence and lane.

    Args:
        run: which one.
        masked: the payload fields that nothing shows, by task.
        whole: show all of it.
    """
    shape: dict[str, Any] = {name: getattr(run, name) for name in _RUN}
    shape["payload"] = mask(run.payload, masked.get(run.task, ()))
    shape["lateness_s"] = run.lateness
    shape["duration_s"] = run.duration
    if whole:
        shape["fence"] = run.fence
        shape["lane"] = run.lane
        shape["cancel_requested_at"] = run.cancel_requested_at
        shape["attempts"] = [attempt_shape(attempt) for attempt in run.attempts]
    return shape


def attempt_shape(attempt: Attempt) -> dict[str, Any]:
    """Return one attempt."""
    return {
        "number": attempt.number,
        "outcome": attempt.outcome,
        "fence": attempt.fence,
        "worker_id": attempt.worker_id,
        "started_at": attempt.started_at,
        "finished_at": attempt.finished_at,
        "duration_s": attempt.duration,
        "error": attempt.error,
    }


def held_shape(held: HeldRun, masked: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Return a run that waits for people, with where it stands."""
    return {
        **run_shape(held.run, masked),
        "needed": held.standing.needed,
        "asked_by": held.standing.asked_by,
        "decisions": [
            {
                "person": decision.person,
                "verdict": decision.verdict,
                "reason": decision.reason,
                "decided_at": decision.decided_at,
            }
            for decision in held.decisions
        ],
    }


def schedule_shape(schedule: Schedule, masked: Sequence[str]) -> dict[str, Any]:
    """Return a schedule with its rule in JSON and in words; its payload without `masked`."""
    policy = schedule.policy
    return {
        "id": schedule.id,
        "task": schedule.task,
        "describes": schedule.trigger.describe(),
        "trigger": schedule.trigger.to_dict(),
        "next_fire_at": schedule.next_fire_at,
        "last_fire_at": schedule.last_fire_at,
        "paused_at": schedule.paused_at,
        "paused_reason": schedule.paused_reason,
        "paused_until": schedule.paused_until,
        "payload": mask(schedule.payload, masked),
        "priority": schedule.priority,
        "tags": list(schedule.tags),
        "catch_up": policy.catch_up,
        "overlap": policy.overlap,
        "jitter_s": policy.jitter,
        "start": policy.start,
        "end": policy.end,
        "blackouts": [window.describe() for window in policy.blackouts],
        "source": schedule.source,
    }


def firing_shape(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stored tick of a schedule."""
    until = row["until_at"]
    return {
        "schedule_id": row["schedule_id"],
        "fire_at": from_micros(row["fire_at"]),
        "outcome": row["outcome"],
        "reason": row["reason"],
        "run_id": row["run_id"],
        "count": row["count"],
        "until_at": None if until is None else from_micros(until),
    }


def error_line(error: Mapping[str, Any] | None) -> str | None:
    """Return a stored error as 'Type: message'."""
    if not error:
        return None
    return f"{error.get('type', 'Error')}: {error.get('message', '')}"
