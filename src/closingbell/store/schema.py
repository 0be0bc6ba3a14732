"""The one schema of both stores; the desk's tables are in `trading_schema`.

Times are microseconds since the Unix epoch in BIGINT columns named `*_at`: the
same SQL then compares them on both databases, and a run's row is read without
parsing dates. JSON travels as text, written by one codec. The checks and unique
keys are the last reviewer: what must not happen cannot be stored.

Longer than 400 lines because the schema of what runs is read in one place.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    literal_column,
    text,
)

# They register the desk's tables and triggers in the metadata.
import closingbell.store.append_only
import closingbell.store.archive_schema
import closingbell.store.audit_schema
import closingbell.store.door_schema
import closingbell.store.trading_schema  # noqa: F401
from closingbell.store.alert_schema import alerts as alerts
from closingbell.store.alert_schema import notifications as notifications
from closingbell.store.metadata import Word, is_one_of
from closingbell.store.metadata import metadata as metadata

#: The Alembic revision that this code reads and writes.
SCHEMA_REVISION = "0001"

# Every claim and every settlement leaves a dead row behind, and the claim walks past those
# at the front of its index until they are vacuumed.
_BUSY: dict[str, float] = {
    "autovacuum_vacuum_scale_factor": 0.02,
    "autovacuum_vacuum_threshold": 5000,
    "autovacuum_vacuum_cost_delay": 0,
    "autovacuum_analyze_scale_factor": 0.05,
}


def literal(value: str) -> Any:
    """Return a value as an SQL literal, as a query must write it to be given a partial index."""
    return literal_column("'" + value.replace("'", "''") + "'")


def literals(values: Sequence[str]) -> list[Any]:
    """Return values as SQL literals; see `literal`."""
    return [literal(value) for value in values]


def _states(*states: str) -> str:
    return is_one_of("state", states)


#: One intended execution. The row also is its latest attempt: what a run did before
#: that one is in `attempts`, so that a run that succeeds at once is one row.
runs = Table(
    "runs",
    metadata,
    Column("id", Word, primary_key=True, nullable=False),
    Column("task", Word, nullable=False),
    Column("state", Word, nullable=False),
    Column("priority", SmallInteger, nullable=False),
    Column("executor", Word, nullable=False),
    Column("lane", Word),
    Column("due_at", BigInteger, nullable=False),
    Column("payload", Text, nullable=False),
    Column("tags", Text, nullable=False),
    Column("key", Word),
    Column("cause", Text, nullable=False),
    Column("schedule_id", Word),
    Column("event_id", Word),
    Column("fire_at", BigInteger),
    Column("session_date", Text),
    Column("max_attempts", Integer, nullable=False),
    Column("timeout_s", Double, nullable=False),
    Column("submitted_at", BigInteger, nullable=False),
    Column("attempt", Integer, nullable=False, server_default="0"),
    Column("fence", BigInteger, nullable=False, server_default="0"),
    Column("lost_count", Integer, nullable=False, server_default="0"),
    Column("worker_id", Word),
    Column("started_at", BigInteger),
    Column("finished_at", BigInteger),
    Column("outcome", Word),
    Column("result", Text),
    Column("error", Text),
    Column("reason", Text),
    Column("cancel_requested_at", BigInteger),
    Column("cancel_reason", Text),
    Column("hold", Word),
    Column("batch_id", Word),
    Column("requested_by", Word),
    Column("trace", Text),
    CheckConstraint(
        _states("scheduled", "pending", "running", "success", "failed", "cancelled", "skipped"),
        name="runs_state_known",
    ),
    CheckConstraint("priority BETWEEN 1 AND 9", name="runs_priority_1_to_9"),
    CheckConstraint("attempt >= 0 AND attempt <= fence", name="runs_attempt_claimed"),
    CheckConstraint("state <> 'running' OR worker_id IS NOT NULL", name="runs_running_is_held"),
    CheckConstraint(
        "(finished_at IS NOT NULL) = (state IN ('success', 'failed', 'cancelled', 'skipped'))",
        name="runs_final_is_finished",
    ),
    CheckConstraint("hold IS NULL OR hold = 'approval'", name="runs_hold_known"),
    # What waits for a person can be neither claimed nor run, whatever a statement forgets.
    CheckConstraint(
        "hold IS NULL OR state IN ('scheduled', 'cancelled')", name="runs_held_does_not_run"
    ),
    postgresql_with=_BUSY,
)

# The conditions are literals: a partial index is chosen when the statement is prepared,
# and what is bound later is not seen.
Index(
    "runs_claim",
    runs.c.executor,
    runs.c.priority,
    runs.c.due_at,
    runs.c.id,
    sqlite_where=text("state = 'pending' AND lane IS NULL"),
    postgresql_where=text("state = 'pending' AND lane IS NULL"),
)
Index(
    "runs_claim_lane",
    runs.c.executor,
    runs.c.lane,
    runs.c.priority,
    runs.c.due_at,
    runs.c.id,
    sqlite_where=text("state = 'pending' AND lane IS NOT NULL"),
    postgresql_where=text("state = 'pending' AND lane IS NOT NULL"),
)
Index(
    "runs_due",
    runs.c.due_at,
    runs.c.id,
    sqlite_where=text("state = 'scheduled' AND hold IS NULL"),
    postgresql_where=text("state = 'scheduled' AND hold IS NULL"),
)
Index(
    "runs_on_hold",
    runs.c.id,
    sqlite_where=text("state = 'scheduled' AND hold IS NOT NULL"),
    postgresql_where=text("state = 'scheduled' AND hold IS NOT NULL"),
)
Index(
    "runs_schedule",
    runs.c.schedule_id,
    runs.c.id,
    sqlite_where=text("schedule_id IS NOT NULL"),
    postgresql_where=text("schedule_id IS NOT NULL"),
)
Index(
    "runs_batch",
    runs.c.batch_id,
    runs.c.state,
    runs.c.id,
    sqlite_where=text("batch_id IS NOT NULL"),
    postgresql_where=text("batch_id IS NOT NULL"),
)
Index(
    "runs_event",
    runs.c.event_id,
    runs.c.id,
    sqlite_where=text("event_id IS NOT NULL"),
    postgresql_where=text("event_id IS NOT NULL"),
)
Index(
    "runs_held",
    runs.c.worker_id,
    sqlite_where=text("state = 'running'"),
    postgresql_where=text("state = 'running'"),
)
Index(
    "runs_running_lane",
    runs.c.lane,
    sqlite_where=text("state = 'running' AND lane IS NOT NULL"),
    postgresql_where=text("state = 'running' AND lane IS NOT NULL"),
)
Index(
    "runs_active_schedule",
    runs.c.schedule_id,
    sqlite_where=text("schedule_id IS NOT NULL AND finished_at IS NULL"),
    postgresql_where=text("schedule_id IS NOT NULL AND finished_at IS NULL"),
)
Index(
    "runs_cancel_requested",
    runs.c.worker_id,
    sqlite_where=text("state = 'running' AND cancel_requested_at IS NOT NULL"),
    postgresql_where=text("state = 'running' AND cancel_requested_at IS NOT NULL"),
)
Index("runs_task", runs.c.task, runs.c.id)
Index(
    "runs_finished",
    runs.c.task,
    runs.c.state,
    runs.c.finished_at,
    sqlite_where=text("finished_at IS NOT NULL"),
    postgresql_where=text("finished_at IS NOT NULL"),
)
Index(
    "runs_not_successful",
    runs.c.state,
    runs.c.id,
    sqlite_where=text("state IN ('failed', 'cancelled', 'skipped')"),
    postgresql_where=text("state IN ('failed', 'cancelled', 'skipped')"),
)
Index(
    "runs_retrying",
    runs.c.id,
    sqlite_where=text("finished_at IS NULL AND error IS NOT NULL"),
    postgresql_where=text("finished_at IS NULL AND error IS NOT NULL"),
)
Index(
    "runs_key",
    runs.c.task,
    runs.c.key,
    unique=True,
    sqlite_where=text("key IS NOT NULL"),
    postgresql_where=text("key IS NOT NULL"),
)

#: Attempts that were followed by another.
attempts = Table(
    "attempts",
    metadata,
    Column("run_id", Word, nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("number", Integer, nullable=False),
    Column("outcome", Word, nullable=False),
    Column("worker_id", Word),
    Column("started_at", BigInteger),
    Column("finished_at", BigInteger),
    Column("error", Text),
    Column("reason", Text),
    PrimaryKeyConstraint("run_id", "fence"),
)

#: Captured stdout, stderr and logging, in order.
run_logs = Table(
    "run_logs",
    metadata,
    Column("run_id", Word, nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("seq", Integer, nullable=False),
    Column("stream", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("written_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("run_id", "fence", "seq"),
)

schedules = Table(
    "schedules",
    metadata,
    Column("id", Word, primary_key=True, nullable=False),
    Column("task", Word, nullable=False),
    Column("definition", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("version", BigInteger, nullable=False, server_default="1"),
    Column("next_fire_at", BigInteger),
    Column("last_fire_at", BigInteger),
    Column("paused_at", BigInteger),
    Column("paused_reason", Text),
    Column("paused_until", BigInteger),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
)
Index(
    "schedules_next",
    schedules.c.next_fire_at,
    sqlite_where=text("next_fire_at IS NOT NULL"),
    postgresql_where=text("next_fire_at IS NOT NULL"),
)

#: Every tick of every schedule, kept longer than the runs that it made.
firings = Table(
    "firings",
    metadata,
    Column("schedule_id", Word, nullable=False),
    Column("fire_at", BigInteger, nullable=False),
    Column("outcome", Word, nullable=False),
    Column("reason", Text),
    Column("run_id", Word),
    Column("count", Integer, nullable=False, server_default="1"),
    Column("until_at", BigInteger),
    Column("noted_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("schedule_id", "fire_at"),
    CheckConstraint("outcome IN ('ran', 'skipped')", name="firings_outcome_known"),
    CheckConstraint("(outcome = 'ran') = (run_id IS NOT NULL)", name="firings_ran_has_run"),
    CheckConstraint("outcome = 'ran' OR reason IS NOT NULL", name="firings_skip_has_reason"),
)

event_triggers = Table(
    "event_triggers",
    metadata,
    Column("id", Word, primary_key=True, nullable=False),
    Column("event_type", Word, nullable=False),
    Column("task", Word, nullable=False),
    Column("condition", Text),
    Column("payload", Text, nullable=False),
    Column("priority", SmallInteger),
    Column("source", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    CheckConstraint("priority BETWEEN 1 AND 9", name="event_triggers_priority_1_to_9"),
)
Index("event_triggers_type", event_triggers.c.event_type)

events = Table(
    "events",
    metadata,
    Column("id", Word, primary_key=True, nullable=False),
    Column("type", Word, nullable=False),
    Column("data", Text, nullable=False),
    Column("happened_at", BigInteger, nullable=False),
    Column("runs", Integer, nullable=False),
)
Index("events_happened", events.c.happened_at, events.c.id)
Index("events_type", events.c.type, events.c.happened_at, events.c.id)

#: Starts under a rate limit; older than every window they are pruned.
rate_uses = Table(
    "rate_uses",
    metadata,
    Column("bucket", Word, nullable=False),
    Column("used_at", BigInteger, nullable=False),
    Column("units", Integer, nullable=False),
    Column("window_us", BigInteger, nullable=False),
    CheckConstraint("units > 0", name="rate_uses_units_positive"),
)
Index("rate_uses_window", rate_uses.c.bucket, rate_uses.c.used_at)

workers = Table(
    "workers",
    metadata,
    Column("id", Word, primary_key=True, nullable=False),
    Column("state", Word, nullable=False),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("about", Text, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
    Column("lease_until", BigInteger, nullable=False),
    Column("stopped_at", BigInteger),
    CheckConstraint(_states("alive", "stopped", "dead"), name="workers_state_known"),
)

#: Retry policies that were set at run time; they lead over the task's own.
retry_policies = Table(
    "retry_policies",
    metadata,
    Column("task", Word, primary_key=True, nullable=False),
    Column("max_retries", Integer, nullable=False),
    Column("backoff_factor", Double, nullable=False),
    Column("initial_delay_s", Double, nullable=False),
    Column("max_delay_s", Double, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    CheckConstraint("max_retries >= 0", name="retry_policies_retries_not_negative"),
)

#: How runs went, as sketches that can be added up: by the minute for each worker, by the hour, by
#: the day and, in the bucket of width 0, since ever.
run_figures = Table(
    "run_figures",
    metadata,
    Column("width_s", Integer, nullable=False),
    Column("task", Word, nullable=False),
    Column("bucket_at", BigInteger, nullable=False),
    Column("worker", Word, nullable=False),
    Column("batch", BigInteger, nullable=False),
    Column("figures", LargeBinary, nullable=False),
    PrimaryKeyConstraint("width_s", "task", "bucket_at", "worker"),
)

#: What a person cleared from the list of failed runs.
dismissals = Table(
    "dismissals",
    metadata,
    Column("run_id", Word, primary_key=True, nullable=False),
    Column("dismissed_at", BigInteger, nullable=False),
)

#: Facts about the store itself, such as its own id.
facts = Table(
    "facts",
    metadata,
    Column("name", Word, primary_key=True, nullable=False),
    Column("value", Text, nullable=False),
)
