"""The tables of the door: who may come in, what was asked, and who released what."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
)

from closingbell.core.role import Role
from closingbell.store.metadata import Word, is_one_of, metadata

_ROLES = [role.value for role in Role]

#: Secrets are stored as SHA-256, in hexadecimal: they are random and long, so that a slow hash
#: would add nothing.
api_tokens = Table(
    "api_tokens",
    metadata,
    Column("id", Word, primary_key=True, nullable=False),
    Column("name", Word, nullable=False),
    # The person whose acts these are; None = a program, which counts as nobody's second pair of
    # eyes.
    Column("owner", Word),
    Column("role", Word, nullable=False),
    Column("hash", Word, nullable=False, unique=True),
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", Word, nullable=False),
    Column("expires_at", BigInteger),
    Column("last_used_at", BigInteger),
    Column("revoked_at", BigInteger),
    Column("revoked_by", Word),
    CheckConstraint(is_one_of("role", _ROLES), name="api_tokens_role_known"),
    CheckConstraint("length(hash) = 64", name="api_tokens_hash_whole"),
    CheckConstraint("(revoked_at IS NULL) = (revoked_by IS NULL)", name="api_tokens_revoked_by"),
)

#: Browsers that are signed in; `id` is the hash of what the cookie holds.
web_sessions = Table(
    "web_sessions",
    metadata,
    Column("id", Word, primary_key=True, nullable=False),
    Column("person", Word, nullable=False),
    Column("role", Word, nullable=False),
    # Not every way in names somebody: a one-time address signs in whoever opens it.
    Column("is_person", Integer, nullable=False),
    Column("came_by", Word, nullable=False),
    Column("token_id", Word),
    Column("created_at", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    CheckConstraint(is_one_of("role", _ROLES), name="web_sessions_role_known"),
    CheckConstraint(
        is_one_of("came_by", ("code", "token", "oidc")), name="web_sessions_came_by_known"
    ),
    CheckConstraint("length(id) = 64", name="web_sessions_hash_whole"),
)
Index("web_sessions_expires", web_sessions.c.expires_at)

#: One-time codes: of sign-in addresses, and of sign-ins that are on their way to a provider.
sign_in_codes = Table(
    "sign_in_codes",
    metadata,
    Column("id", Word, primary_key=True, nullable=False),
    Column("purpose", Word, nullable=False),
    Column("data", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("used_at", BigInteger),
    CheckConstraint("purpose IN ('sign-in', 'oidc')", name="sign_in_codes_purpose_known"),
    CheckConstraint("length(id) = 64", name="sign_in_codes_hash_whole"),
)
Index("sign_in_codes_expires", sign_in_codes.c.expires_at)

#: Requests that may be sent again, with what they were answered.
idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("principal", Word, nullable=False),
    Column("key", Word, nullable=False),
    Column("request_hash", Word, nullable=False),
    # Until when its first bearer may be at work on it; None = it is answered.
    Column("claimed_until", BigInteger),
    Column("status", Integer),
    Column("headers", Text),
    Column("body", Text),
    Column("created_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("principal", "key"),
    CheckConstraint(
        "(claimed_until IS NULL) = (status IS NOT NULL)", name="idempotency_keys_answered"
    ),
)
Index("idempotency_keys_created", idempotency_keys.c.created_at)

#: Who released or refused a run that waits for people. `fence` tells one round from the next:
#: a run that is tried again by hand is asked about again.
approvals = Table(
    "approvals",
    metadata,
    Column("run_id", Word, nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("person", Word, nullable=False),
    Column("verdict", Word, nullable=False),
    Column("reason", Text),
    Column("decided_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("run_id", "fence", "person"),
    CheckConstraint(
        "verdict IN ('requested', 'approved', 'rejected')", name="approvals_verdict_known"
    ),
    CheckConstraint(
        "verdict <> 'rejected' OR reason IS NOT NULL", name="approvals_rejection_has_reason"
    ),
)

#: Runs that were submitted together.
batches = Table(
    "batches",
    metadata,
    Column("id", Word, primary_key=True, nullable=False),
    Column("task", Word, nullable=False),
    Column("name", Text, nullable=False),
    Column("size", Integer, nullable=False),
    Column("requested_by", Word),
    Column("created_at", BigInteger, nullable=False),
    CheckConstraint("size >= 1", name="batches_not_empty"),
)
