"""SecurityHeaders: what browsers are told about every answer."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from closingbell.api.security.cookie import is_secure
from closingbell.settings import Settings

#: For what is no page: nothing may come of it.
API_POLICY = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
#: For pages: scripts, styles and pictures are files of this service, and nothing stands in line.
PAGE_POLICY = (
    "default-src 'self'; object-src 'none'; frame-ancestors 'none'; base-uri 'none'; "
    "form-action 'self'"
)
_ALWAYS = {
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
}
_UNLESS_GIVEN = {
    b"cache-control": b"no-store",
    b"referrer-policy": b"no-referrer",
    b"content-security-policy": API_POLICY.encode(),
}
_UNLESS_GIVEN_BY_PAGE = {
    b"cache-control": b"no-store",
    # Without any referrer a browser calls the origin of a page's form "null", and an own page
    # could not be told from a foreign one.
    b"referrer-policy": b"same-origin",
    b"content-security-policy": PAGE_POLICY.encode(),
}
_TRANSPORT = b"strict-transport-security"
_FOR_A_YEAR = f"max-age={365 * 86_400}".encode()


class SecurityHeaders:
    """ASGI middleware; a route that sends a policy or a cache rule of its own keeps it."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        secure = is_secure(HTTPConnection(scope), self._settings)

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = _with_ours(message["headers"], secure)
            await send(message)

        await self._app(scope, receive, with_headers)


def _with_ours(headers: Iterable[tuple[bytes, bytes]], secure: bool) -> list[tuple[bytes, bytes]]:
    # As bytes, in one go: every answer passes here.
    given = dict(headers)
    is_page = given.get(b"content-type", b"").startswith(b"text/html")
    defaults = _UNLESS_GIVEN_BY_PAGE if is_page else _UNLESS_GIVEN
    ours = {**_ALWAYS, _TRANSPORT: _FOR_A_YEAR} if secure else _ALWAYS
    return [
        *(pair for pair in headers if pair[0] not in ours),
        *ours.items(),
        *(pair for pair in defaults.items() if pair[0] not in given),
    ]
