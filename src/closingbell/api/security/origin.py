"""Where a browser's request comes from: a page of this service, or somebody else's."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

from closingbell.core.error import CrossSiteRefused
from closingbell.core.token import derived, is_same
from closingbell.settings import Settings

#: Methods that change nothing.
SAFE = ("GET", "HEAD", "OPTIONS")


def csrf_token(secret: str) -> str:
    """Return what a page of the session sends along; nobody without its cookie can know it."""
    return derived(secret, "closingbell csrf 1")


def require_csrf(given: str | None, secret: str) -> None:
    """Refuse what does not carry the session's token.

    Raises:
        CrossSiteRefused: it is missing, or of another session.
    """
    if given is None or not is_same(given, csrf_token(secret)):
        what = "has no X-CSRF-Token" if given is None else "has the X-CSRF-Token of another session"
        raise CrossSiteRefused(f"a request by cookie {what}")


def require_own_origin(connection: HTTPConnection, settings: Settings) -> None:
    """Refuse what a page of another site sends; programs send neither header, and pass.

    Raises:
        CrossSiteRefused: the browser says that another site's page is behind it.
    """
    origin = connection.headers.get("origin")
    if origin is not None:
        if not _is_own(origin, connection, settings):
            raise CrossSiteRefused(f"a page of {origin[:200]!r} sends this")
    elif connection.headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        raise CrossSiteRefused("a page of another site sends this")


def _is_own(origin: str, connection: HTTPConnection, settings: Settings) -> bool:
    own = {_normal(f"{connection.scope['scheme']}://{connection.headers.get('host', '')}")}
    if settings.public_url is not None:
        own.add(_normal(settings.public_url))
    return _normal(origin) in own - {None}


def _normal(address: str) -> tuple[str, str, int] | None:
    """Return scheme, host and port of an address, or None when it is none."""
    try:
        parts = urlsplit(address)
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return None
    if port is None or not parts.hostname:
        return None
    return parts.scheme, parts.hostname, port
