"""HostCheck: a request names the host it is for, and that must be this service.

A page of another site can give its own name this machine's address ("DNS rebinding") and then ask
as if it were ours. The name stays the other site's, and is refused.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from closingbell.core.error import HostRefused
from closingbell.settings import Settings

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class HostCheck:
    """ASGI middleware that refuses requests for other hosts."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        named = {name.strip().lower() for name in settings.allowed_hosts.split(",")}
        if settings.public_url is not None:
            named.add(urlsplit(settings.public_url).hostname or "")
        self._hosts = (named | _LOOPBACK) - {""}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] in ("http", "websocket"):
            given = Headers(scope=scope).getlist("host")
            name = _name(given[0]) if len(given) == 1 else None
            # The address that the client is connected to is ours, whichever of them that is.
            own = scope.get("server") or ("", None)
            if name is None or (name not in self._hosts and name != str(own[0]).lower()):
                raise HostRefused(", ".join(given))
        await self._app(scope, receive, send)


def _name(host: str) -> str | None:
    """Return the name of a Host header, without its port; None when it is none."""
    try:
        parts = urlsplit(f"//{host}")
        plain = parts.netloc == host and "@" not in host
        # Reading the port checks it.
        return parts.hostname if plain and (parts.port is None or parts.port > 0) else None
    except ValueError:
        return None
