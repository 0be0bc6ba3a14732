"""API tokens: who may come in, without what they come in with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, and_, or_, select, update

from closingbell.core.actor import current_actor
from closingbell.core.error import UnknownToken
from closingbell.core.role import Role
from closingbell.core.token import is_same
from closingbell.store.audit import StoredAudit
from closingbell.store.database import Database
from closingbell.store.door_schema import api_tokens, web_sessions
from closingbell.store.insert import insert_of

#: When a token was used last is written so often at most, in microseconds.
_TOUCH = 60_000_000


@dataclass(frozen=True, slots=True)
class StoredToken:
    """What is kept of a token. Instants are microseconds.

    Attributes:
        id: its public part.
        name: what it is for, or whose.
        owner: the person whose acts these are; None = a program.
        role: what it may do.
        created_at: when.
        created_by: who made it.
        expires_at: from then on it is refused; None = never.
        last_used_at: at most a minute behind; None = never used.
        revoked_at: from then on it is refused; None = it is not revoked.
        revoked_by: who did that.
    """

    id: str
    name: str
    owner: str | None
    role: Role
    created_at: int
    created_by: str
    expires_at: int | None
    last_used_at: int | None
    revoked_at: int | None
    revoked_by: str | None

    def is_usable(self, now: int) -> bool:
        """Whether it opens the door at an instant."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


class StoredTokens:
    """The tokens of a store."""

    def __init__(self, database: Database, audit: StoredAudit) -> None:
        self._database = database
        self._audit = audit
        #: Grows when a token of this store is revoked in this process: what is remembered of
        #: tokens then counts no more.
        self.revision = 0

    def create(
        self,
        token_id: str,
        name: str,
        role: Role,
        token_hash: str,
        now: int,
        *,
        owner: str | None = None,
        expires_at: int | None = None,
    ) -> StoredToken:
        """Store a token by its hash; the audit ledger gets all but the hash."""
        about = {
            "name": name,
            "owner": owner,
            "role": role.value,
            "expires_at": expires_at,
        }
        values = {
            **about,
            "id": token_id,
            "hash": token_hash,
            "created_at": now,
            "created_by": current_actor().name,
        }
        with self._database.writing() as connection:
            fresh = insert_of(connection)(api_tokens).values(values).returning(*_SHOWN)
            made = _read(connection.execute(fresh).one())
            self._audit.append_on(connection, "token.created", "token", token_id, after=about)
        return made

    def find(self, token_id: str, token_hash: str) -> StoredToken | None:
        """Return the token of an id, if the hash is its; whether it is usable is another matter.

        It is found by what is no secret, and its hash is then compared in constant time.
        """
        query = select(*_SHOWN, api_tokens.c.hash).where(api_tokens.c.id == token_id)
        with self._database.reading() as connection:
            row = connection.execute(query).one_or_none()
        if row is None or not is_same(row.hash, token_hash):
            return None
        return _read(row[:-1])

    def get(self, token_id: str) -> StoredToken:
        """Return a token.

        Raises:
            UnknownToken: there is none of that id.
        """
        query = select(*_SHOWN).where(api_tokens.c.id == token_id)
        with self._database.reading() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            raise UnknownToken(token_id)
        return _read(row)

    def page(self, limit: int, before: tuple[int, str] | None = None) -> list[StoredToken]:
        """Return tokens, the newest first, revoked ones too.

        Args:
            limit: at most so many.
            before: `created_at` and id of the last one of the page before.
        """
        columns = api_tokens.c
        query = select(*_SHOWN).order_by(columns.created_at.desc(), columns.id.desc()).limit(limit)
        if before is not None:
            at, token_id = before
            query = query.where(
                or_(columns.created_at < at, and_(columns.created_at == at, columns.id < token_id))
            )
        with self._database.reading() as connection:
            return [_read(row) for row in connection.execute(query)]

    def has_admin(self, now: int) -> bool:
        """Whether some token opens the door for an admin."""
        columns = api_tokens.c
        query = select(columns.id).where(
            columns.role == Role.ADMIN.value,
            columns.revoked_at.is_(None),
            or_(columns.expires_at.is_(None), columns.expires_at > now),
        )
        with self._database.reading() as connection:
            return connection.execute(query.limit(1)).first() is not None

    def revoke(self, token_id: str, now: int, reason: str | None = None) -> bool:
        """Refuse a token from now on, and end the sessions that were begun with it.

        Returns:
            Whether it was not revoked already.

        Raises:
            UnknownToken: there is none of that id.
        """
        open_ones = web_sessions.c.ended_at.is_(None)
        with self._database.writing() as connection:
            revoked = connection.execute(
                update(api_tokens)
                .where(api_tokens.c.id == token_id, api_tokens.c.revoked_at.is_(None))
                .values(revoked_at=now, revoked_by=current_actor().name)
                .returning(*_SHOWN)
            ).one_or_none()
            if revoked is None:
                known = select(api_tokens.c.id).where(api_tokens.c.id == token_id)
                if connection.execute(known).first() is None:
                    raise UnknownToken(token_id)
                return False
            ended = connection.execute(
                update(web_sessions)
                .where(web_sessions.c.token_id == token_id, open_ones)
                .values(ended_at=now)
                .returning(web_sessions.c.id)
            ).all()
            was = _read(revoked)
            self._audit.append_on(
                connection,
                "token.revoked",
                "token",
                token_id,
                before={"name": was.name, "owner": was.owner, "role": was.role.value},
                after={"sessions_ended": len(ended)},
                reason=reason,
            )
        self.revision += 1
        return True

    def touch(self, token: StoredToken, now: int) -> None:
        """Note that a token was used; at most once a minute."""
        if token.last_used_at is not None and now - token.last_used_at < _TOUCH:
            return
        columns = api_tokens.c
        used = (
            update(api_tokens)
            .where(
                columns.id == token.id,
                or_(columns.last_used_at.is_(None), columns.last_used_at <= now - _TOUCH),
            )
            .values(last_used_at=now)
        )
        with self._database.writing() as connection:
            connection.execute(used)


_SHOWN = [
    api_tokens.c[name]
    for name in (
        "id", "name", "owner", "role", "created_at", "created_by", "expires_at", "last_used_at",
        "revoked_at", "revoked_by",
    )
]  # fmt: skip


def _read(row: Row[Any] | tuple[Any, ...]) -> StoredToken:
    values = dict(zip((column.name for column in _SHOWN), row, strict=True))
    return StoredToken(**{**values, "role": Role(values["role"])})
