"""Retry policies that were set at run time."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select

from closingbell.core.retry import RetryPolicy
from closingbell.store.audit import StoredAudit
from closingbell.store.database import Database
from closingbell.store.insert import put_row
from closingbell.store.schema import retry_policies


class StoredPolicies:
    """What people decided about retries; it leads over what tasks declare."""

    def __init__(self, database: Database, audit: StoredAudit) -> None:
        self._database = database
        self._audit = audit

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
            before = put_row(connection, retry_policies, {"task": task}, values)
            was = {} if before is None else {name: before[name] for name in values}
            # The same policy set again is no act.
            was["updated_at"] = now
            self._audit.changed_on(connection, "retry_policy.set", "task", task, was, values)

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
