"""Reading runs, and what people do to them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import and_, func, select, update

from closingbell.core.clock import to_micros
from closingbell.core.error import InvalidTransition, UnknownRun
from closingbell.core.run import Attempt, Run, RunState
from closingbell.store.audit import StoredAudit
from closingbell.store.codec import instant, read_attempt, read_run, storable
from closingbell.store.database import Database
from closingbell.store.retrial import refuse_held, retry_on
from closingbell.store.schema import attempts, literal, literals, rate_uses, run_logs, runs

#: What an attempt did when `error` is its own, not an earlier attempt's.
_WITH_ERROR = ("raised", "timed_out", "lost")
#: Ids that one statement names; both databases limit its parameters.
_CHUNK = 10_000
_RARE = ("failed", "cancelled", "skipped")
_STANDING = select(runs.c.state, runs.c.cancel_requested_at).with_for_update()


class StoredRuns:
    """The `Runs` of both stores; see the port for the contract."""

    def __init__(self, database: Database, audit: StoredAudit) -> None:
        self._database = database
        self._audit = audit

    def get(self, run_id: str) -> Run:
        """Return one run with all its attempts, oldest first.

        Raises:
            UnknownRun: it was never stored, or was pruned.
        """
        with self._database.reading() as connection:
            row = connection.execute(select(runs).where(runs.c.id == run_id)).one_or_none()
            if row is None:
                raise UnknownRun(run_id)
            before = connection.execute(
                select(attempts).where(attempts.c.run_id == run_id).order_by(attempts.c.fence)
            )
            ledger = [read_attempt(one._mapping) for one in before]
        run = read_run(row._mapping)
        settled = {attempt.fence for attempt in ledger}
        if run.fence and run.fence not in settled:
            ledger.append(
                Attempt(
                    number=run.attempt,
                    outcome=row.outcome if run.state is not RunState.RUNNING else "running",
                    fence=run.fence,
                    worker_id=run.worker_id,
                    started_at=run.started_at,
                    finished_at=run.finished_at,
                    error=run.error if row.outcome in _WITH_ERROR else None,
                )
            )
        return read_run(row._mapping, tuple(ledger))

    def many(self, run_ids: Sequence[str]) -> list[Run]:
        """Return the runs of these ids that are stored, in the order of the ids."""
        rows: dict[str, Any] = {}
        with self._database.reading() as connection:
            for start in range(0, len(run_ids), _CHUNK):
                some = runs.c.id.in_(run_ids[start : start + _CHUNK])
                found = connection.execute(select(runs).where(some))
                rows.update((row.id, row._mapping) for row in found)
        return [read_run(rows[run_id]) for run_id in run_ids if run_id in rows]

    def states(self, run_ids: Iterable[str]) -> dict[str, str]:
        """Return the state of each run that is stored, by id."""
        ids = list(run_ids)
        found: dict[str, str] = {}
        with self._database.reading() as connection:
            for start in range(0, len(ids), _CHUNK):
                some = runs.c.id.in_(ids[start : start + _CHUNK])
                rows = connection.execute(select(runs.c.id, runs.c.state).where(some))
                found.update((row.id, row.state) for row in rows)
        return found

    def list_page(
        self,
        *,
        task: str | None = None,
        states: Sequence[str] = (),
        schedule_id: str | None = None,
        before: str | None = None,
        limit: int = 100,
    ) -> list[Run]:
        """Return a page of runs, the newest submitted first.

        Args:
            task: only this task's.
            states: only in these states.
            schedule_id: only this schedule's.
            before: the last id of the page before.
            limit: at most so many.
        """
        query = select(runs).order_by(runs.c.id.desc()).limit(limit)
        if task is not None:
            query = query.where(runs.c.task == task)
        if schedule_id is not None:
            query = query.where(runs.c.schedule_id == schedule_id)
        if before is not None:
            query = query.where(runs.c.id < before)
        # One query for each index of the states.
        queries = [query.where(one) for state in states for one in _in_state(state)] or [query]
        with self._database.reading() as connection:
            found = [row for one in queries for row in connection.execute(one)]
        found.sort(key=lambda row: row.id, reverse=True)
        return [read_run(row._mapping) for row in found[:limit]]

    def waiting(self, limit: int = 100, until: int | None = None) -> list[Run]:
        """Return runs that have not started, in the order in which they will be claimed.

        Args:
            limit: at most so many.
            until: only those that are due by then.
        """
        order = (runs.c.priority, runs.c.due_at, runs.c.id)
        pending = select(runs).where(runs.c.state == literal("pending")).limit(limit)
        if until is not None:
            pending = pending.where(runs.c.due_at <= until)
        # Nobody knows when people release a run: it is in no line.
        later = select(runs).where(runs.c.state == literal("scheduled"), runs.c.hold.is_(None))
        later = later.order_by(runs.c.due_at, runs.c.id)
        if until is not None:
            later = later.where(runs.c.due_at <= until)
        with self._database.reading() as connection:
            found: list[Any] = []
            for executor in _executors(connection):
                mine = pending.where(runs.c.executor == executor).order_by(*order)
                for kind in (runs.c.lane.is_(None), runs.c.lane.is_not(None)):
                    found += connection.execute(mine.where(kind))
            found.sort(key=lambda row: (row.priority, row.due_at, row.id))
            if len(found) < limit:
                found += connection.execute(later.limit(limit - len(found)))
        return [read_run(row._mapping) for row in found[:limit]]

    def ahead_of(self, run: Run, limit: int = 10_000) -> int:
        """Return how many pending runs of its executor come before `run` (at most `limit`)."""
        priority, due_at = run.priority, to_micros(run.due_at)
        before = (
            select(runs.c.id)
            .where(runs.c.state == literal("pending"), runs.c.executor == run.executor)
            .where(
                (runs.c.priority < priority)
                | and_(runs.c.priority == priority, runs.c.due_at < due_at)
                | and_(runs.c.priority == priority, runs.c.due_at == due_at, runs.c.id < run.id)
            )
            .limit(limit)
        )
        with self._database.reading() as connection:
            counts = [
                connection.execute(select(func.count()).select_from(one.subquery())).scalar_one()
                for one in (
                    before.where(runs.c.lane.is_(None)),
                    before.where(runs.c.lane.is_not(None)),
                )
            ]
        return min(int(sum(counts)), limit)

    def counts(self) -> dict[str, int]:
        """Return how many runs stand in each state, counted one by one.

        The cost grows with the table: for checks of a database, not for a page. What has not
        ended is counted by `StoredLoad.active`, and what has by the figures of performance.
        """
        found: dict[str, int] = {}
        with self._database.reading() as connection:
            everything = connection.execute(select(func.count()).select_from(runs)).scalar_one()
            for state in RunState:
                # Most runs have succeeded: they are what is left, and only the others are counted.
                if state is not RunState.SUCCESS:
                    found[state.value] = sum(
                        int(connection.execute(select(func.count()).where(one)).scalar_one())
                        for one in _in_state(state.value)
                    )
        found["success"] = int(everything) - sum(found.values())
        return {state.value: found[state.value] for state in RunState}

    def running_lanes(self) -> dict[str, int]:
        """Return how many runs are running in each lane."""
        query = (
            select(runs.c.lane, func.count())
            .where(runs.c.state == literal("running"), runs.c.lane.is_not(None))
            .group_by(runs.c.lane)
        )
        with self._database.reading() as connection:
            return {row[0]: int(row[1]) for row in connection.execute(query)}

    def rate_used(self, bucket: str, since: int) -> int:
        """Return the units that a rate bucket gave out after `since`."""
        query = select(func.coalesce(func.sum(rate_uses.c.units), 0)).where(
            rate_uses.c.bucket == bucket, rate_uses.c.used_at > since
        )
        with self._database.reading() as connection:
            return int(connection.execute(query).scalar_one())

    def last_ended(self, task: str, state: str) -> Mapping[Any, Any] | None:
        """Return the row of the task's run that ended last in a final state, or None."""
        query = (
            select(runs)
            .where(runs.c.task == task, runs.c.state == state, runs.c.finished_at.is_not(None))
            .order_by(runs.c.finished_at.desc())
            .limit(1)
        )
        with self._database.reading() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else row._mapping

    def running(self, limit: int) -> list[Run]:
        """Return runs that workers have, without their attempts, the newest first."""
        # Ordered by what the small index of those at work holds; by id, all runs would be walked.
        query = select(runs).where(runs.c.state == literal("running")).order_by(runs.c.worker_id)
        with self._database.reading() as connection:
            rows = connection.execute(query.limit(limit)).all()
        return sorted((read_run(row._mapping) for row in rows), key=lambda r: r.id, reverse=True)

    def running_counts(self) -> dict[str, int]:
        """Return how many runs of each task are running."""
        # Counted here: grouped in SQL, the index of all runs by task looks cheaper to SQLite
        # than the small one of those at work.
        query = select(runs.c.task).where(runs.c.state == literal("running"))
        with self._database.reading() as connection:
            tasks = connection.execute(query.order_by(runs.c.worker_id)).scalars()
            return dict(Counter(tasks))

    def cancel(self, run_id: str, reason: str, now: int) -> str:
        """End a waiting run as cancelled, or ask a running one to end.

        Returns:
            The state after the call: "cancelled", or "running" when the worker was asked.

        Raises:
            UnknownRun: there is no such run.
            InvalidTransition: it has already ended.
        """
        with self._database.writing() as connection:
            row = connection.execute(_STANDING.where(runs.c.id == run_id)).one_or_none()
            ended = connection.execute(
                update(runs)
                .where(runs.c.id == run_id, runs.c.state.in_(("scheduled", "pending")))
                .values(state="cancelled", finished_at=now, reason=reason)
            )
            if row is not None and ended.rowcount == 1:
                moved = ("run.cancelled", run_id, row.state, "cancelled", reason)
                self._audit.moved_on(connection, *moved)
                return "cancelled"
            asked = connection.execute(
                update(runs)
                .where(runs.c.id == run_id, runs.c.state == literal("running"))
                .values(
                    cancel_requested_at=func.coalesce(runs.c.cancel_requested_at, now),
                    cancel_reason=func.coalesce(runs.c.cancel_reason, reason),
                )
            )
            if row is not None and asked.rowcount == 1:
                if row.cancel_requested_at is None:
                    asked_of = ("run.cancelled", run_id, "running", "running", reason)
                    self._audit.moved_on(connection, *asked_of)
                return "running"
        if row is None:
            raise UnknownRun(run_id)
        raise InvalidTransition(run_id, row.state, "cancelled")

    def hasten(self, run_id: str, now: int) -> bool:
        """Let a scheduled run be claimed now; returns whether it was scheduled.

        Raises:
            ApprovalRefused: it waits for people, and only they can release it.
        """
        with self._database.writing(news=True) as connection:
            refuse_held(connection, run_id, "hastened")
            due = connection.execute(
                update(runs)
                .where(runs.c.id == run_id, runs.c.state == "scheduled")
                .values(state="pending", due_at=now)
            )
            if due.rowcount == 1:
                self._audit.moved_on(connection, "run.hastened", run_id, "scheduled", "pending")
            return due.rowcount == 1

    def retry(
        self,
        run_id: str,
        max_attempts: int,
        now: int,
        due_at: int | None = None,
        hold: str | None = None,
    ) -> None:
        """Let an ended run, or one that waits for its retry, run again.

        The earlier attempts stay in the ledger; `max_attempts` counts on from them. A run
        that people were asked about waits for them anew.

        Args:
            run_id: which run.
            max_attempts: how many attempts it may have from here.
            now: the desk's time.
            due_at: not before this instant; default now.
            hold: what its task keeps runs back for, as it is declared now.

        Raises:
            UnknownRun: there is no such run.
            InvalidTransition: it is pending or running.
            ApprovalRefused: it waits for people already.
        """
        with self._database.writing(news=True) as connection:
            retry_on(connection, self._audit, run_id, max_attempts, now, due_at, hold)

    def add_logs(
        self, run_id: str, fence: int, pieces: Sequence[tuple[str, str]], now: int
    ) -> None:
        """Append captured output of an attempt that is still running."""
        if not pieces:
            return
        with self._database.writing() as connection:
            first = connection.execute(
                select(func.coalesce(func.max(run_logs.c.seq) + 1, 0)).where(
                    run_logs.c.run_id == run_id, run_logs.c.fence == fence
                )
            ).scalar_one()
            connection.execute(
                run_logs.insert(),
                [
                    {
                        "run_id": run_id,
                        "fence": fence,
                        "seq": first + n,
                        "stream": stream,
                        "text": storable(text),
                        "written_at": now,
                    }
                    for n, (stream, text) in enumerate(pieces)
                ],
            )

    def logs(
        self, run_id: str, after: tuple[int, int] = (0, -1), limit: int | None = None
    ) -> list[dict[str, Any]]:
        """Return captured output in order, from after the (fence, seq) given.

        Args:
            run_id: which run.
            after: the last piece that was read.
            limit: at most so many pieces; None = all.
        """
        fence, seq = after
        query = (
            select(run_logs)
            .where(run_logs.c.run_id == run_id)
            .where(
                (run_logs.c.fence > fence) | and_(run_logs.c.fence == fence, run_logs.c.seq > seq)
            )
            .order_by(run_logs.c.fence, run_logs.c.seq)
            .limit(limit)
        )
        with self._database.reading() as connection:
            found = [dict(row._mapping) for row in connection.execute(query)]
        for row in found:
            row["written_at"] = instant(row["written_at"])
        return found


def _in_state(state: str) -> list[Any]:
    """Return conditions that together find the runs in a state, each once and by an index."""
    mine = runs.c.state == literal(state)
    if state in _RARE:
        # Says to the planner what the partial index needs to hear.
        return [and_(mine, runs.c.state.in_(literals(_RARE)))]
    if state == "scheduled":
        return [and_(mine, runs.c.hold.is_(None)), and_(mine, runs.c.hold.is_not(None))]
    if state == "pending":
        return [and_(mine, runs.c.lane.is_(None)), and_(mine, runs.c.lane.is_not(None))]
    return [mine]


def _executors(connection: Any) -> list[str]:
    """Return the executors that runs are pending for: one seek for each, whatever waits."""
    found: set[str] = set()
    for kind in (runs.c.lane.is_(None), runs.c.lane.is_not(None)):
        name: str | None = ""
        while name is not None:
            query = select(func.min(runs.c.executor)).where(
                runs.c.state == literal("pending"), kind, runs.c.executor > name
            )
            name = connection.execute(query).scalar_one()
            if name is not None:
                found.add(name)
    return sorted(found)
