"""The first schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_WORD = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make every table and index."""
    op.create_table(
        "alerts",
        sa.Column("id", _WORD, nullable=False),
        sa.Column("type", _WORD, nullable=False),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("task", _WORD, nullable=True),
        sa.Column("run_id", _WORD, nullable=True),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("raised_at", sa.BigInteger(), nullable=False),
        sa.Column("cleared_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("alerts_raised", "alerts", ["cleared_at", "raised_at"], unique=False)
    op.create_table(
        "attempts",
        sa.Column("run_id", _WORD, nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("outcome", _WORD, nullable=False),
        sa.Column("worker_id", _WORD, nullable=True),
        sa.Column("started_at", sa.BigInteger(), nullable=True),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("run_id", "fence"),
    )
    op.create_table(
        "dismissals",
        sa.Column("run_id", _WORD, nullable=False),
        sa.Column("dismissed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("run_id"),
    )
    op.create_table(
        "event_triggers",
        sa.Column("id", _WORD, nullable=False),
        sa.Column("event_type", _WORD, nullable=False),
        sa.Column("task", _WORD, nullable=False),
        sa.Column("condition", sa.Text(), nullable=True),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("priority", sa.SmallInteger(), nullable=True),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("priority BETWEEN 1 AND 9", name="event_triggers_priority_1_to_9"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("event_triggers_type", "event_triggers", ["event_type"], unique=False)
    op.create_table(
        "events",
        sa.Column("id", _WORD, nullable=False),
        sa.Column("type", _WORD, nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("happened_at", sa.BigInteger(), nullable=False),
        sa.Column("runs", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("events_happened", "events", ["happened_at"], unique=False)
    op.create_table(
        "facts",
        sa.Column("name", _WORD, nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "firings",
        sa.Column("schedule_id", _WORD, nullable=False),
        sa.Column("fire_at", sa.BigInteger(), nullable=False),
        sa.Column("outcome", _WORD, nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("run_id", _WORD, nullable=True),
        sa.Column("count", sa.Integer(), server_default="1", nullable=False),
        sa.Column("until_at", sa.BigInteger(), nullable=True),
        sa.Column("noted_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("(outcome = 'ran') = (run_id IS NOT NULL)", name="firings_ran_has_run"),
        sa.CheckConstraint("outcome = 'ran' OR reason IS NOT NULL", name="firings_skip_has_reason"),
        sa.CheckConstraint("outcome IN ('ran', 'skipped')", name="firings_outcome_known"),
        sa.PrimaryKeyConstraint("schedule_id", "fire_at"),
    )
    op.create_table(
        "rate_uses",
        sa.Column("bucket", _WORD, nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=False),
        sa.Column("units", sa.Integer(), nullable=False),
        sa.Column("window_us", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("units > 0", name="rate_uses_units_positive"),
    )
    op.create_index("rate_uses_window", "rate_uses", ["bucket", "used_at"], unique=False)
    op.create_table(
        "retry_policies",
        sa.Column("task", _WORD, nullable=False),
        sa.Column("max_retries", sa.Integer(), nullable=False),
        sa.Column("backoff_factor", sa.Double(), nullable=False),
        sa.Column("initial_delay_s", sa.Double(), nullable=False),
        sa.Column("max_delay_s", sa.Double(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("max_retries >= 0", name="retry_policies_retries_not_negative"),
        sa.PrimaryKeyConstraint("task"),
    )
    op.create_table(
        "run_logs",
        sa.Column("run_id", _WORD, nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("stream", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("written_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "fence", "seq"),
    )
    op.create_table(
        "runs",
        sa.Column("id", _WORD, nullable=False),
        sa.Column("task", _WORD, nullable=False),
        sa.Column("state", _WORD, nullable=False),
        sa.Column("priority", sa.SmallInteger(), nullable=False),
        sa.Column("executor", _WORD, nullable=False),
        sa.Column("lane", _WORD, nullable=True),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("tags", sa.Text(), nullable=False),
        sa.Column("key", _WORD, nullable=True),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("schedule_id", _WORD, nullable=True),
        sa.Column("event_id", _WORD, nullable=True),
        sa.Column("fire_at", sa.BigInteger(), nullable=True),
        sa.Column("session_date", sa.Text(), nullable=True),
        sa.Column("max_attempts", sa.Integer(), nullable=False),
        sa.Column("timeout_s", sa.Double(), nullable=False),
        sa.Column("submitted_at", sa.BigInteger(), nullable=False),
        sa.Column("attempt", sa.Integer(), server_default="0", nullable=False),
        sa.Column("fence", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("lost_count", sa.Integer(), server_default="0", nullable=False),
        sa.Column("worker_id", _WORD, nullable=True),
        sa.Column("started_at", sa.BigInteger(), nullable=True),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.Column("outcome", _WORD, nullable=True),
        sa.Column("result", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("cancel_requested_at", sa.BigInteger(), nullable=True),
        sa.Column("cancel_reason", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "(finished_at IS NOT NULL) = (state IN ('success', 'failed', 'cancelled', 'skipped'))",
            name="runs_final_is_finished",
        ),
        sa.CheckConstraint(
            "state <> 'running' OR worker_id IS NOT NULL", name="runs_running_is_held"
        ),
        sa.CheckConstraint(
            "state IN ('scheduled', 'pending', 'running', 'success', 'failed', 'cancelled', 'skipped')",
            name="runs_state_known",
        ),
        sa.CheckConstraint("attempt >= 0 AND attempt <= fence", name="runs_attempt_claimed"),
        sa.CheckConstraint("priority BETWEEN 1 AND 9", name="runs_priority_1_to_9"),
        sa.PrimaryKeyConstraint("id"),
        postgresql_with={
            "autovacuum_vacuum_scale_factor": 0.02,
            "autovacuum_vacuum_threshold": 5000,
            "autovacuum_vacuum_cost_delay": 0,
            "autovacuum_analyze_scale_factor": 0.05,
        },
    )
    op.create_index(
        "runs_active_schedule",
        "runs",
        ["schedule_id"],
        unique=False,
        sqlite_where=sa.text("schedule_id IS NOT NULL AND finished_at IS NULL"),
        postgresql_where=sa.text("schedule_id IS NOT NULL AND finished_at IS NULL"),
    )
    op.create_index(
        "runs_cancel_requested",
        "runs",
        ["worker_id"],
        unique=False,
        sqlite_where=sa.text("state = 'running' AND cancel_requested_at IS NOT NULL"),
        postgresql_where=sa.text("state = 'running' AND cancel_requested_at IS NOT NULL"),
    )
    op.create_index(
        "runs_claim",
        "runs",
        ["executor", "priority", "due_at", "id"],
        unique=False,
        sqlite_where=sa.text("state = 'pending' AND lane IS NULL"),
        postgresql_where=sa.text("state = 'pending' AND lane IS NULL"),
    )
    op.create_index(
        "runs_claim_lane",
        "runs",
        ["executor", "lane", "priority", "due_at", "id"],
        unique=False,
        sqlite_where=sa.text("state = 'pending' AND lane IS NOT NULL"),
        postgresql_where=sa.text("state = 'pending' AND lane IS NOT NULL"),
    )
    op.create_index(
        "runs_due",
        "runs",
        ["due_at", "id"],
        unique=False,
        sqlite_where=sa.text("state = 'scheduled'"),
        postgresql_where=sa.text("state = 'scheduled'"),
    )
    op.create_index(
        "runs_finished",
        "runs",
        ["task", "finished_at"],
        unique=False,
        sqlite_where=sa.text("finished_at IS NOT NULL"),
        postgresql_where=sa.text("finished_at IS NOT NULL"),
    )
    op.create_index(
        "runs_held",
        "runs",
        ["worker_id"],
        unique=False,
        sqlite_where=sa.text("state = 'running'"),
        postgresql_where=sa.text("state = 'running'"),
    )
    op.create_index(
        "runs_key",
        "runs",
        ["task", "key"],
        unique=True,
        sqlite_where=sa.text("key IS NOT NULL"),
        postgresql_where=sa.text("key IS NOT NULL"),
    )
    op.create_index(
        "runs_not_successful",
        "runs",
        ["state", "id"],
        unique=False,
        sqlite_where=sa.text("state IN ('failed', 'cancelled', 'skipped')"),
        postgresql_where=sa.text("state IN ('failed', 'cancelled', 'skipped')"),
    )
    op.create_index(
        "runs_retrying",
        "runs",
        ["id"],
        unique=False,
        sqlite_where=sa.text("finished_at IS NULL AND error IS NOT NULL"),
        postgresql_where=sa.text("finished_at IS NULL AND error IS NOT NULL"),
    )
    op.create_index(
        "runs_running_lane",
        "runs",
        ["lane"],
        unique=False,
        sqlite_where=sa.text("state = 'running' AND lane IS NOT NULL"),
        postgresql_where=sa.text("state = 'running' AND lane IS NOT NULL"),
    )
    op.create_index("runs_task", "runs", ["task", "id"], unique=False)
    op.create_table(
        "schedules",
        sa.Column("id", _WORD, nullable=False),
        sa.Column("task", _WORD, nullable=False),
        sa.Column("definition", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), server_default="1", nullable=False),
        sa.Column("next_fire_at", sa.BigInteger(), nullable=True),
        sa.Column("last_fire_at", sa.BigInteger(), nullable=True),
        sa.Column("paused_at", sa.BigInteger(), nullable=True),
        sa.Column("paused_reason", sa.Text(), nullable=True),
        sa.Column("paused_until", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "schedules_next",
        "schedules",
        ["next_fire_at"],
        unique=False,
        sqlite_where=sa.text("next_fire_at IS NOT NULL"),
        postgresql_where=sa.text("next_fire_at IS NOT NULL"),
    )
    op.create_table(
        "workers",
        sa.Column("id", _WORD, nullable=False),
        sa.Column("state", _WORD, nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("about", sa.Text(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.Column("lease_until", sa.BigInteger(), nullable=False),
        sa.Column("stopped_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("state IN ('alive', 'stopped', 'dead')", name="workers_state_known"),
        sa.PrimaryKeyConstraint("id"),
    )
