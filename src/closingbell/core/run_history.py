"""What happened to a run, in order: put together from its row, its attempts and the acts of people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import NamedTuple

from closingbell.core.approval import Decision, Verdict
from closingbell.core.audit import AuditRecord
from closingbell.core.run import Attempt, Run

#: How the audit ledger's acts on a run read.
_ACTS = {
    "run.hastened": "hastened",
    "run.retried": "retried",
    "run.approved": "approved",
    "run.rejected": "rejected",
    "failure.dismissed": "dismissed",
}


class Happening(NamedTuple):
    """One thing that happened to a run.

    Attributes:
        what: "submitted", "held", "asked for", "approved", "rejected", "due", "hastened",
            "started", "ended" (an attempt), "cancel asked", "cancelled", "retried",
            "dismissed", or the state in which the run ended.
        detail: one line.
        by: who did it, where somebody did.
        worker: on which worker, of an attempt.
        attempt: the attempt's number.
    """

    at: datetime
    what: str
    detail: str = ""
    by: str | None = None
    worker: str | None = None
    attempt: int | None = None


def history_of(
    run: Run, acts: Iterable[AuditRecord] = (), decisions: Iterable[Decision] = ()
) -> list[Happening]:
    """Return what happened to a run, the first thing first.

    Args:
        run: with its attempts.
        acts: the audit ledger's records about it, in order.
        decisions: of people, in its present round.
    """
    done = list(_done(acts))
    found = [
        *_submitted(run),
        *_asked(decisions),
        *done,
        *(entry for attempt in run.attempts for entry in _tried(attempt)),
        *_ended(run, done),
    ]
    # What happens at one instant stays in the order above, which is that of a run's life.
    return sorted(found, key=lambda entry: entry.at)


def _submitted(run: Run) -> Iterator[Happening]:
    cause = {
        "schedule": f"fired by schedule {run.schedule_id}",
        "event": f"started by event {run.event_id}",
        "after": "started by the success of other tasks",
        "elsewhere": "recorded; it ran elsewhere",
    }.get(run.cause, "")
    if run.schedule_id is not None and not cause:
        cause = f"fired by schedule {run.schedule_id}"
    if run.fire_at is not None:
        cause += f" for {run.fire_at.isoformat()}"
    if run.batch_id is not None:
        cause = f"in batch {run.batch_id}"
    yield Happening(run.submitted_at, "submitted", cause, run.requested_by)
    if run.hold is not None:
        yield Happening(run.submitted_at, "held", f"it waits for people: {run.hold}")
    if run.due_at > run.submitted_at:
        retried = run.attempts and run.attempts[-1].finished_at is not None
        detail = "for its next attempt" if retried and not run.state.is_final else ""
        yield Happening(run.due_at, "due", detail)


def _asked(decisions: Iterable[Decision]) -> Iterator[Happening]:
    for decision in decisions:
        # The others are acts, which the audit ledger keeps for every round.
        if decision.verdict is Verdict.REQUESTED and decision.decided_at is not None:
            yield Happening(
                decision.decided_at, "asked for", decision.reason or "", decision.person
            )


def _done(acts: Iterable[AuditRecord]) -> Iterator[Happening]:
    for act in acts:
        what = _ACTS.get(act.action)
        if act.action == "run.cancelled":
            asked = isinstance(act.after, dict) and act.after.get("state") == "running"
            what = "cancel asked" if asked else "cancelled"
        if what is not None:
            yield Happening(act.happened_at, what, act.reason or "", act.actor)


def _tried(attempt: Attempt) -> Iterator[Happening]:
    where = (None, attempt.worker_id, attempt.number)
    if attempt.started_at is not None:
        yield Happening(attempt.started_at, "started", "", *where)
    if attempt.finished_at is not None:
        detail = attempt.outcome.replace("_", " ")
        if attempt.error is not None:
            error = f"{attempt.error.get('type', 'Error')}: {attempt.error.get('message', '')}"
            detail += f": {' '.join(error.split())[:300]}"
        yield Happening(attempt.finished_at, "ended", detail, *where)


def _ended(run: Run, done: list[Happening]) -> Iterator[Happening]:
    by_hand = done and done[-1].what in ("cancelled", "rejected")
    if run.finished_at is not None and not by_hand:
        yield Happening(run.finished_at, str(run.state), run.reason or "")
