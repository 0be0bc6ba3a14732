"""Approvals: who asked for a run that two persons must agree on, and what people decided."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Row, Select, delete, select, update

from closingbell.core.actor import Actor, current_actor
from closingbell.core.approval import (
    Decision,
    HeldRun,
    Standing,
    Verdict,
    refusal,
    standing,
)
from closingbell.core.clock import from_micros
from closingbell.core.error import ApprovalRefused, SubmitError, UnknownRun
from closingbell.store.audit import StoredAudit
from closingbell.store.codec import read_run, storable
from closingbell.store.database import Database
from closingbell.store.door_schema import approvals
from closingbell.store.schema import literal, runs

#: Runs that one statement names.
_CHUNK = 5_000
_HELD = (runs.c.state == literal("scheduled"), runs.c.hold.is_not(None))


class StoredApprovals:
    """Decisions about runs that wait for people; a round is told by the run's fence."""

    def __init__(self, database: Database, audit: StoredAudit) -> None:
        self._database = database
        self._audit = audit

    def approve(self, run_id: str, now: int, reason: str | None = None) -> Standing:
        """Let the present actor release a run; when enough agree, it may be claimed.

        A run whose time has come meanwhile is due from now on; one that is due later waits
        on as any other.

        Args:
            run_id: which run.
            now: the desk's time.
            reason: why.

        Returns:
            Where the round stands: "released", or "waiting" for more.

        Raises:
            UnknownRun: there is no such run.
            ApprovalRefused: it waits for nobody, or the actor may not decide.
        """
        with self._database.writing(news=True) as connection:
            run, before, actor = _at_hand(connection, run_id, "approved")
            mine = Decision(actor.name, Verdict.APPROVED, reason)
            _note(connection, run, mine, now)
            after = standing([*before, mine])
            state = "scheduled"
            if not after.needed:
                state = "pending" if run.due_at <= now else "scheduled"
                connection.execute(
                    update(runs)
                    .where(runs.c.id == run_id)
                    .values(hold=None, state=state, due_at=max(run.due_at, now))
                )
            moved = ("run.approved", run_id, "scheduled", state, reason)
            self._audit.moved_on(connection, *moved, task=run.task, needed=after.needed)
            return after

    def reject(self, run_id: str, now: int, reason: str) -> Standing:
        """Let the present actor end a run that waits for people.

        Args:
            run_id: which run.
            now: the desk's time.
            reason: why; it is stored with the run.

        Raises:
            UnknownRun: there is no such run.
            SubmitError: no reason is given.
            ApprovalRefused: it waits for nobody, or the actor may not decide.
        """
        if not reason.strip():
            raise SubmitError("reason", reason, "why it is rejected, for who asked for it")
        with self._database.writing(news=True) as connection:
            run, before, actor = _at_hand(connection, run_id, "rejected")
            mine = Decision(actor.name, Verdict.REJECTED, reason)
            _note(connection, run, mine, now)
            # It keeps its mark: who tries it again asks again.
            connection.execute(
                update(runs)
                .where(runs.c.id == run_id)
                .values(
                    state="cancelled",
                    finished_at=now,
                    reason=storable(f"rejected by {actor.name}: {reason}"),
                )
            )
            moved = ("run.rejected", run_id, "scheduled", "cancelled", reason)
            self._audit.moved_on(connection, *moved, task=run.task)
            return standing([*before, mine])

    def of(self, run_ids: Iterable[str]) -> dict[str, tuple[Decision, ...]]:
        """Return the decisions of the present round of each run that has any, oldest first."""
        with self._database.reading() as connection:
            return _decisions(connection, list(run_ids))

    def waiting(self, limit: int = 100, after: str | None = None) -> list[HeldRun]:
        """Return runs that wait for people, the oldest first.

        Args:
            limit: at most so many.
            after: the id of the last run of the page before.
        """
        query = select(runs).where(*_HELD).order_by(runs.c.id).limit(limit)
        if after is not None:
            query = query.where(runs.c.id > after)
        with self._database.reading() as connection:
            found = [read_run(row._mapping) for row in connection.execute(query)]
            decided = _decisions(connection, [run.id for run in found])
        return [
            HeldRun(run, standing(decided.get(run.id, ())), decided.get(run.id, ()))
            for run in found
        ]


