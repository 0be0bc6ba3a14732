"""Why is this run where it is? One line, from what is stored."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from closingbell.core.clock import to_micros
from closingbell.core.limit import Admission, Lane, Room
from closingbell.core.retry import counted
from closingbell.core.run import Run, RunState

if TYPE_CHECKING:
    from datetime import datetime

    from closingbell.store.store import Store


def explain(run: Run, store: Store, now: datetime) -> str:
    """Say in one line why `run` is in its state, and what it waits for."""
    match run.state:
        case RunState.SCHEDULED:
            return _held(run, store) if run.hold else _scheduled(run, now)
        case RunState.PENDING:
            return _pending(run, store, now)
        case RunState.RUNNING:
            since = run.started_at.isoformat(timespec="seconds") if run.started_at else "now"
            asked = ""
            if run.cancel_requested_at is not None:
                asked = "; it was asked to end and has not yet"
            return (
                f"running since {since} on worker {run.worker_id}, "
                f"attempt {run.attempt} of {run.max_attempts}{asked}"
            )
        case RunState.SUCCESS:
            return f"ended successfully, attempt {run.attempt}, after {_length(run.duration)}"
        case RunState.FAILED:
            error = run.error or {}
            why = f": {run.reason}" if run.reason else ""
            return (
                f"failed after {counted(run.attempt)}{why}; "
                f"{error.get('type', 'Error')}: {error.get('message', '')}"
            )
        case _:
            return f"{run.state}: {run.reason or 'no reason given'}"


def _held(run: Run, store: Store) -> str:
    from closingbell.core.approval import standing

    round_ = standing(store.approvals.of([run.id]).get(run.id, ()))
    who = run.cause if round_.asked_by is None else round_.asked_by
    so_far = f", released by {', '.join(round_.released_by)} so far" if round_.released_by else ""
    needs = "a second person" if round_.needed == 1 else "two persons"
    return (
        f"waits for {needs}: asked for by {who}{so_far}; release it with "
        f"`closingbell run approve {run.id}`"
    )


def _scheduled(run: Run, now: datetime) -> str:
    left = run.due_at - now
    when = f"due at {run.due_at.isoformat(timespec='seconds')}"
    soon = f"in {_length(left)}" if left > timedelta() else "now, and about to be promoted"
    if run.attempt and run.error is not None:
        error = f"{run.error.get('type')}: {run.error.get('message')}"
        return f"waits for its retry, {when}, {soon}: attempt {run.attempt} ended in {error}"
    if run.fence and run.reason:
        return f"snoozed ({run.reason}), {when}, {soon}"
    return f"{when}, {soon}"


def _pending(run: Run, store: Store, now: datetime) -> str:
    workers = [w for w in store.workers.list_all() if w["state"] == "alive"]
    if not workers:
        return "no worker is alive: start one with `closingbell worker`"
    if not any(run.task in _tasks(w) for w in workers):
        return f"no living worker knows task {run.task!r}: {len(workers)} alive"
    if run.lane is not None:
        reason = _blocking(run.lane, store, now)
        if reason is not None:
            return reason
    ahead = store.runs.ahead_of(run)
    if ahead:
        return f"{ahead} runs are before it: all {run.executor} places are taken"
    return f"next in line for a free {run.executor} place"


def _tasks(worker: dict[str, Any]) -> list[str]:
    tasks: list[str] = worker["about"].get("tasks", [])
    return tasks


def _blocking(text: str, store: Store, now: datetime) -> str | None:
    lane = Lane.decode(text)
    used: dict[tuple[str, int], int] = {}
    if lane.bucket is not None:
        since = to_micros(now) - lane.bucket.window
        used = {lane.bucket.span: store.runs.rate_used(lane.bucket.name, since)}
    return Admission(store.runs.running_lanes(), used, Room()).blocking(text)


def _length(length: timedelta | None) -> str:
    if length is None:
        return "no time"
    seconds = length.total_seconds()
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 120:
        return f"{seconds:.1f} s"
    return str(timedelta(seconds=round(seconds)))
