"""ApiServer: serves the API beside an app, in a thread of its own."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
import threading
from typing import TYPE_CHECKING

import anyio.to_thread
import uvicorn
from fastapi import FastAPI

from closingbell.api.application import create_api, warm
from closingbell.api.patience import PatientProtocol
from closingbell.api.stream.hub import Hub
from closingbell.core.error import ServerAddressError

if TYPE_CHECKING:
    from closingbell.app import App

_log = logging.getLogger("closingbell")

#: Requests that work in threads at once; each may need a connection to the database.
_THREADS = 16
#: Connections at once; more are answered with 503.
_CONNECTIONS = 1_000
#: How long the thread may take to begin and, beyond its grace, to end, in seconds.
_PATIENCE_S = 10.0
#: How long an idle connection is kept for its client's next request, in seconds.
_KEEP_ALIVE_S = 65


class ApiServer:
    """The API of an app at an address.

    Attributes:
        api: the application that is served.
        host: where it listens.
        port: its port; when it was given as 0, the one that was free.
    """

    def __init__(
        self, app: App, host: str = "127.0.0.1", port: int = 8470, *, api: FastAPI | None = None
    ) -> None:
        """Take hold of the address; nothing is answered before `start`.

        Args:
            app: what is served.
            host: where to listen; anything but loopback can be reached by others, unencrypted.
            port: 0 = one that is free.
            api: default `create_api(app)`.

        Raises:
            ServerAddressError: it is taken, or is no address of this machine.
        """
        self.api = create_api(app) if api is None else api
        self.host = host
        self._socket = _bind(host, port)
        self.port: int = self._socket.getsockname()[1]
        self._thread: threading.Thread | None = None
        self._server: uvicorn.Server | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._failure: BaseException | None = None
        self._started = threading.Event()

    @property
    def url(self) -> str:
        """Where to send requests from this machine."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    @property
    def is_open(self) -> bool:
        """Whether other machines may reach it."""
        return not _is_loopback(self._socket.getsockname()[0])

    def start(self) -> None:
        """Answer requests, from a thread of its own.

        Raises:
            ServerAddressError: it could not begin.
        """
        if self.is_open:
            _log.warning(
                "the API listens on %s: other machines can reach it, and what travels is not "
                "encrypted; put a proxy with TLS before it",
                self.host,
            )
        warm(self.api)
        self._thread = threading.Thread(target=self._run, name="closingbell-api", daemon=True)
        self._thread.start()
        self._started.wait(_PATIENCE_S)
        if self._failure is not None or not self._started.is_set():
            raise ServerAddressError(
                self.host, self.port, str(self._failure or "the server did not begin")
            ) from self._failure

    def stop(self, grace_s: float = 5.0) -> None:
        """Take no more requests, end streams, let what runs end within `grace_s`."""
        server, loop, thread = self._server, self._loop, self._thread
        if thread is None or server is None or loop is None:
            self._socket.close()
            return
        server.config.timeout_graceful_shutdown = max(1, round(grace_s))

        def end() -> None:
            server.should_exit = True

        if thread.is_alive():
            loop.call_soon_threadsafe(end)
            thread.join(grace_s + _PATIENCE_S)
        self._thread = None
        self._socket.close()

    def __enter__(self) -> ApiServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _run(self) -> None:
        try:
            import uvloop

            loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
        except ImportError:
            loop = asyncio.new_event_loop()
        try:
            loop.run_until_complete(self._serve(loop))
        except BaseException as problem:
            self._failure = problem
            _log.exception("the API ended")
        finally:
            self._started.set()
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()

    async def _serve(self, loop: asyncio.AbstractEventLoop) -> None:
        anyio.to_thread.current_default_thread_limiter().total_tokens = _THREADS
        config = uvicorn.Config(
            self.api,
            http=PatientProtocol,
            ws="none",
            lifespan="on",
            # Logging belongs to the app; paths may hold what should not be written down.
            log_config=None,
            # That it starts and stops is told by who starts and stops it.
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=_CONNECTIONS,
            timeout_keep_alive=_KEEP_ALIVE_S,
        )
        server = _Server(config, self._started, self.api.state.stream)
        self._server, self._loop = server, loop
        await server.serve([self._socket])


class _Server(uvicorn.Server):
    """Says when it has begun, and lets the application end its streams before it waits for them."""

    def __init__(self, config: uvicorn.Config, started: threading.Event, hub: Hub) -> None:
        super().__init__(config)
        self._begun = started
        self._hub = hub

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._begun.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self._hub.end()
        await super().shutdown(sockets)


def _bind(host: str, port: int) -> socket.socket:
    if not 0 <= port <= 65_535:
        raise ServerAddressError(host, port, "expected a port from 0 (any free one) to 65535")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind, protocol)
    except OSError as problem:
        raise ServerAddressError(host, port, f"it is no address here ({problem})") from problem
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        # Taken for certain only once it listens; nobody is answered before the start.
        bound.listen(2048)
    except OSError as problem:
        bound.close()
        raise ServerAddressError(
            host,
            port,
            f"{problem.strerror or problem}: give another with --port (0 = any free one), or "
            "--no-api for none",
        ) from problem
    bound.setblocking(False)
    return bound


def _is_loopback(address: str) -> bool:
    return ipaddress.ip_address(address.partition("%")[0]).is_loopback
