"""Doorkeeper: knows who shows a token or a cookie."""

from __future__ import annotations

import logging
import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from closingbell.api.security.principal import Principal
from closingbell.api.security.sign_in_limit import SignInLimit
from closingbell.core.actor import ActorKind, acting_as
from closingbell.core.error import SettingError, SignInRefused, StoreError
from closingbell.core.role import Role
from closingbell.core.token import hash_of, is_same, read_token
from closingbell.settings import require_token
from closingbell.store.sign_in_codes import Purpose
from closingbell.store.tokens import StoredToken
from closingbell.store.web_sessions import CameBy, StoredSession

if TYPE_CHECKING:
    from closingbell.app import App
    from closingbell.settings import Settings

_log = logging.getLogger("closingbell")

#: So many tokens and sessions are remembered; the one that was looked up first is forgotten.
_MOST = 10_000
#: Longer ones are nobody's.
_LONGEST = 1_000
_SECRET_BYTES = 32


class _Revised(Protocol):
    """What says when things that were remembered of it count no more."""

    @property
    def revision(self) -> int:
        """How often that happened."""
        ...


class _Known(NamedTuple):
    """Somebody who was looked up.

    Attributes:
        principal: who.
        over_at: from then on they are nobody (desk microseconds); None = never.
        again_at: from then on the store is asked again (machine seconds).
        source: where they were found.
        revision: of the source, when they were.
    """

    principal: Principal
    over_at: int | None
    again_at: float
    source: _Revised | None
    revision: int


class Doorkeeper:
    """Who may come in, from the store, and for a few seconds from memory.

    Attributes:
        limit: of failed sign-ins.
    """

    def __init__(self, app: App) -> None:
        """Stand at the door of an app; nothing is read before somebody comes.

        Raises:
            SettingError: the setting token_file cannot be read, or holds no token.
        """
        self._app = app
        self.limit = SignInLimit(app.clock, app.settings.sign_in_failures)
        self._lock = threading.Lock()
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._given_hash = _hash_of_given(app.settings)

    @property
    def settings(self) -> Settings:
        """The settings of the app."""
        return self._app.settings

    # --- who shows what --------------------------------------------------------------------

    def remembered(self, secret: str) -> Principal | None:
        """Return who shows a token or a cookie, if that was found a moment ago; never waits."""
        known = self._known.get(hash_of(secret))
        if known is None or known.again_at <= self._app.clock.monotonic():
            return None
        if known.source is not None and known.source.revision != known.revision:
            return None
        if known.over_at is not None and known.over_at <= self._app.clock.micros():
            return None
        return known.principal

    def token(self, text: str) -> Principal | None:
        """Return whose token a text is; asks the store.

        Raises:
            StoreError: it cannot be asked.
        """
        if len(text) > _LONGEST:
            return None
        tokens, revision = self._app.store.tokens, self._app.store.tokens.revision
        stored = self._stored(text)
        if stored is not None:
            now = self._app.clock.micros()
            if not stored.is_usable(now):
                return None
            _leniently(lambda: tokens.touch(stored, now))
            found = _of_token(stored)
            return self._remember(hash_of(text), found, stored.expires_at, tokens, revision)
        if self._is_given(text):
            return self._remember(hash_of(text), GIVEN, None, None, 0)
        return None

    def session(self, secret: str) -> Principal | None:
        """Return who is signed in with what a cookie holds; asks the store.

        Raises:
            StoreError: it cannot be asked.
        """
        if len(secret) > _LONGEST:
            return None
        sessions = self._app.store.web_sessions
        revision = sessions.revision + self._app.store.tokens.revision
        found = self.stored_session(secret)
        if found is None:
            return None
        _leniently(lambda: sessions.touch(found, self._app.clock.micros()))
        over_at = min(found.expires_at, self._app.clock.micros() + self._idle)
        principal = Principal(
            f"session:{found.id}", found.person, ActorKind.PERSON, found.role, found.is_person
        )
        return self._remember(found.id, principal, over_at, _Both(self._app), revision)

    def stored_session(self, secret: str) -> StoredSession | None:
        """Return the open session of what a cookie holds, as it is stored."""
        found = self._app.store.web_sessions.find(hash_of(secret))
        if found is None or not found.is_open(self._app.clock.micros(), self._idle):
            return None
        by = found.token_id or ""
        if by.startswith(_GIVEN_MARK) and by != self._given_mark:
            # It was begun with a token that is given no more.
            return None
        return found

    def refused(self, address: str, problem: SignInRefused) -> None:
        """Note a sign-in that failed, for the limit and in the log."""
        self.limit.failed(address)
        _log.warning("a sign-in from %s was refused: %s", address, problem.problem)

    # --- signing in ------------------------------------------------------------------------

    def sign_in_by_token(self, text: str) -> str | None:
        """Begin a session of who shows a token; returns what the cookie is to hold, or None."""
        principal = self.token(text.strip())
        if principal is None:
            return None
        if principal is GIVEN:
            return self._begin(principal, CameBy.TOKEN, self._given_mark)
        stored = self._app.store.tokens.get(principal.id.removeprefix("token:"))
        return self._begin(principal, CameBy.TOKEN, stored.id, stored.expires_at)

    def sign_in_by_code(self, code: str) -> str | None:
        """Use up the code of a sign-in address; returns what the cookie is to hold, or None."""
        now = self._app.clock.micros()
        data = self._app.store.sign_in_codes.take(hash_of(code), Purpose.SIGN_IN, now)
        if data is None:
            return None
        # Whoever opens the address is signed in: it may be anybody.
        who = Principal("", data["name"], ActorKind.PERSON, Role(data["role"]), is_person=False)
        return self._begin(who, CameBy.CODE)

    def sign_in_by_provider(self, person: str, role: Role) -> str:
        """Begin a session of somebody whom the provider vouches for."""
        who = Principal("", person, ActorKind.PERSON, role, is_person=True)
        return self._begin(who, CameBy.OIDC)

    def sign_out(self, who: Principal, session_id: str) -> None:
        """End the session of who is signed in."""
        with acting_as(who.name, who.kind, is_person=who.is_person):
            self._app.store.web_sessions.end(session_id, self._app.clock.micros())

    def _begin(
        self,
        who: Principal,
        came_by: CameBy,
        token_id: str | None = None,
        until: int | None = None,
    ) -> str:
        secret = os.urandom(_SECRET_BYTES).hex()
        now = self._app.clock.micros()
        last = now + round(self.settings.session_s * 1_000_000)
        session = StoredSession(
            id=hash_of(secret),
            person=who.name,
            role=who.role,
            is_person=who.is_person,
            came_by=came_by,
            token_id=token_id,
            created_at=now,
            seen_at=now,
            expires_at=last if until is None else min(last, until),
            ended_at=None,
        )
        with acting_as(who.name, ActorKind.PERSON, is_person=who.is_person):
            self._app.store.web_sessions.begin(session)
        return secret

    # --- what is known -----------------------------------------------------------------------

    @property
    def _idle(self) -> int:
        return round(self.settings.session_idle_s * 1_000_000)

    @property
    def _given_mark(self) -> str:
        return f"{_GIVEN_MARK}{(self._given_hash or '')[:16]}"

    def _is_given(self, text: str) -> bool:
        return self._given_hash is not None and is_same(hash_of(text), self._given_hash)

    def _stored(self, text: str) -> StoredToken | None:
        token = read_token(text)
        return None if token is None else self._app.store.tokens.find(token.id, token.hash)

    def _remember(
        self,
        key: str,
        principal: Principal,
        over_at: int | None,
        source: _Revised | None,
        revision: int,
    ) -> Principal:
        again_at = self._app.clock.monotonic() + self.settings.sign_in_cache_s
        with self._lock:
            self._known[key] = _Known(principal, over_at, again_at, source, revision)
            if len(self._known) > _MOST:
                self._known.popitem(last=False)
        return principal


