"""Runs that failed: those that are tried again, and those that are not."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, func, select

from closingbell.store.audit import StoredAudit
from closingbell.store.codec import from_json, instant
from closingbell.store.database import Database
from closingbell.store.insert import upsert
from closingbell.store.schema import attempts, dismissals, literal, literals, runs


class StoredFailures:
    """The list of failures, until somebody dismisses them."""

    def __init__(self, database: Database, audit: StoredAudit) -> None:
        self._database = database
        self._audit = audit

    def open(self, run_id: str | None = None, limit: int = 1_000) -> list[dict[str, Any]]:
        """Return failed runs and runs that wait for a retry, the newest first.

        Args:
            run_id: only this one.
            limit: at most so many of each kind.

        Returns:
            Dicts with `id`, `task`, `state`, `priority`, `attempt`, `failed_at` (aware), `seconds`
            (how long the attempt ran that ended the run; None while it is tried again) and
            `error` (a dict).
        """
        failed = _failures(runs.c.finished_at, run_id, limit).where(
            runs.c.state == literal("failed"),
            # Says to the planner what the partial index needs to hear.
            runs.c.state.in_(literals(("failed", "cancelled", "skipped"))),
        )
        last_failure = (
            select(func.max(attempts.c.finished_at))
            .where(attempts.c.run_id == runs.c.id)
            # Named, because it also stands one level deeper, where it would count all runs.
            .correlate(runs)
            .scalar_subquery()
        )
        retrying = _failures(last_failure, run_id, limit).where(
            runs.c.finished_at.is_(None), runs.c.error.is_not(None)
        )
        with self._database.reading() as connection:
            rows = [
                dict(row._mapping)
                for query in (failed, retrying)
                for row in connection.execute(query)
            ]
        for row in rows:
            row["error"] = from_json(row["error"]) or {}
            row["failed_at"] = instant(row["failed_at"])
            started_at, finished_at = row.pop("started_at"), row.pop("finished_at")
            ended = None not in (started_at, finished_at)
            row["seconds"] = (finished_at - started_at) / 1_000_000 if ended else None
        return rows

    def dismiss(self, run_id: str, now: int) -> bool:
        """Take a run off the list until it fails again; returns whether it was on it."""
        if not self.open(run_id):
            return False
        with self._database.writing() as connection:
            upsert(connection, dismissals, {"run_id": run_id}, {"dismissed_at": now})
            self._audit.append_on(connection, "failure.dismissed", "run", run_id)
        return True


def _failures(failed_at: Any, run_id: str | None, limit: int) -> Select[Any]:
    hidden = (
        select(dismissals.c.run_id)
        .where(dismissals.c.run_id == runs.c.id, dismissals.c.dismissed_at >= failed_at)
        .exists()
    )
    query = (
        select(
            runs.c.id,
            runs.c.task,
            runs.c.state,
            runs.c.priority,
            runs.c.attempt,
            runs.c.started_at,
            runs.c.finished_at,
            runs.c.error,
            failed_at.label("failed_at"),
        )
        .where(~hidden)
        .order_by(runs.c.id.desc())
        .limit(limit)
    )
    return query if run_id is None else query.where(runs.c.id == run_id)
