"""Who may come in to a service."""

from __future__ import annotations

from collections.abc import Iterator

from closingbell.client.request import Request, path, query
from closingbell.client.synchronous.transport import Transport
from closingbell.core.role import Role
from closingbell.wire.session import SessionInfo, WebSessionInfo
from closingbell.wire.token import NewToken, TokenInfo


class Tokens:
    """API tokens."""

    def __init__(self, transport: Transport) -> None:
        """Make it; use `client.tokens`."""
        self._transport = transport

    def whoami(self) -> SessionInfo:
        """Return as whom this client is known."""
        return self._transport.get(("session",), SessionInfo)

    def all(self) -> Iterator[TokenInfo]:
        """Yield tokens, without their secrets."""
        return self._transport.walk(("tokens",), TokenInfo)

    def create(
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
        return self._transport.post(("tokens",), NewToken, values)

    def get(self, token_id: str) -> TokenInfo:
        """Return what is kept of a token."""
        return self._transport.get(("tokens", token_id), TokenInfo)

    def revoke(self, token_id: str, reason: str | None = None) -> TokenInfo:
        """Let a token open nothing any more."""
        request = Request("DELETE", path("tokens", token_id), query({"reason": reason}))
        return self._transport.ask(request, TokenInfo)

    def sessions(self) -> Iterator[WebSessionInfo]:
        """Yield the browsers that are signed in."""
        return self._transport.walk(("sessions",), WebSessionInfo)

    def end_session(self, session_id: str) -> None:
        """Sign a browser out."""
        self._transport.send(Request("DELETE", path("sessions", session_id)))
