"""The manifest of the archive: which files of what was pruned are whole."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, Table

from closingbell.store.metadata import Word, is_one_of, metadata

#: What is archived, each in a folder of its own.
KINDS = ("runs", "events", "firings", "alerts", "notifications", "audit")

#: One file. "begun" = it may be cut off, and its rows are all in the database still; "written" = it
#: is whole, and its rows are being pruned; "done" = it is where they are.
archives = Table(
    "archives",
    metadata,
    Column("file", Word, primary_key=True, nullable=False),
    Column("kind", Word, nullable=False),
    Column("month", Word, nullable=False),
    Column("state", Word, nullable=False),
    Column("rows", BigInteger, nullable=False, server_default="0"),
    Column("bytes", BigInteger, nullable=False, server_default="0"),
    Column("sha256", Word),
    Column("first_at", BigInteger),
    Column("last_at", BigInteger),
    #: Of audit records the number of the last one, from which the next file goes on.
    Column("last_seq", BigInteger),
    Column("begun_at", BigInteger, nullable=False),
    CheckConstraint(is_one_of("kind", KINDS), name="archives_kind_known"),
    CheckConstraint(is_one_of("state", ("begun", "written", "done")), name="archives_state_known"),
    CheckConstraint("state = 'begun' OR sha256 IS NOT NULL", name="archives_written_has_its_sum"),
)
Index("archives_month", archives.c.kind, archives.c.month, archives.c.file)
