"""Trying a run again because somebody says so."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, select, update

from closingbell.core.approval import HOLD
from closingbell.core.error import ApprovalRefused, InvalidTransition, UnknownRun
from closingbell.store.approvals import begin_round, was_asked_about
from closingbell.store.audit import StoredAudit
from closingbell.store.schema import attempts, runs

_FROM = ("success", "failed", "cancelled", "skipped", "scheduled")


def retry_on(
    connection: Connection,
    audit: StoredAudit | None,
    run_id: str,
    max_attempts: int,
    now: int,
    due_at: int | None,
    hold: str | None,
) -> None:
    """Let a run run again, inside a transaction; see `StoredRuns.retry`.

    Without `audit` who calls has recorded the act.
    """
    refuse_held(connection, run_id, "tried again")
    held = select(runs).where(runs.c.id == run_id).with_for_update()
    row: Row[Any] | None = connection.execute(held).one_or_none()
    if row is None:
        raise UnknownRun(run_id)
    if row.state not in _FROM:
        raise InvalidTransition(run_id, row.state, "pending")
    if hold is None and (row.hold is not None or was_asked_about(connection, run_id)):
        hold = HOLD
    due_at = now if due_at is None else due_at
    after = "pending" if due_at <= now and hold is None else "scheduled"
    if row.fence and not _is_in_ledger(connection, row):
        _move_to_ledger(connection, row)
    connection.execute(
        update(runs)
        .where(runs.c.id == run_id)
        .values(
            state=after,
            hold=hold,
            due_at=due_at,
            finished_at=None,
            result=None,
            reason=None,
            max_attempts=runs.c.attempt + max_attempts,
            lost_count=0,
            cause="retry",
            cancel_requested_at=None,
            cancel_reason=None,
        )
    )
    if hold is not None:
        begin_round(connection, run_id, row.fence, now)
    if audit is not None:
        audit.moved_on(connection, "run.retried", run_id, row.state, after, attempts=max_attempts)


def refuse_held(connection: Connection, run_id: str, act: str) -> None:
    """Refuse to pass over the people that a run waits for.

    Raises:
        ApprovalRefused: it waits for people.
    """
    held = select(runs.c.state, runs.c.hold).where(runs.c.id == run_id).with_for_update()
    row = connection.execute(held).one_or_none()
    if row is not None and row.state == "scheduled" and row.hold is not None:
        raise ApprovalRefused(run_id, act, "it waits for people, who must release it first")


def _is_in_ledger(connection: Connection, row: Row[Any]) -> bool:
    mine = select(attempts.c.run_id).where(
        attempts.c.run_id == row.id, attempts.c.fence == row.fence
    )
    return connection.execute(mine).first() is not None


def _move_to_ledger(connection: Connection, row: Row[Any]) -> None:
    connection.execute(
        attempts.insert().values(
            run_id=row.id,
            fence=row.fence,
            number=row.attempt,
            outcome=row.outcome or "cancelled",
            worker_id=row.worker_id,
            started_at=row.started_at,
            finished_at=row.finished_at,
            error=row.error,
            reason=row.reason,
        )
    )
