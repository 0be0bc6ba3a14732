"""Authentication: who sends a request; nobody unknown passes, but to the public paths."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from closingbell.api.security.cookie import session_secret
from closingbell.api.security.doorkeeper import Doorkeeper
from closingbell.api.security.origin import SAFE, require_csrf, require_own_origin
from closingbell.api.security.principal import Principal
from closingbell.core.actor import acting_as
from closingbell.core.error import NotSignedIn, SignInRefused

#: What everybody may ask for; each of these looks for itself at who asks, or does not care.
PUBLIC = frozenset(
    {"/", "/livez", "/readyz", "/sign-in", "/sign-in.css", "/sign-in.svg", "/sign-out"}
)
PUBLIC_FOLDERS = ("/oidc/",)
#: Where a sign-in is sent to, by a program or by a page.
_SIGN_INS = frozenset({("POST", "/api/v1/session")})


class Authentication:
    """ASGI middleware: names who sends a request, and what is done is theirs.

    It sets `request.state.principal`, and for cookies `request.state.session_secret`.
    """

    def __init__(self, app: ASGIApp, doorkeeper: Doorkeeper) -> None:
        self._app = app
        self._doorkeeper = doorkeeper

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        connection = HTTPConnection(scope)
        if is_public(scope["path"]) or (scope.get("method"), scope["path"]) in _SIGN_INS:
            if scope.get("method") not in SAFE:
                require_own_origin(connection, self._doorkeeper.settings)
            await self._app(scope, receive, send)
            return
        principal = await self._principal(connection)
        scope.setdefault("state", {})["principal"] = principal
        with acting_as(principal.name, principal.kind, is_person=principal.is_person):
            await self._app(scope, receive, send)

    async def _principal(self, connection: HTTPConnection) -> Principal:
        authorization = connection.headers.get("authorization")
        if authorization is not None:
            # A program that sends a token means that, whatever cookies travel along.
            return await self._of_bearer(connection, authorization)
        secret = session_secret(connection, self._doorkeeper.settings)
        if secret is None:
            raise NotSignedIn(connection.scope["path"])
        principal = self._doorkeeper.remembered(secret)
        if principal is None:
            principal = await run_in_threadpool(self._doorkeeper.session, secret)
        if principal is None:
            raise NotSignedIn(connection.scope["path"])
        if connection.scope.get("method") not in SAFE:
            require_own_origin(connection, self._doorkeeper.settings)
            require_csrf(connection.headers.get("x-csrf-token"), secret)
        connection.scope.setdefault("state", {})["session_secret"] = secret
        return principal

    async def _of_bearer(self, connection: HTTPConnection, authorization: str) -> Principal:
        scheme, _, text = authorization.partition(" ")
        # Of two, a proxy may have looked at the other one.
        alone = len(connection.headers.getlist("authorization")) == 1
        text = text.strip() if alone and scheme.lower() == "bearer" else ""
        principal = self._doorkeeper.remembered(text)
        if principal is None and text:
            principal = await run_in_threadpool(self._doorkeeper.token, text)
        if principal is None:
            # Only now: a valid token is never told to wait.
            address = client_address(connection)
            self._doorkeeper.limit.require(address)
            problem = SignInRefused(
                "this token is unknown, expired or revoked"
                if text
                else "the header Authorization is not 'Bearer' and a token, once"
            )
            self._doorkeeper.refused(address, problem)
            raise problem
        return principal


def is_public(path: str) -> bool:
    """Whether everybody may ask for a path."""
    return path in PUBLIC or path.startswith(PUBLIC_FOLDERS)


def client_address(connection: HTTPConnection) -> str:
    """Return whose failed sign-ins are counted together."""
    return connection.client.host if connection.client is not None else "unknown"
