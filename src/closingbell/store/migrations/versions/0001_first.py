"""The first schema.

Longer than 400 lines because a revision is one whole, and frozen.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_WORD = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def _decimals(table: str, *columns: str) -> list[sa.CheckConstraint]:
    form = (
        "ltrim({0}, '-.0123456789') = '' AND {0} NOT IN ('', '-') AND {0} NOT LIKE '_%-%'"
        " AND {0} NOT LIKE '.%' AND {0} NOT LIKE '-.%' AND {0} NOT LIKE '%.%.%'"
        " AND {0} NOT LIKE '%.'"
    )
    return [
        sa.CheckConstraint(form.format(name), name=f"{table}_{name}_is_decimal") for name in columns
    ]


_SQLITE_GUARDS = (
    "CREATE TRIGGER desk_accounts_advance BEFORE UPDATE ON desk_accounts WHEN NEW.version <> OLD.version + 1 OR NEW.seq < OLD.seq BEGIN SELECT RAISE(ABORT, 'each change of an account raises its version by one'); END",
    "CREATE TRIGGER desk_accounts_stay BEFORE UPDATE OF name, currency, initial, broker, opened_at ON desk_accounts BEGIN SELECT RAISE(ABORT, 'an account keeps its name, currency and broker'); END",
    "CREATE TRIGGER desk_orders_stay BEFORE UPDATE OF id, account, symbol, side, type, time_in_force, created_at, effective_at, run_id, fence, ordinal, task, priority ON desk_orders BEGIN SELECT RAISE(ABORT, 'what was ordered never changes'); END",
    "CREATE TRIGGER desk_orders_remain BEFORE DELETE ON desk_orders BEGIN SELECT RAISE(ABORT, 'orders are never deleted'); END",
    "CREATE TRIGGER desk_orders_end BEFORE UPDATE OF state ON desk_orders WHEN OLD.state NOT IN ('new', 'open') AND NEW.state IN ('new', 'open') BEGIN SELECT RAISE(ABORT, 'an order that ended never works again'); END",
    "CREATE TRIGGER desk_order_history_follow BEFORE INSERT ON desk_order_history WHEN NEW.seq <> (SELECT coalesce(max(seq), 0) FROM desk_order_history WHERE order_id = NEW.order_id) + 1 BEGIN SELECT RAISE(ABORT, 'the lines of an order are numbered 1, 2, 3 without gaps'); END",
    "CREATE TRIGGER desk_order_history_stay BEFORE UPDATE ON desk_order_history BEGIN SELECT RAISE(ABORT, 'lines are added to desk_order_history, and never changed or deleted'); END",
    "CREATE TRIGGER desk_order_history_remain BEFORE DELETE ON desk_order_history BEGIN SELECT RAISE(ABORT, 'lines are added to desk_order_history, and never changed or deleted'); END",
    "CREATE TRIGGER desk_entries_follow BEFORE INSERT ON desk_entries WHEN NEW.seq <> (SELECT coalesce(max(seq), 0) FROM desk_entries WHERE account = NEW.account) + 1 BEGIN SELECT RAISE(ABORT, 'the entries of an account are numbered 1, 2, 3 without gaps'); END",
    "CREATE TRIGGER desk_entries_stay BEFORE UPDATE OF account, seq, kind, happened_at, currency, amount, fee, symbol, quantity, price, order_id, run_id, task, external_id, note ON desk_entries BEGIN SELECT RAISE(ABORT, 'lines are added to desk_entries, and never changed or deleted'); END",
    "CREATE TRIGGER desk_entries_remain BEFORE DELETE ON desk_entries BEGIN SELECT RAISE(ABORT, 'lines are added to desk_entries, and never changed or deleted'); END",
    "CREATE TRIGGER audit_records_follow BEFORE INSERT ON audit_records WHEN NEW.seq <= (SELECT coalesce(max(seq), 0) FROM audit_records) BEGIN SELECT RAISE(ABORT, 'an audit record stands after all the others'); END",
    "CREATE TRIGGER audit_records_stay BEFORE UPDATE ON audit_records BEGIN SELECT RAISE(ABORT, 'lines are added to audit_records, and never changed or deleted'); END",
    "CREATE TRIGGER audit_records_remain BEFORE DELETE ON audit_records BEGIN SELECT RAISE(ABORT, 'lines are added to audit_records, and never changed or deleted'); END",
)

_POSTGRES_GUARDS = (
    """CREATE FUNCTION closingbell_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION USING ERRCODE = 'restrict_violation', MESSAGE = TG_ARGV[0];
