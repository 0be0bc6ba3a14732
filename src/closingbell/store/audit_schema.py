"""The table of the audit ledger; its guards are in `append_only`."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, Table, Text

from closingbell.core.actor import ActorKind
from closingbell.store.metadata import Word, is_one_of, metadata

#: Who did what, in a chain: each record carries the hash of the one before. Where the chain
#: ends is also in `facts`, as `audit_head`.
audit_records = Table(
    "audit_records",
    metadata,
    Column("seq", BigInteger, primary_key=True, nullable=False, autoincrement=False),
    Column("acted_at", BigInteger, nullable=False),
    Column("actor", Word, nullable=False),
    Column("actor_kind", Word, nullable=False),
    Column("action", Word, nullable=False),
    Column("target_kind", Word, nullable=False),
    Column("target_id", Word, nullable=False),
    Column("reason", Text),
    Column("before_json", Text),
    Column("after_json", Text),
    Column("previous_hash", Word, nullable=False),
    Column("hash", Word, nullable=False),
    CheckConstraint("seq >= 1", name="audit_records_seq_positive"),
    CheckConstraint(is_one_of("actor_kind", list(ActorKind)), name="audit_records_actor_known"),
    CheckConstraint(
        "length(previous_hash) = 64 AND length(hash) = 64", name="audit_records_hashes_whole"
    ),
)
Index("audit_records_acted", audit_records.c.acted_at, audit_records.c.seq)
Index(
    "audit_records_target",
    audit_records.c.target_kind,
    audit_records.c.target_id,
    audit_records.c.seq,
)
