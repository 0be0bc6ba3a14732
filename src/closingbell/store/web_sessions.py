"""Sessions: browsers that are signed in."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Row, and_, delete, or_, select, update

from closingbell.core.error import UnknownSession
from closingbell.core.role import Role
from closingbell.store.audit import StoredAudit
from closingbell.store.database import Database
from closingbell.store.door_schema import web_sessions
from closingbell.store.insert import insert_of

#: When a session was seen last is written so often at most, in microseconds.
_TOUCH = 60_000_000
#: Ended ones are kept so long, in microseconds, for who looks at the list.
_KEPT = 30 * 86_400_000_000


class CameBy(StrEnum):
    """By what a browser was signed in."""

    CODE = "code"
    TOKEN = "token"  # noqa: S105  (names a way in, and is no secret)
    OIDC = "oidc"


@dataclass(frozen=True, slots=True)
class StoredSession:
    """What is kept of a session. Instants are microseconds.

    Attributes:
        id: the hash of what the cookie holds.
        person: who, as the audit ledger names them.
        role: what they may do.
        is_person: whether the way in named one person.
        came_by: what that way was.
        token_id: the token it was begun with.
        created_at: when.
        seen_at: at most a minute behind.
        expires_at: from then on it is over, however busy it was.
        ended_at: signed out, or ended by an admin; None = neither.
    """

    id: str
    person: str
    role: Role
    is_person: bool
    came_by: CameBy
    token_id: str | None
    created_at: int
    seen_at: int
    expires_at: int
    ended_at: int | None

    def is_open(self, now: int, idle: int) -> bool:
        """Whether it opens the door at an instant; `idle` microseconds unseen end it."""
        return self.ended_at is None and now < self.expires_at and now < self.seen_at + idle


class StoredWebSessions:
    """The sessions of a store."""

    def __init__(self, database: Database, audit: StoredAudit) -> None:
        self._database = database
        self._audit = audit
        #: Grows when a session of this store is ended in this process.
        self.revision = 0

    def begin(self, session: StoredSession) -> None:
        """Store a new session, and forget those that ended long ago."""
        row = {name: getattr(session, name) for name in StoredSession.__dataclass_fields__}
        row.update(
            role=session.role.value,
            is_person=int(session.is_person),
            came_by=session.came_by.value,
        )
        old = delete(web_sessions).where(web_sessions.c.expires_at < session.created_at - _KEPT)
        with self._database.writing() as connection:
            connection.execute(old)
            connection.execute(insert_of(connection)(web_sessions).values(row))
            self._audit.append_on(
                connection, "session.begun", "session", session.id, after=_told(session)
            )

    def find(self, session_id: str) -> StoredSession | None:
        """Return the session of an id, ended or not."""
        query = select(web_sessions).where(web_sessions.c.id == session_id)
        with self._database.reading() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else _read(row)

    def page(
        self, now: int, idle: int, limit: int, before: tuple[int, str] | None = None
    ) -> list[StoredSession]:
        """Return the sessions that are open, the newest first.

        Args:
            now: the instant.
            idle: so many microseconds unseen end one.
            limit: at most so many.
            before: `created_at` and id of the last one of the page before.
        """
        columns = web_sessions.c
        query = (
            select(web_sessions)
            .where(
                columns.ended_at.is_(None), columns.expires_at > now, columns.seen_at > now - idle
            )
            .order_by(columns.created_at.desc(), columns.id.desc())
            .limit(limit)
        )
        if before is not None:
            at, session_id = before
            query = query.where(
                or_(
                    columns.created_at < at,
                    and_(columns.created_at == at, columns.id < session_id),
                )
            )
        with self._database.reading() as connection:
            return [_read(row) for row in connection.execute(query)]

    def end(self, session_id: str, now: int, reason: str | None = None) -> bool:
        """End a session; returns whether it was not ended already.

        Raises:
            UnknownSession: there is none of that id.
        """
        with self._database.writing() as connection:
            row = connection.execute(
                update(web_sessions)
                .where(web_sessions.c.id == session_id, web_sessions.c.ended_at.is_(None))
                .values(ended_at=now)
                .returning(web_sessions)
            ).one_or_none()
            if row is None:
                known = select(web_sessions.c.id).where(web_sessions.c.id == session_id)
                if connection.execute(known).first() is None:
                    raise UnknownSession(session_id)
                return False
            before = _told(_read(row))
            self._audit.append_on(
                connection, "session.ended", "session", session_id, before=before, reason=reason
            )
        self.revision += 1
        return True

    def touch(self, session: StoredSession, now: int) -> None:
        """Note that a session was seen; at most once a minute."""
        if now - session.seen_at < _TOUCH:
            return
        columns = web_sessions.c
        seen = (
            update(web_sessions)
            .where(columns.id == session.id, columns.seen_at <= now - _TOUCH)
            .values(seen_at=now)
        )
        with self._database.writing() as connection:
            connection.execute(seen)


def _told(session: StoredSession) -> dict[str, Any]:
    return {
        "person": session.person,
        "role": session.role.value,
        "came_by": session.came_by.value,
        "token_id": session.token_id,
    }


def _read(row: Row[Any]) -> StoredSession:
    values = dict(row._mapping)
    return StoredSession(
        **{
            **values,
            "role": Role(values["role"]),
            "came_by": CameBy(values["came_by"]),
            "is_person": bool(values["is_person"]),
        }
    )
