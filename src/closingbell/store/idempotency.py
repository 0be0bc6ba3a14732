"""Requests that may be sent again: each is done once, and answered the same way every time."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from sqlalchemy import and_, delete, select, update

from closingbell.store.codec import from_json, to_json
from closingbell.store.database import Database
from closingbell.store.door_schema import idempotency_keys
from closingbell.store.insert import insert_of

_columns = idempotency_keys.c


class Standing(StrEnum):
    """How a request stands when it comes."""

    MINE = "mine"
    BUSY = "busy"
    ANSWERED = "answered"
    REUSED = "reused"


class Claimed(NamedTuple):
    """What is known of a request's key.

    Attributes:
        standing: mine = do it; busy = somebody does; answered = here is what was said; reused =
            the key belongs to another request.
        created_at: when the key first came, in microseconds; it is part of the ids that are
            derived from it, and so is kept when the request is tried again after a crash.
        claimed_until: until when the present bearer may be at work.
        status: of the answer.
        headers: of the answer.
        body: of the answer.
    """

    standing: Standing
    created_at: int
    claimed_until: int | None = None
    status: int = 0
    headers: Mapping[str, str] = {}
    body: str = ""


class StoredRequests:
    """The keys of requests, by who sent them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def claim(
        self,
        principal: str,
        key: str,
        request_hash: str,
        now: int,
        until: int,
        forget_before: int,
    ) -> Claimed:
        """Take up a request, unless that was done before.

        Args:
            principal: who sends it.
            key: what they call it.
            request_hash: what it is.
            now: the present instant, in microseconds.
            until: when others may take it up, should it not be answered by then.
            forget_before: keys that came before this instant count as never seen.
        """
        values = {
            "request_hash": request_hash,
            "claimed_until": until,
            "status": None,
            "headers": None,
            "body": None,
            "created_at": now,
        }
        mine = and_(_columns.principal == principal, _columns.key == key)
        with self._database.writing() as connection:
            fresh = insert_of(connection)(idempotency_keys).values(
                principal=principal, key=key, **values
            )
            made = connection.execute(
                fresh.on_conflict_do_nothing().returning(_columns.created_at)
            ).first()
            if made is not None:
                return Claimed(Standing.MINE, now)
            row = connection.execute(select(idempotency_keys).where(mine).with_for_update()).one()
            if row.created_at < forget_before:
                connection.execute(update(idempotency_keys).where(mine).values(**values))
                return Claimed(Standing.MINE, now)
            if row.request_hash != request_hash:
                return Claimed(Standing.REUSED, row.created_at)
            if row.status is not None:
                return Claimed(
                    Standing.ANSWERED,
                    row.created_at,
                    None,
                    row.status,
                    from_json(row.headers),
                    row.body,
                )
            if row.claimed_until > now:
                return Claimed(Standing.BUSY, row.created_at, row.claimed_until)
            connection.execute(update(idempotency_keys).where(mine).values(claimed_until=until))
            return Claimed(Standing.MINE, row.created_at)

    def answer(
        self, principal: str, key: str, status: int, headers: Mapping[str, str], body: str
    ) -> None:
        """Keep the answer; whoever sends the request again is given it."""
        with self._database.writing() as connection:
            connection.execute(
                update(idempotency_keys)
                .where(_columns.principal == principal, _columns.key == key)
                .values(
                    claimed_until=None, status=status, headers=to_json(dict(headers)), body=body
                )
            )

    def let_go(self, principal: str, key: str, now: int) -> None:
        """Let the request be sent again at once: it has no answer that is worth keeping."""
        with self._database.writing() as connection:
            connection.execute(
                update(idempotency_keys)
                .where(_columns.principal == principal, _columns.key == key)
                .where(_columns.status.is_(None))
                .values(claimed_until=now)
            )

    def prune(self, before: int, limit: int = 1_000) -> int:
        """Delete up to `limit` keys that came before an instant; returns how many."""
        old = select(_columns.principal, _columns.key).where(_columns.created_at < before)
        with self._database.reading() as connection:
            rows = connection.execute(old.limit(limit)).all()
        if not rows:
            return 0
        with self._database.writing() as connection:
            for row in rows:
                connection.execute(
                    delete(idempotency_keys).where(
                        _columns.principal == row.principal,
                        _columns.key == row.key,
                        _columns.created_at < before,
                    )
                )
        return len(rows)
