"""The tables of alerts: what a person must see, by which rule, and who was told."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Index,
    Integer,
    Table,
    Text,
    text,
)

from closingbell.store.metadata import Word, is_one_of, metadata

#: One cause that is open, or was: what happens again while it is open is counted on it.
alerts = Table(
    "alerts",
    metadata,
    Column("id", Word, primary_key=True, nullable=False),
    Column("type", Word, nullable=False),
    Column("severity", Word, nullable=False),
    # What makes two facts the same alert, such as "task_failure:settlement".
    Column("subject", Word, nullable=False),
    Column("rule_id", Word),
    Column("task", Word),
    Column("run_id", Word),
    Column("message", Text, nullable=False),
    Column("data", Text, nullable=False),
    Column("count", Integer, nullable=False, server_default="1"),
    # The fact that was counted last: the same one, told again, is not counted again.
    Column("note", Word, nullable=False),
    Column("raised_at", BigInteger, nullable=False),
    Column("last_at", BigInteger, nullable=False),
    Column("routed_at", BigInteger),
    Column("next_step_at", BigInteger),
    Column("acknowledged_at", BigInteger),
    Column("acknowledged_by", Word),
    Column("cleared_at", BigInteger),
    Column("cleared_by", Word),
    CheckConstraint("count >= 1", name="alerts_count_positive"),
    CheckConstraint(
        is_one_of("severity", ("INFO", "WARNING", "ERROR", "CRITICAL")),
        name="alerts_severity_known",
    ),
    CheckConstraint(
        "(acknowledged_at IS NULL) = (acknowledged_by IS NULL)", name="alerts_acknowledged_by_whom"
    ),
    CheckConstraint("(cleared_at IS NULL) = (cleared_by IS NULL)", name="alerts_cleared_by_whom"),
)
Index("alerts_raised", alerts.c.cleared_at, alerts.c.raised_at)
Index("alerts_newest", alerts.c.raised_at, alerts.c.id)
Index("alerts_subject", alerts.c.subject, alerts.c.raised_at)
Index(
    "alerts_open_subject",
    alerts.c.subject,
    unique=True,
    sqlite_where=text("cleared_at IS NULL"),
    postgresql_where=text("cleared_at IS NULL"),
)
Index(
    "alerts_unrouted",
    alerts.c.id,
    sqlite_where=text("routed_at IS NULL"),
    postgresql_where=text("routed_at IS NULL"),
)
Index(
    "alerts_next_step",
    alerts.c.next_step_at,
    sqlite_where=text("next_step_at IS NOT NULL"),
    postgresql_where=text("next_step_at IS NOT NULL"),
)

alert_rules = Table(
    "alert_rules",
    metadata,
    Column("id", Word, primary_key=True, nullable=False),
    Column("kind", Word, nullable=False),
    Column("definition", Text, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("source", Word, nullable=False),
    Column("version", BigInteger, nullable=False, server_default="1"),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    CheckConstraint("source IN ('code', 'api', 'default')", name="alert_rules_source_known"),
)

#: What is to be told to whom: written with its cause in one transaction, sent afterwards.
notifications = Table(
    "notifications",
    metadata,
    Column("id", Word, primary_key=True, nullable=False),
    Column("alert_id", Word, nullable=False),
    Column("channel", Word, nullable=False),
    Column("occasion", Word, nullable=False),
    Column("body", Text, nullable=False),
    Column("state", Word, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("fence", BigInteger, nullable=False, server_default="0"),
    Column("next_at", BigInteger),
    Column("created_at", BigInteger, nullable=False),
    Column("sent_at", BigInteger),
    Column("error", Text),
    CheckConstraint(
        is_one_of("state", ("pending", "sending", "sent", "failed")),
        name="notifications_state_known",
    ),
    CheckConstraint(
        is_one_of("occasion", ("raised", "repeated", "escalated", "cleared", "test")),
        name="notifications_occasion_known",
    ),
    CheckConstraint("(sent_at IS NOT NULL) = (state = 'sent')", name="notifications_sent_when"),
    CheckConstraint(
        "(next_at IS NOT NULL) = (state IN ('pending', 'sending'))",
        name="notifications_waiting_until",
    ),
)
Index(
    "notifications_next",
    notifications.c.next_at,
    sqlite_where=text("next_at IS NOT NULL"),
    postgresql_where=text("next_at IS NOT NULL"),
)
Index("notifications_alert", notifications.c.alert_id)
Index("notifications_created", notifications.c.created_at)
