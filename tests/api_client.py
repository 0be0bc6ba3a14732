"""Clients of an app's API in the same process, signed in as somebody of a role."""

from __future__ import annotations

import asyncio
import os
import threading
from types import TracebackType

import httpx
from fastapi import FastAPI
from starlette.types import ASGIApp

from closingbell.api.application import create_api, warm
from closingbell.app import App
from closingbell.core.role import Role
from closingbell.core.token import make_token

#: The address that requests are sent to; nothing listens there.
ADDRESS = "http://127.0.0.1"


def signed_in(app: App, role: Role = Role.ADMIN, name: str | None = None) -> httpx.Client:
    """Return a client for plain tests; use it in a `with` block or close it.

    Args:
        app: whose API.
        role: what it may do.
        name: of the person whose token it shows; None = a program's.
    """
    return httpx.Client(
        transport=_Beside(create_api(app)), base_url=ADDRESS, headers=bearer(app, role, name)
    )


def signed_in_async(
    app: App, role: Role = Role.ADMIN, name: str | None = None
) -> httpx.AsyncClient:
    """Return a client for async tests."""
    transport = httpx.ASGITransport(create_api(app), raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url=ADDRESS, headers=bearer(app, role, name))


def nobody(app: App) -> httpx.Client:
    """Return a client that is not signed in."""
    return httpx.Client(transport=_Beside(create_api(app)), base_url=ADDRESS)


def bearer(app: App, role: Role = Role.ADMIN, name: str | None = None) -> dict[str, str]:
    """Return the header of a new token of a role."""
    token = make_token(os.urandom)
    app.store.tokens.create(
        token.id,
        name or f"a {role}",
        role,
        token.hash,
        app.clock.micros(),
        owner=name,
    )
    return {"Authorization": f"Bearer {token.text}"}


def beside(api: ASGIApp) -> httpx.BaseTransport:
    """Return a transport to an application, for plain clients of one's own."""
    return _Beside(api)


class _Beside(httpx.BaseTransport):
    """Runs the application on an event loop in a thread of its own, for clients that are plain."""

    def __init__(self, api: ASGIApp) -> None:
        if isinstance(api, FastAPI):
            # Several of these may get their first request at once, each in its own thread.
            warm(api)
        self._transport = httpx.ASGITransport(api, raise_app_exceptions=False)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="test api")
        self._thread.start()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        asked = asyncio.run_coroutine_threadsafe(self._ask(request), self._loop)
        return asked.result(60)

    async def _ask(self, request: httpx.Request) -> httpx.Response:
        answer = await self._transport.handle_async_request(request)
        body = await answer.aread()
        return httpx.Response(answer.status_code, headers=answer.headers, content=body)

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._loop.shutdown_default_executor(), self._loop).result(
            10
        )
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def __exit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        self.close()
