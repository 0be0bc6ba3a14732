"""AsyncClient: one service, by noun."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

from closingbell.client.address import find_address
from closingbell.client.asynchronous.transport import AsyncTransport


class AsyncClient:
    """A client of one service; use it as a context, or `close` it."""

    def __init__(
        self,
        url: str | None = None,
        *,
        token: str | None = None,
        token_file: str | Path | None = None,
        timeout_s: float = 30.0,
        tries: int = 4,
        insecure: bool = False,
        http: Any = None,
    ) -> None:
        """Make a client; nothing is sent before the first call.

        Args:
            url: of the service; default CLOSINGBELL_URL, else this machine's.
            token: an API token; default that of `token_file`, else CLOSINGBELL_TOKEN.
            token_file: a file with the token in its first line.
            timeout_s: how long an answer may take, in seconds.
            tries: how often a request is sent at most, where sending it again is safe.
            insecure: send the token over plain http to another machine, too.
            http: an `httpx.AsyncClient` of your own, for proxies and certificates.

        Raises:
            SettingError: the address or the token is none.
        """
        address = find_address(url, token, token_file, insecure=insecure)
        self._transport = AsyncTransport(address, timeout_s, tries, http)

    @property
    def url(self) -> str:
        """Where the service is."""
        return self._transport.address.url

    async def close(self) -> None:
        """Close the connections."""
        await self._transport.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