class _Both:
    """Sessions count no more when one is ended, or when a token is revoked."""

    def __init__(self, app: App) -> None:
        self._sessions, self._tokens = app.store.web_sessions, app.store.tokens

    @property
    def revision(self) -> int:
        """How often either happened."""
        return self._sessions.revision + self._tokens.revision


#: Who shows the token that was given when the service was started.
GIVEN = Principal("token:given", "admin", ActorKind.API_TOKEN, Role.ADMIN, is_person=False)
_GIVEN_MARK = "given:"


def given_token(settings: Settings) -> str | None:
    """Return the token that the settings give, or that is in the file they name.

    Raises:
        SettingError: the file cannot be read, or what it holds could be guessed.
    """
    if settings.token is not None or settings.token_file is None:
        return settings.token
    text = read_secret("token_file", settings.token_file)
    require_token("token_file", text)
    return text


def read_secret(setting: str, path: str) -> str:
    """Return what a file holds, without white space around it.

    Raises:
        SettingError: it cannot be read, or is no text.
    """
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as problem:
        why = getattr(problem, "strerror", None) or "it is no text"
        raise SettingError(setting, path, f"a file that can be read ({why})") from problem


def _hash_of_given(settings: Settings) -> str | None:
    given = given_token(settings)
    return None if given is None else hash_of(given)


def _of_token(token: StoredToken) -> Principal:
    return Principal(
        f"token:{token.id}",
        token.owner or token.name,
        ActorKind.API_TOKEN,
        token.role,
        is_person=token.owner is not None,
    )


def _leniently(note: Callable[[], None]) -> None:
    # A store that is full or read-only still says who may read it.
    with suppress(StoreError):
        note()
