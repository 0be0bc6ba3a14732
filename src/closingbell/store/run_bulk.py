"""Bulk acts on runs: in short transactions, so that claims and settlements go on between them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, func, select, update

from closingbell.core.bulk import Refused
from closingbell.core.error import (
    ClosingbellError,
    InvalidTransition,
    StoreUnavailable,
    UnknownRun,
    UnknownTask,
)
from closingbell.core.run_filter import RunFilter
from closingbell.store.audit import StoredAudit
from closingbell.store.codec import storable
from closingbell.store.database import Database
from closingbell.store.retrial import retry_on
from closingbell.store.run_pages import StoredRunPages
from closingbell.store.schema import literal, runs

#: Runs that one transaction touches.
CANCEL_CHUNK, RETRY_CHUNK = 500, 50
#: Ids that are read at once.
_PAGE = 5_000
#: Of the runs that a bulk act means, so many are named in the audit ledger.
_NAMED = 20
_TRIES = 3


class Again(NamedTuple):
    """How the runs of a task are tried again.

    Attributes:
        attempts: how many each may have from here.
        hold: what the task keeps runs back for, or None.
    """

    attempts: int
    hold: str | None


class Chunk(NamedTuple):
    """What one transaction did.

    Attributes:
        done: ids of runs that ended, or that wait to be claimed.
        asked: ids of running ones whose workers are to end them.
        refused: those that were left as they are.
    """

    done: list[str]
    asked: list[str]
    refused: list[Refused]


class StoredBulk:
    """One act on many runs."""

    def __init__(self, database: Database, audit: StoredAudit, pages: StoredRunPages) -> None:
        self._database = database
        self._audit = audit
        self._pages = pages

    def meant(self, wanted: RunFilter, most: int) -> tuple[list[str], bool]:
        """Return ids of the runs that are meant, the newest first, and whether there are more."""
        found: list[str] = []
        after: str | None = None
        while len(found) <= most:
            page = self._pages.ids(wanted, after, min(_PAGE, most + 1 - len(found)))
            found += page.ids
            after = page.next
            if after is None:
                break
        return found[:most], len(found) > most

    def note(
        self, act: str, act_id: str, run_ids: Sequence[str], filter_text: str, reason: str | None
    ) -> None:
        """Record what is about to be done: once, before the first run is touched.

        Args:
            act: "runs.cancelled" or "runs.retried".
            act_id: of this act.
            run_ids: of all runs that are meant.
            filter_text: what was asked for.
            reason: why.
        """
        told = {"filter": filter_text, "runs": len(run_ids), "first": list(run_ids[:_NAMED])}
        self._audit.append(act, "runs", act_id, after=told, reason=reason)

    def cancel(self, run_ids: Sequence[str], reason: str, now: int) -> Iterator[Chunk]:
        """End waiting runs as cancelled and ask running ones to end, a transaction at a time."""

        def act(connection: Connection, chunk: Sequence[str]) -> Chunk:
            return _cancel(connection, chunk, storable(reason), now)

        return self._in_chunks(run_ids, CANCEL_CHUNK, act)

    def retry(
        self, run_ids: Sequence[str], again: Mapping[str, Again], now: int
    ) -> Iterator[Chunk]:
        """Let runs run again, a transaction at a time.

        Args:
            run_ids: which.
            again: how, by task; runs of others are refused.
            now: the desk's time.
        """

        def act(connection: Connection, chunk: Sequence[str]) -> Chunk:
            return _retry(connection, chunk, again, now)

        return self._in_chunks(run_ids, RETRY_CHUNK, act)

    def _in_chunks(
        self,
        run_ids: Sequence[str],
        size: int,
        act: Callable[[Connection, Sequence[str]], Chunk],
    ) -> Iterator[Chunk]:
        for start in range(0, len(run_ids), size):
            for again in reversed(range(_TRIES)):
                try:
                    with self._database.writing(news=True) as connection:
                        done = act(connection, run_ids[start : start + size])
                    break
                except StoreUnavailable:
                    # On PostgreSQL one of two that hold what the other wants must begin anew.
                    if not again:
                        raise
            yield done


def _cancel(connection: Connection, chunk: Sequence[str], reason: str, now: int) -> Chunk:
    mine = runs.c.id.in_(chunk)
    waiting = (
        update(runs)
        .where(mine, runs.c.state.in_(("scheduled", "pending")))
        .values(state="cancelled", finished_at=now, reason=reason)
        .returning(runs.c.id)
    )
    running = (
        update(runs)
        .where(mine, runs.c.state == literal("running"))
        .values(
            cancel_requested_at=func.coalesce(runs.c.cancel_requested_at, now),
            cancel_reason=func.coalesce(runs.c.cancel_reason, reason),
        )
        .returning(runs.c.id)
    )
    done = list(connection.execute(waiting).scalars())
    asked = list(connection.execute(running).scalars())
    rest = sorted(set(chunk) - set(done) - set(asked), reverse=True)
    states = _read(connection, rest, runs.c.state)
    refused: list[Refused] = []
    for run_id in rest:
        state = states.get(run_id)
        problem = (
            UnknownRun(run_id) if state is None else InvalidTransition(run_id, state, "cancelled")
        )
        refused.append(Refused(run_id, problem.code, str(problem)))
    return Chunk(done, asked, refused)


def _retry(
    connection: Connection, chunk: Sequence[str], again: Mapping[str, Again], now: int
) -> Chunk:
    tasks = _read(connection, chunk, runs.c.task)
    done: list[str] = []
    refused: list[Refused] = []
    for run_id in chunk:
        task = tasks.get(run_id)
        try:
            if task is None:
                raise UnknownRun(run_id)
            if task not in again:
                raise UnknownTask(task, again)
            # What it refuses it refuses before it writes.
            retry_on(connection, None, run_id, again[task].attempts, now, None, again[task].hold)
            done.append(run_id)
        except ClosingbellError as problem:
            refused.append(Refused(run_id, problem.code, str(problem)))
    return Chunk(done, [], refused)


def _read(connection: Connection, run_ids: Sequence[str], column: Any) -> dict[str, str]:
    if not run_ids:
        return {}
    rows = connection.execute(select(runs.c.id, column).where(runs.c.id.in_(run_ids)))
    return {row[0]: row[1] for row in rows}
