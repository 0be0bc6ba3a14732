"""Retry policies that were set at run time, and dismissed failures."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import delete, insert, select, update

from closingbell.core.retry import RetryPolicy
from closingbell.store.database import Database
from closingbell.store.schema import dismissals, retry_policies


class StoredPolicies:
    """What people decided about retries; it leads over what tasks declare."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, task: str, policy: RetryPolicy, now: int) -> None:
        """Store a task's retry policy, or change it."""
        values = {
            "max_retries": policy.retries,
            "backoff_factor": policy.backoff_factor,
            "initial_delay_s": policy.initial_delay.total_seconds(),
            "max_delay_s": policy.max_delay.total_seconds(),
            "updated_at": now,
        }
        with self._database.writing() as connection:
            changed = connection.execute(
                update(retry_policies).where(retry_policies.c.task == task).values(**values)
            ).rowcount
            if not changed:
                connection.execute(insert(retry_policies).values(task=task, **values))

    def all(self) -> dict[str, RetryPolicy]:
        """Return the stored policies by task; their delays are exact, without jitter."""
        with self._database.reading() as connection:
            return {
                row.task: RetryPolicy(
                    retries=row.max_retries,
                    backoff_factor=row.backoff_factor,
                    initial_delay=timedelta(seconds=row.initial_delay_s),
                    max_delay=timedelta(seconds=row.max_delay_s),
                    jitter=False,
                )
                for row in connection.execute(select(retry_policies))
            }

    def dismiss(self, run_id: str, now: int) -> bool:
        """Take a failed run off the list of failures; returns whether it was on it."""
        with self._database.writing() as connection:
            known = select(dismissals.c.run_id).where(dismissals.c.run_id == run_id)
            if connection.execute(known).first() is not None:
                return False
            connection.execute(insert(dismissals).values(run_id=run_id, dismissed_at=now))
            return True

    def dismissed(self) -> set[str]:
        """Return the ids of dismissed runs."""
        with self._database.reading() as connection:
            return set(connection.execute(select(dismissals.c.run_id)).scalars())

    def undismiss(self, run_id: str) -> None:
        """Put a run back on the list, as when it fails again."""
        with self._database.writing() as connection:
            connection.execute(delete(dismissals).where(dismissals.c.run_id == run_id))
