"""The session's cookie: for this host alone, never for scripts, never from other sites."""

from __future__ import annotations

from starlette.requests import HTTPConnection
from starlette.responses import Response

from closingbell.settings import Settings

_NAME = "closingbell_session"
#: A browser accepts this prefix for one host, over https, and for the whole of it only.
_HOST_ONLY = "__Host-"


def is_secure(connection: HTTPConnection, settings: Settings) -> bool:
    """Whether a browser speaks https with this service, perhaps by way of a proxy."""
    public = settings.public_url or ""
    return connection.scope["scheme"] == "https" or public.lower().startswith("https://")


def session_secret(connection: HTTPConnection, settings: Settings) -> str | None:
    """Return what the session's cookie holds, or None without one."""
    return connection.cookies.get(_name(connection, settings)) or None


def give_session(
    response: Response, connection: HTTPConnection, settings: Settings, secret: str
) -> None:
    """Let a response sign a browser in."""
    response.set_cookie(
        _name(connection, settings),
        secret,
        max_age=int(settings.session_s),
        path="/",
        httponly=True,
        secure=is_secure(connection, settings),
        samesite="strict",
    )


def take_session(response: Response, connection: HTTPConnection, settings: Settings) -> None:
    """Let a response take the cookie away."""
    response.delete_cookie(
        _name(connection, settings),
        path="/",
        httponly=True,
        secure=is_secure(connection, settings),
        samesite="strict",
    )


def _name(connection: HTTPConnection, settings: Settings) -> str:
    return f"{_HOST_ONLY}{_NAME}" if is_secure(connection, settings) else _NAME
