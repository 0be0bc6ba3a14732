"""Entrance: how the first person gets in, and everybody who lost their way."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from closingbell.core.actor import ActorKind, acting_as
from closingbell.core.error import SettingError
from closingbell.core.role import Role
from closingbell.core.token import hash_of, make_token
from closingbell.store.database import SqliteDatabase
from closingbell.store.sign_in_codes import Purpose

if TYPE_CHECKING:
    from closingbell.app import App
    from closingbell.store.store import Store

#: A sign-in address is good for so long.
CODE_S = 900
_CODE_BYTES = 24
#: Where the first token is written when the database is not a file.
_FILE = "closingbell.token"


class Entrance(NamedTuple):
    """How to get in.

    Attributes:
        token_file: holds the admin token that was just made; None = there was one.
        sign_in_url: signs in whoever opens it first; None = none was asked for.
    """

    token_file: Path | None
    sign_in_url: str | None


def entrance(app: App, base_url: str, *, terminal: bool) -> Entrance:
    """Make sure that an admin can come in; call it when a service starts.

    Without a token in the settings, and without a stored one that is usable, an admin token is
    made and written to a file that only this user can read. It is never shown nor logged.

    Args:
        app: whose store it is.
        base_url: where the service is, such as "http://127.0.0.1:8470"; public_url leads.
        terminal: whether a person reads what is printed: they get a sign-in address at each
            start, and else at the first one only.

    Raises:
        SettingError: the token could not be written.
    """
    token_file = None
    given = app.settings.token is not None or app.settings.token_file is not None
    if not given and not app.store.tokens.has_admin(app.clock.micros()):
        with acting_as("closingbell", ActorKind.SYSTEM, "the first start"):
            token_file = _make_first_token(app)
    if token_file is None and not terminal:
        return Entrance(None, None)
    with acting_as("closingbell", ActorKind.SYSTEM, "the start"):
        base = app.settings.public_url or base_url
        url = sign_in_address(app, base, "admin", Role.ADMIN)
    return Entrance(token_file, url)


def sign_in_address(app: App, base_url: str, name: str, role: Role) -> str:
    """Return an address that signs in whoever opens it first, within a quarter of an hour.

    Args:
        app: whose store it is.
        base_url: where people reach the service.
        name: what the session is called in the audit ledger.
        role: what it may do.
    """
    code = secrets.token_urlsafe(_CODE_BYTES)
    now = app.clock.micros()
    app.store.sign_in_codes.put(
        hash_of(code),
        Purpose.SIGN_IN,
        {"name": name, "role": role.value},
        now,
        now + CODE_S * 1_000_000,
    )
    return f"{base_url.rstrip('/')}/sign-in?code={quote(code)}"


def _make_first_token(app: App) -> Path:
    token = make_token(os.urandom)
    path = _path_beside(app.store)
    # Written first: a token that nobody could read would still count as there.
    try:
        _write_privately(path, token.text + "\n")
    except OSError as problem:
        raise SettingError(
            "token_file",
            str(path),
            f"a file that can be written ({problem.strerror}); or give a token by "
            "CLOSINGBELL_TOKEN or --token-file",
        ) from problem
    app.store.tokens.create(token.id, "first admin", Role.ADMIN, token.hash, app.clock.micros())
    return path


def _path_beside(store: Store) -> Path:
    database = store.database
    if isinstance(database, SqliteDatabase):
        return database.path.with_name(database.path.name + ".token")
    return Path(_FILE).absolute()


def _write_privately(path: Path, text: str) -> None:
    # Never through somebody else's link or into their file: a new one takes the name at the end.
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    try:
        with os.fdopen(os.open(part, flags, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
