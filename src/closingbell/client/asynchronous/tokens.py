"""Who may come in to a service."""

from __future__ import annotations

from collections.abc import AsyncIterator

from closingbell.client.asynchronous.transport import AsyncTransport
from closingbell.client.request import Request, path, query
from closingbell.core.role import Role
from closingbell.wire.session import SessionInfo, WebSessionInfo
from closingbell.wire.token import NewToken, TokenInfo


class AsyncTokens:
    """API tokens."""

    def __init__(self, transport: AsyncTransport) -> None:
        """Make it; use `client.tokens`."""
        self._transport = transport

    async def whoami(self) -> SessionInfo:
        """Return as whom this client is known."""
        return await self._transport.get(("session",), SessionInfo)

    def all(self) -> AsyncIterator[TokenInfo]:
        """Yield tokens, without their secrets."""
        return self._transport.walk(("tokens",), TokenInfo)

    async def create(
        self,
        name: str,
        role: Role,
        *,
        owner: str | None = None,
        expires_in_s: float | None = None,
    ) -> NewToken:
        """Make a token; its secret is in the answer, and nowhere else.

        Args:
            name: what it is for.
            role: what it may do.
            owner: the person whose acts these are; None = a program.
            expires_in_s: refused after so long; None = never.
        """
        values = {"name": name, "role": role, "owner": owner, "expires_in_s": expires_in_s}
        return await self._transport.post(("tokens",), NewToken, values)

    async def get(self, token_id: str) -> TokenInfo:
        """Return what is kept of a token."""
        return await self._transport.get(("tokens", token_id), TokenInfo)

    async def revoke(self, token_id: str, reason: str | None = None) -> TokenInfo:
        """Let a token open nothing any more."""
        request = Request("DELETE", path("tokens", token_id), query({"reason": reason}))
        return await self._transport.ask(request, TokenInfo)

    def sessions(self) -> AsyncIterator[WebSessionInfo]:
        """Yield the browsers that are signed in."""
        return self._transport.walk(("sessions",), WebSessionInfo)

    async def end_session(self, session_id: str) -> None:
        """Sign a browser out."""
        await self._transport.send(Request("DELETE", path("sessions", session_id)))
