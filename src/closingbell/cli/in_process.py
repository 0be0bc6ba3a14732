"""InProcess: the service's own API over a store, without a server, for a command on the spot."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

import httpx

if TYPE_CHECKING:
    from closingbell.api.security.principal import Principal
    from closingbell.app import App

_Message = dict[str, Any]
_Result = TypeVar("_Result")


class InProcess(httpx.BaseTransport):
    """Hands an `httpx.Client`'s requests to the routes of an app in this process.

    What the routes do is done as whoever acts at present: nobody has to sign in to what is
    theirs. An answer may be read as it comes.
    """

    def __init__(self, app: App, principal: Principal) -> None:
        """Nothing is opened or loaded yet."""
        self._app = app
        self._apis: dict[str | None, Any] = {}
        self._principal = principal
        self._runner = asyncio.Runner()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer one request; what goes wrong inside is raised as it is."""
        exchange = _Exchange(self._runner.get_loop(), request.read())
        exchange.begin(self._api(request.url.path), self._scope(request))
        start = exchange.next_message()
        if start is None or start["status"] >= 500:
            # An answer 500 is sent before what caused it is raised here.
            exchange.end()
        if start is None:
            raise httpx.RemoteProtocolError("there is no answer")
        return httpx.Response(start["status"], headers=start["headers"], stream=_Body(exchange))

    def _api(self, path: str) -> Any:
        """Return the routes that a path is among, made when something is first asked of them."""
        from closingbell.api.application import create_inner_api, noun_of

        noun = noun_of(path)
        if noun not in self._apis:
            self._apis[noun] = create_inner_api(self._app, path)
        return self._apis[noun]

    def close(self) -> None:
        """End what is still being answered."""
        self._runner.close()

    def _scope(self, request: httpx.Request) -> dict[str, Any]:
        url = request.url
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "method": request.method,
            "scheme": url.scheme,
            "path": url.path,
            "raw_path": url.raw_path.partition(b"?")[0],
            "query_string": url.query,
            "root_path": "",
            "headers": [(name.lower(), value) for name, value in request.headers.raw],
            "client": None,
            "server": None,
            "state": {"principal": self._principal},
        }


class _Exchange:
    """One request and its answer; the loop turns only while somebody waits for a message."""

    def __init__(self, loop: asyncio.AbstractEventLoop, body: bytes) -> None:
        self._loop = loop
        self._body: bytes | None = body
        self._sent: asyncio.Queue[_Message | None] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    def begin(self, api: Any, scope: dict[str, Any]) -> None:
        """Let the routes have the request."""
        self._task = self._loop.create_task(api(scope, self._receive, self._sent.put))
        self._task.add_done_callback(lambda _: self._sent.put_nowait(None))

    def next_message(self) -> _Message | None:
        """Return what is sent next; None at the end.

        Raises:
            Exception: what the routes raise.
        """
        message = self._turn(self._sent.get())
        if message is None:
            self.end()
        return message

    def end(self) -> None:
        """Wait until the routes are done; raises what they raise."""
        if self._task is not None:
            self._turn(self._task)

    def _turn(self, awaited: Coroutine[Any, Any, _Result] | asyncio.Task[_Result]) -> _Result:
        try:
            return self._loop.run_until_complete(awaited)
        except KeyboardInterrupt:
            # It is told by whoever runs the command: the loop must not tell it once more.
            if self._task is not None and self._task.done() and not self._task.cancelled():
                self._task.exception()
            raise

    def abandon(self) -> None:
        """Stop reading an answer, whether it has ended or not."""
        if self._task is not None and not self._task.done():
            self._task.cancel()
            self._loop.run_until_complete(asyncio.wait([self._task]))

    async def _receive(self) -> _Message:
        if self._body is None:
            # Nothing more comes, and nobody hangs up before they abandon it.
            await asyncio.get_running_loop().create_future()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}


class _Body(httpx.SyncByteStream):
    """An answer's body, as it comes."""

    def __init__(self, exchange: _Exchange) -> None:
        self._exchange = exchange

    def __iter__(self) -> Iterator[bytes]:
        while (message := self._exchange.next_message()) is not None:
            piece: bytes = message.get("body", b"")
            if piece:
                yield piece
            if not message.get("more_body"):
                return

    def close(self) -> None:
        self._exchange.abandon()