def note_requests(connection: Any, run_ids: Sequence[str], now: int, fence: int = 0) -> None:
    """Record that a person asked for runs that wait for people, if it is a person who asks.

    Args:
        connection: of the transaction that stores the runs.
        run_ids: runs that this transaction made, or holds anew.
        now: the desk's time.
        fence: of the runs.
    """
    actor = current_actor()
    if actor.is_person and run_ids:
        asked = Decision(actor.name, Verdict.REQUESTED, actor.reason)
        rows = [_row(run_id, fence, asked, now) for run_id in run_ids]
        connection.execute(approvals.insert(), rows)


def begin_round(connection: Connection, run_id: str, fence: int, now: int) -> None:
    """Ask about a run anew, whatever was decided about it under this fence."""
    connection.execute(delete(approvals).where(approvals.c.run_id == run_id, _round(fence)))
    note_requests(connection, [run_id], now, fence)


def was_asked_about(connection: Connection, run_id: str) -> bool:
    """Whether people were ever asked about a run."""
    query = select(approvals.c.run_id).where(approvals.c.run_id == run_id).limit(1)
    return connection.execute(query).first() is not None


def _at_hand(
    connection: Connection, run_id: str, act: str
) -> tuple[Row[Any], tuple[Decision, ...], Actor]:
    """Return a held run, its decisions and who decides; the run stays locked.

    Raises:
        UnknownRun: there is no such run.
        ApprovalRefused: it waits for nobody, or the actor may not decide.
    """
    columns = (runs.c.id, runs.c.task, runs.c.state, runs.c.hold, runs.c.fence, runs.c.due_at)
    held = select(*columns).where(runs.c.id == run_id).with_for_update()
    run: Any = connection.execute(held).one_or_none()
    if run is None:
        raise UnknownRun(run_id)
    if run.state != "scheduled" or run.hold is None:
        raise ApprovalRefused(run_id, act, f"it is {run.state}, and waits for nobody's decision")
    actor = current_actor()
    actor = actor._replace(name=storable(actor.name))
    before = _decisions(connection, [run_id]).get(run_id, ())
    problem = refusal(before, actor.name, actor.is_person)
    if problem is not None:
        raise ApprovalRefused(run_id, act, problem)
    return run, before, actor


def _note(connection: Connection, run: Row[Any], decision: Decision, now: int) -> None:
    connection.execute(approvals.insert().values(_row(run.id, run.fence, decision, now)))


def _row(run_id: str, fence: int, decision: Decision, now: int) -> dict[str, Any]:
    why = decision.reason
    return {
        "run_id": run_id,
        "fence": fence,
        "person": storable(decision.person),
        "verdict": decision.verdict.value,
        "reason": None if why is None else storable(why),
        "decided_at": now,
    }


def _decisions(connection: Connection, run_ids: list[str]) -> dict[str, tuple[Decision, ...]]:
    found: dict[str, list[Decision]] = {}
    for start in range(0, len(run_ids), _CHUNK):
        for row in connection.execute(_present(run_ids[start : start + _CHUNK])):
            decided_at = from_micros(row.decided_at)
            made = Decision(row.person, Verdict(row.verdict), row.reason, decided_at)
            found.setdefault(row.run_id, []).append(made)
    return {run_id: tuple(decisions) for run_id, decisions in found.items()}


def _present(run_ids: list[str]) -> Select[Any]:
    """Return the query of the rows of the present rounds, those who asked first."""
    return (
        select(approvals)
        .join(runs, runs.c.id == approvals.c.run_id)
        .where(approvals.c.run_id.in_(run_ids), approvals.c.fence == runs.c.fence)
        .order_by(
            approvals.c.run_id,
            approvals.c.verdict != literal("requested"),
            approvals.c.decided_at,
            approvals.c.person,
        )
    )


def _round(fence: int) -> Any:
    return approvals.c.fence == fence