END $$""",
    """CREATE FUNCTION closingbell_last_desk_entries(owner text) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
  RETURN (SELECT coalesce(max(seq), 0) FROM desk_entries WHERE account = owner);
END $$""",
    """CREATE FUNCTION closingbell_last_desk_order_history(owner text) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
  RETURN (SELECT coalesce(max(seq), 0) FROM desk_order_history WHERE order_id = owner);
END $$""",
    """CREATE FUNCTION closingbell_last_audit_records() RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
  RETURN (SELECT coalesce(max(seq), 0) FROM audit_records);
END $$""",
    "CREATE TRIGGER desk_accounts_advance BEFORE UPDATE ON desk_accounts FOR EACH ROW WHEN (NEW.version <> OLD.version + 1 OR NEW.seq < OLD.seq) EXECUTE FUNCTION closingbell_refuse('each change of an account raises its version by one')",
    "CREATE TRIGGER desk_accounts_stay BEFORE UPDATE OF name, currency, initial, broker, opened_at ON desk_accounts FOR EACH ROW EXECUTE FUNCTION closingbell_refuse('an account keeps its name, currency and broker')",
    "CREATE TRIGGER desk_orders_stay BEFORE UPDATE OF id, account, symbol, side, type, time_in_force, created_at, effective_at, run_id, fence, ordinal, task, priority ON desk_orders FOR EACH ROW EXECUTE FUNCTION closingbell_refuse('what was ordered never changes')",
    "CREATE TRIGGER desk_orders_remain BEFORE DELETE ON desk_orders FOR EACH ROW EXECUTE FUNCTION closingbell_refuse('orders are never deleted')",
    "CREATE TRIGGER desk_orders_end BEFORE UPDATE OF state ON desk_orders FOR EACH ROW WHEN (OLD.state NOT IN ('new', 'open') AND NEW.state IN ('new', 'open')) EXECUTE FUNCTION closingbell_refuse('an order that ended never works again')",
    "CREATE TRIGGER desk_order_history_follow BEFORE INSERT ON desk_order_history FOR EACH ROW WHEN (NEW.seq <> closingbell_last_desk_order_history(NEW.order_id) + 1) EXECUTE FUNCTION closingbell_refuse('the lines of an order are numbered 1, 2, 3 without gaps')",
    "CREATE TRIGGER desk_order_history_stay BEFORE UPDATE ON desk_order_history FOR EACH ROW EXECUTE FUNCTION closingbell_refuse('lines are added to desk_order_history, and never changed or deleted')",
    "CREATE TRIGGER desk_order_history_remain BEFORE DELETE ON desk_order_history FOR EACH ROW EXECUTE FUNCTION closingbell_refuse('lines are added to desk_order_history, and never changed or deleted')",
    "CREATE TRIGGER desk_entries_follow BEFORE INSERT ON desk_entries FOR EACH ROW WHEN (NEW.seq <> closingbell_last_desk_entries(NEW.account) + 1) EXECUTE FUNCTION closingbell_refuse('the entries of an account are numbered 1, 2, 3 without gaps')",
    "CREATE TRIGGER desk_entries_stay BEFORE UPDATE OF account, seq, kind, happened_at, currency, amount, fee, symbol, quantity, price, order_id, run_id, task, external_id, note ON desk_entries FOR EACH ROW EXECUTE FUNCTION closingbell_refuse('lines are added to desk_entries, and never changed or deleted')",
    "CREATE TRIGGER desk_entries_remain BEFORE DELETE ON desk_entries FOR EACH ROW EXECUTE FUNCTION closingbell_refuse('lines are added to desk_entries, and never changed or deleted')",
    "CREATE TRIGGER audit_records_follow BEFORE INSERT ON audit_records FOR EACH ROW WHEN (NEW.seq <= closingbell_last_audit_records()) EXECUTE FUNCTION closingbell_refuse('an audit record stands after all the others')",
    "CREATE TRIGGER audit_records_stay BEFORE UPDATE ON audit_records FOR EACH ROW EXECUTE FUNCTION closingbell_refuse('lines are added to audit_records, and never changed or deleted')",
    "CREATE TRIGGER audit_records_remain BEFORE DELETE ON audit_records FOR EACH ROW EXECUTE FUNCTION closingbell_refuse('lines are added to audit_records, and never changed or deleted')",
)


def upgrade() -> None:
    """Make every table, index and trigger."""
    _make_audit()
    _make_desk()
    op.create_table(
        "alert_rules",
        sa.Column("id", _WORD, nullable=False),
        sa.Column("kind", _WORD, nullable=False),
        sa.Column("definition", sa.Text(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("source", _WORD, nullable=False),
        sa.Column("version", sa.BigInteger(), server_default="1", nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("source IN ('code', 'api', 'default')", name="alert_rules_source_known"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "alerts",
        sa.Column("id", _WORD, nullable=False),
        sa.Column("type", _WORD, nullable=False),
        sa.Column("severity", _WORD, nullable=False),
        sa.Column("subject", _WORD, nullable=False),
        sa.Column("rule_id", _WORD, nullable=True),
        sa.Column("task", _WORD, nullable=True),
        sa.Column("run_id", _WORD, nullable=True),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("count", sa.Integer(), server_default="1", nullable=False),
        sa.Column("note", _WORD, nullable=False),
        sa.Column("raised_at", sa.BigInteger(), nullable=False),
        sa.Column("last_at", sa.BigInteger(), nullable=False),
        sa.Column("routed_at", sa.BigInteger(), nullable=True),
        sa.Column("next_step_at", sa.BigInteger(), nullable=True),
        sa.Column("acknowledged_at", sa.BigInteger(), nullable=True),
        sa.Column("acknowledged_by", _WORD, nullable=True),
        sa.Column("cleared_at", sa.BigInteger(), nullable=True),
        sa.Column("cleared_by", _WORD, nullable=True),
        sa.CheckConstraint(
            "severity IN ('INFO', 'WARNING', 'ERROR', 'CRITICAL')", name="alerts_severity_known"
        ),
        sa.CheckConstraint(
            "(acknowledged_at IS NULL) = (acknowledged_by IS NULL)",
            name="alerts_acknowledged_by_whom",
        ),
        sa.CheckConstraint(
            "(cleared_at IS NULL) = (cleared_by IS NULL)", name="alerts_cleared_by_whom"
        ),
        sa.CheckConstraint("count >= 1", name="alerts_count_positive"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("alerts_newest", "alerts", ["raised_at", "id"], unique=False)
    op.create_index(
        "alerts_next_step",
        "alerts",
        ["next_step_at"],
        unique=False,
        sqlite_where=sa.text("next_step_at IS NOT NULL"),
        postgresql_where=sa.text("next_step_at IS NOT NULL"),
    )
    op.create_index(
        "alerts_open_subject",
        "alerts",
        ["subject"],
        unique=True,
        sqlite_where=sa.text("cleared_at IS NULL"),
        postgresql_where=sa.text("cleared_at IS NULL"),
    )
    op.create_index("alerts_raised", "alerts", ["cleared_at", "raised_at"], unique=False)
    op.create_index("alerts_subject", "alerts", ["subject", "raised_at"], unique=False)
    op.create_index(
        "alerts_unrouted",
        "alerts",
        ["id"],
        unique=False,
        sqlite_where=sa.text("routed_at IS NULL"),
        postgresql_where=sa.text("routed_at IS NULL"),
    )
    op.create_table(
        "api_tokens",
        sa.Column("id", _WORD, nullable=False),
        sa.Column("name", _WORD, nullable=False),
        sa.Column("owner", _WORD, nullable=True),
        sa.Column("role", _WORD, nullable=False),
        sa.Column("hash", _WORD, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", _WORD, nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("last_used_at", sa.BigInteger(), nullable=True),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.Column("revoked_by", _WORD, nullable=True),
        sa.CheckConstraint("role IN ('viewer', 'operator', 'admin')", name="api_tokens_role_known"),
        sa.CheckConstraint(
            "(revoked_at IS NULL) = (revoked_by IS NULL)", name="api_tokens_revoked_by"
        ),
        sa.CheckConstraint("length(hash) = 64", name="api_tokens_hash_whole"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("hash"),
    )
    op.create_table(
        "archives",
        sa.Column("file", _WORD, nullable=False),
        sa.Column("kind", _WORD, nullable=False),
        sa.Column("month", _WORD, nullable=False),
        sa.Column("state", _WORD, nullable=False),
        sa.Column("rows", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("bytes", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("sha256", _WORD, nullable=True),
        sa.Column("first_at", sa.BigInteger(), nullable=True),
        sa.Column("last_at", sa.BigInteger(), nullable=True),
        sa.Column("last_seq", sa.BigInteger(), nullable=True),
        sa.Column("begun_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "kind IN ('runs', 'events', 'firings', 'alerts', 'notifications', 'audit')",
            name="archives_kind_known",
        ),
        sa.CheckConstraint("state IN ('begun', 'written', 'done')", name="archives_state_known"),
        sa.CheckConstraint(
            "state = 'begun' OR sha256 IS NOT NULL", name="archives_written_has_its_sum"
        ),
        sa.PrimaryKeyConstraint("file"),
    )
    op.create_index("archives_month", "archives", ["kind", "month", "file"], unique=False)
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
    op.create_index("events_happened", "events", ["happened_at", "id"], unique=False)
    op.create_index("events_type", "events", ["type", "happened_at", "id"], unique=False)
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
        "run_figures",
        sa.Column("width_s", sa.Integer(), nullable=False),
        sa.Column("task", _WORD, nullable=False),
        sa.Column("bucket_at", sa.BigInteger(), nullable=False),
        sa.Column("worker", _WORD, nullable=False),
        sa.Column("batch", sa.BigInteger(), nullable=False),
        sa.Column("figures", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("width_s", "task", "bucket_at", "worker"),
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
        sa.Column("hold", _WORD, nullable=True),
        sa.Column("batch_id", _WORD, nullable=True),
        sa.Column("requested_by", _WORD, nullable=True),
        sa.Column("trace", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "(finished_at IS NOT NULL) = (state IN ('success', 'failed', 'cancelled', 'skipped'))",
            name="runs_final_is_finished",
        ),
        sa.CheckConstraint("hold IS NULL OR hold = 'approval'", name="runs_hold_known"),
        sa.CheckConstraint(
            "hold IS NULL OR state IN ('scheduled', 'cancelled')", name="runs_held_does_not_run"
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
        "runs_batch",
        "runs",
        ["batch_id", "state", "id"],
        unique=False,
        sqlite_where=sa.text("batch_id IS NOT NULL"),
        postgresql_where=sa.text("batch_id IS NOT NULL"),
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
        sqlite_where=sa.text("state = 'scheduled' AND hold IS NULL"),
        postgresql_where=sa.text("state = 'scheduled' AND hold IS NULL"),
    )
    op.create_index(
        "runs_event",
        "runs",
        ["event_id", "id"],
        unique=False,
        sqlite_where=sa.text("event_id IS NOT NULL"),
        postgresql_where=sa.text("event_id IS NOT NULL"),
    )
    op.create_index(
        "runs_finished",
        "runs",
        ["task", "state", "finished_at"],
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
        "runs_on_hold",
        "runs",
        ["id"],
        unique=False,
        sqlite_where=sa.text("state = 'scheduled' AND hold IS NOT NULL"),
        postgresql_where=sa.text("state = 'scheduled' AND hold IS NOT NULL"),
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
    op.create_index(
        "runs_schedule",
        "runs",
        ["schedule_id", "id"],
        unique=False,
        sqlite_where=sa.text("schedule_id IS NOT NULL"),
        postgresql_where=sa.text("schedule_id IS NOT NULL"),
    )
    op.create_index("runs_task", "runs", ["task", "id"], unique=False)
    op.create_table(
        "approvals",
        sa.Column("run_id", _WORD, nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("person", _WORD, nullable=False),
        sa.Column("verdict", _WORD, nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("decided_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "verdict <> 'rejected' OR reason IS NOT NULL", name="approvals_rejection_has_reason"
        ),
        sa.CheckConstraint(
            "verdict IN ('requested', 'approved', 'rejected')", name="approvals_verdict_known"
        ),
        sa.PrimaryKeyConstraint("run_id", "fence", "person"),
    )
    op.create_table(
        "batches",
        sa.Column("id", _WORD, nullable=False),
        sa.Column("task", _WORD, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("requested_by", _WORD, nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("size >= 1", name="batches_not_empty"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("principal", _WORD, nullable=False),
        sa.Column("key", _WORD, nullable=False),
        sa.Column("request_hash", _WORD, nullable=False),
        sa.Column("claimed_until", sa.BigInteger(), nullable=True),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("headers", sa.Text(), nullable=True),
        sa.Column("body", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "(claimed_until IS NULL) = (status IS NOT NULL)", name="idempotency_keys_answered"
        ),
        sa.PrimaryKeyConstraint("principal", "key"),
    )
    op.create_index("idempotency_keys_created", "idempotency_keys", ["created_at"], unique=False)
    op.create_table(
        "notifications",
        sa.Column("id", _WORD, nullable=False),
        sa.Column("alert_id", _WORD, nullable=False),
        sa.Column("channel", _WORD, nullable=False),
        sa.Column("occasion", _WORD, nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("state", _WORD, nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("fence", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("next_at", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("sent_at", sa.BigInteger(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "(next_at IS NOT NULL) = (state IN ('pending', 'sending'))",
            name="notifications_waiting_until",
        ),
        sa.CheckConstraint(
            "(sent_at IS NOT NULL) = (state = 'sent')", name="notifications_sent_when"
        ),
        sa.CheckConstraint(
            "occasion IN ('raised', 'repeated', 'escalated', 'cleared', 'test')",
            name="notifications_occasion_known",
        ),
        sa.CheckConstraint(
            "state IN ('pending', 'sending', 'sent', 'failed')", name="notifications_state_known"
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("notifications_alert", "notifications", ["alert_id"], unique=False)
    op.create_index("notifications_created", "notifications", ["created_at"], unique=False)
    op.create_index(
        "notifications_next",
        "notifications",
        ["next_at"],
        unique=False,
        sqlite_where=sa.text("next_at IS NOT NULL"),
        postgresql_where=sa.text("next_at IS NOT NULL"),
    )
    op.create_table(
        "sign_in_codes",
        sa.Column("id", _WORD, nullable=False),
        sa.Column("purpose", _WORD, nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("purpose IN ('sign-in', 'oidc')", name="sign_in_codes_purpose_known"),
        sa.CheckConstraint("length(id) = 64", name="sign_in_codes_hash_whole"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("sign_in_codes_expires", "sign_in_codes", ["expires_at"], unique=False)
    op.create_table(
        "web_sessions",
        sa.Column("id", _WORD, nullable=False),
        sa.Column("person", _WORD, nullable=False),
        sa.Column("role", _WORD, nullable=False),
        sa.Column("is_person", sa.Integer(), nullable=False),
        sa.Column("came_by", _WORD, nullable=False),
        sa.Column("token_id", _WORD, nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "came_by IN ('code', 'token', 'oidc')", name="web_sessions_came_by_known"
        ),
        sa.CheckConstraint(
            "role IN ('viewer', 'operator', 'admin')", name="web_sessions_role_known"
        ),
        sa.CheckConstraint("length(id) = 64", name="web_sessions_hash_whole"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("web_sessions_expires", "web_sessions", ["expires_at"], unique=False)

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


def _make_audit() -> None:
    op.create_table(
        "audit_records",
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("acted_at", sa.BigInteger(), nullable=False),
        sa.Column("actor", _WORD, nullable=False),
        sa.Column("actor_kind", _WORD, nullable=False),
        sa.Column("action", _WORD, nullable=False),
        sa.Column("target_kind", _WORD, nullable=False),
        sa.Column("target_id", _WORD, nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("before_json", sa.Text(), nullable=True),
        sa.Column("after_json", sa.Text(), nullable=True),
        sa.Column("previous_hash", _WORD, nullable=False),
        sa.Column("hash", _WORD, nullable=False),
        sa.CheckConstraint("seq >= 1", name="audit_records_seq_positive"),
        sa.CheckConstraint(
            "actor_kind IN ('person', 'api token', 'command line', 'app code', 'system')",
            name="audit_records_actor_known",
        ),
        sa.CheckConstraint(
            "length(previous_hash) = 64 AND length(hash) = 64", name="audit_records_hashes_whole"
        ),
        sa.PrimaryKeyConstraint("seq"),
    )
    op.create_index("audit_records_acted", "audit_records", ["acted_at", "seq"], unique=False)
    op.create_index(
        "audit_records_target",
        "audit_records",
        ["target_kind", "target_id", "seq"],
        unique=False,
    )


def _make_desk() -> None:
    op.create_table(
        "desk_accounts",
        sa.Column("name", _WORD, nullable=False),
        sa.Column("currency", _WORD, nullable=False),
        sa.Column("initial", sa.Text(), nullable=False),
        sa.Column("broker", _WORD, nullable=False),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("peak", sa.Text(), nullable=False),
        sa.Column("cursor_at", sa.BigInteger(), nullable=False),
        sa.Column("cursor_opened", sa.SmallInteger(), nullable=False),
        sa.Column("prices", sa.Text(), nullable=False),
        sa.Column("breached", sa.SmallInteger(), nullable=False),
        sa.Column("sync", sa.Text(), nullable=False),
        *_decimals("desk_accounts", "initial", "peak"),
        sa.CheckConstraint(
            "cursor_opened IN (0, 1) AND breached IN (0, 1)", name="desk_accounts_flags_are_flags"
        ),
        sa.CheckConstraint("version >= 0 AND seq >= 0", name="desk_accounts_numbers_not_negative"),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "desk_backtest_pages",
        sa.Column("backtest_id", _WORD, nullable=False),
        sa.Column("kind", _WORD, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("backtest_id", "kind", "number"),
    )
    op.create_table(
        "desk_backtests",
        sa.Column("id", _WORD, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=False),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.Column("digest", _WORD, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "desk_backtests_finished", "desk_backtests", ["finished_at", "id"], unique=False
    )
    op.create_table(
        "desk_corporate_actions",
        sa.Column("symbol", _WORD, nullable=False),
        sa.Column("effective_at", sa.BigInteger(), nullable=False),
        sa.Column("kind", _WORD, nullable=False),
        sa.Column("value", _WORD, nullable=False),
        *_decimals("desk_corporate_actions", "value"),
        sa.CheckConstraint(
            "kind IN ('split', 'dividend')", name="desk_corporate_actions_kind_known"
        ),
        sa.CheckConstraint(
            "value NOT LIKE '-%' AND ltrim(value, '-0.') <> ''",
            name="desk_corporate_actions_value_positive",
        ),
        sa.PrimaryKeyConstraint("symbol", "effective_at", "kind", "value"),
    )
    op.create_table(
        "desk_entries",
        sa.Column("account", _WORD, nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("kind", _WORD, nullable=False),
        sa.Column("happened_at", sa.BigInteger(), nullable=False),
        sa.Column("currency", _WORD, nullable=False),
        sa.Column("amount", sa.Text(), nullable=False),
        sa.Column("fee", sa.Text(), nullable=False),
        sa.Column("symbol", _WORD, nullable=True),
        sa.Column("quantity", sa.Text(), nullable=False),
        sa.Column("price", sa.Text(), nullable=False),
        sa.Column("order_id", _WORD, nullable=True),
        sa.Column("run_id", _WORD, nullable=True),
        sa.Column("task", _WORD, nullable=True),
        sa.Column("external_id", _WORD, nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("archived_at", sa.BigInteger(), nullable=True),
        *_decimals("desk_entries", "amount", "fee", "quantity", "price"),
        sa.CheckConstraint(
            "kind <> 'cash' OR symbol IS NULL", name="desk_entries_cash_has_no_symbol"
        ),
        sa.CheckConstraint(
            "kind <> 'dividend' OR symbol IS NOT NULL", name="desk_entries_dividend_has_a_symbol"
        ),
        sa.CheckConstraint(
            "kind <> 'fill' OR (symbol IS NOT NULL AND order_id IS NOT NULL AND ltrim(quantity, '-0.') <> '')",
            name="desk_entries_fill_is_whole",
        ),
        sa.CheckConstraint(
            "kind <> 'split' OR (symbol IS NOT NULL AND ltrim(amount, '-0.') = '' AND ltrim(fee, '0.') = '' AND price NOT LIKE '-%' AND ltrim(price, '-0.') <> '')",
            name="desk_entries_split_moves_no_cash",
        ),
        sa.CheckConstraint(
            "kind IN ('fill', 'cash', 'dividend', 'split', 'charge')",
            name="desk_entries_kind_known",
        ),
        sa.PrimaryKeyConstraint("account", "seq"),
    )
    op.create_index(
        "desk_entries_external",
        "desk_entries",
        ["account", "external_id"],
        unique=True,
        sqlite_where=sa.text("external_id IS NOT NULL"),
        postgresql_where=sa.text("external_id IS NOT NULL"),
    )
    op.create_index(
        "desk_entries_happened", "desk_entries", ["account", "happened_at"], unique=False
    )
    op.create_table(
        "desk_latches",
        sa.Column("account", _WORD, nullable=False),
        sa.Column("name", _WORD, nullable=False),
        sa.Column("run_id", _WORD, nullable=False),
        sa.Column("closed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account", "name"),
    )
    op.create_table(
        "desk_market_files",
        sa.Column("symbol", _WORD, nullable=False),
        sa.Column("timeframe", _WORD, nullable=False),
        sa.Column("period", _WORD, nullable=False),
        sa.Column("file", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("first_at", sa.BigInteger(), nullable=False),
        sa.Column("last_at", sa.BigInteger(), nullable=False),
        sa.Column("replaced_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("first_at <= last_at", name="desk_market_files_first_not_after_last"),
        sa.CheckConstraint("version >= 1 AND rows >= 1", name="desk_market_files_numbers_positive"),
        sa.PrimaryKeyConstraint("symbol", "timeframe", "period"),
    )
    op.create_table(
        "desk_order_history",
        sa.Column("order_id", _WORD, nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("state", _WORD, nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column("filled", sa.Text(), nullable=True),
        sa.Column("quantity", sa.Text(), nullable=True),
        sa.Column("limit_price", sa.Text(), nullable=True),
        sa.Column("stop_price", sa.Text(), nullable=True),
        sa.Column("broker_id", _WORD, nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        *_decimals("desk_order_history", "filled", "quantity", "limit_price", "stop_price"),
        sa.CheckConstraint(
            "state IN ('new', 'open', 'filled', 'cancelled', 'rejected', 'expired')",
            name="desk_order_history_state_known",
        ),
        sa.PrimaryKeyConstraint("order_id", "seq"),
    )
    op.create_table(
        "desk_orders",
        sa.Column("id", _WORD, nullable=False),
        sa.Column("account", _WORD, nullable=False),
        sa.Column("symbol", _WORD, nullable=False),
        sa.Column("side", _WORD, nullable=False),
        sa.Column("type", _WORD, nullable=False),
        sa.Column("quantity", sa.Text(), nullable=False),
        sa.Column("limit_price", sa.Text(), nullable=True),
        sa.Column("stop_price", sa.Text(), nullable=True),
        sa.Column("time_in_force", _WORD, nullable=False),
        sa.Column("state", _WORD, nullable=False),
        sa.Column("filled", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("effective_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("run_id", _WORD, nullable=True),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("task", _WORD, nullable=True),
        sa.Column("priority", sa.SmallInteger(), nullable=False),
        sa.Column("broker_id", _WORD, nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        *_decimals("desk_orders", "quantity", "limit_price", "stop_price", "filled"),
        sa.CheckConstraint(
            "(limit_price IS NOT NULL) = (type IN ('limit', 'stop_limit'))",
            name="desk_orders_limit_has_its_price",
        ),
        sa.CheckConstraint(
            "(stop_price IS NOT NULL) = (type IN ('stop', 'stop_limit'))",
            name="desk_orders_stop_has_its_price",
        ),
        sa.CheckConstraint("filled NOT LIKE '-%'", name="desk_orders_filled_not_negative"),
        sa.CheckConstraint(
            "quantity NOT LIKE '-%' AND ltrim(quantity, '-0.') <> ''",
            name="desk_orders_quantity_positive",
        ),
        sa.CheckConstraint("side IN ('buy', 'sell')", name="desk_orders_side_known"),
        sa.CheckConstraint(
            "state IN ('new', 'open', 'filled', 'cancelled', 'rejected', 'expired')",
            name="desk_orders_state_known",
        ),
        sa.CheckConstraint(
            "time_in_force IN ('gtc', 'day')", name="desk_orders_time_in_force_known"
        ),
        sa.CheckConstraint(
            "type IN ('market', 'limit', 'stop', 'stop_limit', 'market_on_close')",
            name="desk_orders_type_known",
        ),
        sa.CheckConstraint(
            "CAST(filled AS DOUBLE PRECISION) <= CAST(quantity AS DOUBLE PRECISION) * 1.000000000001",
            name="desk_orders_not_overfilled",
        ),
        sa.CheckConstraint(
            "run_id IS NULL OR ordinal >= 1", name="desk_orders_of_a_run_are_counted"
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "desk_orders_account", "desk_orders", ["account", "created_at", "id"], unique=False
    )
    op.create_index(
        "desk_orders_run",
        "desk_orders",
        ["run_id", "ordinal"],
        unique=True,
        sqlite_where=sa.text("run_id IS NOT NULL"),
        postgresql_where=sa.text("run_id IS NOT NULL"),
    )
    op.create_index(
        "desk_orders_working",
        "desk_orders",
        ["account", "created_at", "id"],
        unique=False,
        sqlite_where=sa.text("state IN ('new', 'open')"),
        postgresql_where=sa.text("state IN ('new', 'open')"),
    )
    op.create_table(
        "desk_snapshots",
        sa.Column("account", _WORD, nullable=False),
        sa.Column("taken_at", sa.BigInteger(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("cash", sa.Text(), nullable=False),
        sa.Column("peak", sa.Text(), nullable=False),
        sa.Column("flows", sa.Text(), nullable=False),
        sa.Column("realized", sa.Text(), nullable=False),
        sa.Column("unrealized", sa.Text(), nullable=False),
        sa.Column("exposure", sa.Text(), nullable=False),
        *_decimals(
            "desk_snapshots", "value", "cash", "peak", "flows", "realized", "unrealized", "exposure"
        ),
        sa.PrimaryKeyConstraint("account", "taken_at"),
    )
    guards = _SQLITE_GUARDS if op.get_context().dialect.name == "sqlite" else _POSTGRES_GUARDS
    for statement in guards:
        op.execute(statement)
