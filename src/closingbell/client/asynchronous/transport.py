"""Transport: sends requests, again where that is safe, and reads the answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from importlib.metadata import version
from random import Random
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
from pydantic import BaseModel

from closingbell.client.address import Address
from closingbell.client.answer import read_answer, read_refusal
from closingbell.client.event_stream import EventReader, SentEvent
from closingbell.client.request import Query, Request, body, fresh_key, path, query
from closingbell.client.retry import Trial, wait_before_retry
from closingbell.core.error import ClosingbellError, RequestInProgress, ServiceUnreachable
from closingbell.wire.page import Page

_T = TypeVar("_T")
#: A page of a list that is read whole.
_PAGE = 500
#: Errors before which not a byte of the request was sent.
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
#: A stream is silent for longer only when it is gone: the service sends a sign of life before.
_SILENCE_S = 45.0
#: The longest wait before a lost stream is looked for again, in seconds.
_LONGEST_PAUSE_S = 15.0


class AsyncTransport:
    """A connection pool to one service."""

    def __init__(self, address: Address, timeout_s: float, tries: int, client: Any = None) -> None:
        """Make it; nothing is sent.

        Args:
            address: of the service.
            timeout_s: how long an answer may take, in seconds.
            tries: how often a request is sent at most, where sending it again is safe.
            client: an `httpx.AsyncClient` of the caller's own.
        """
        self.address = address
        self._tries = tries
        self._chance = Random()  # noqa: S311  (spreads retries)
        self._owns = client is None
        self._http: httpx.AsyncClient = client or httpx.AsyncClient(
            base_url=address.url, timeout=timeout_s, follow_redirects=False
        )
        self._headers = {
            "User-Agent": f"closingbell/{version('closingbell')}",
            "Accept": "application/json",
        }
        if address.token is not None:
            self._headers["Authorization"] = f"Bearer {address.token}"

    async def close(self) -> None:
        """Close the connections."""
        if self._owns:
            await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def ask(self, request: Request, kind: type[_T]) -> _T:
        """Send a request and return its answer as what it is.

        Raises:
            ClosingbellError: what the service refused with, as the same call raises it here.
            ServiceUnreachable: nothing of ours answers.
        """
        response = await self.send(request)
        return read_answer(kind, response.content, self.address.url)

    async def get(self, parts: Sequence[str], kind: type[_T], values: Query | None = None) -> _T:
        """Read what is at a path of the API; see `ask`."""
        return await self.ask(Request("GET", path(*parts), query(values or {})), kind)

    async def post(
        self,
        parts: Sequence[str],
        kind: type[_T],
        values: Mapping[str, Any] | BaseModel | None = None,
        key: str | None = None,
    ) -> _T:
        """Do something once, however often the request has to be sent; see `ask`.

        Args:
            parts: of the path.
            kind: what the answer is.
            values: the body's fields; None = no body.
            key: an idempotency key of the caller's own; default a fresh one.
        """
        headers = {"Idempotency-Key": key or fresh_key()}
        content = None if values is None else body(values)
        return await self.ask(Request("POST", path(*parts), body=content, headers=headers), kind)

    async def walk(
        self, parts: Sequence[str], kind: type[_T], values: Query | None = None
    ) -> AsyncIterator[_T]:
        """Yield every item of a list, page by page."""
        following: str | None = None
        while True:
            asked = {**(values or {}), "limit": _PAGE, "after": following}
            page = await self.get(parts, Page[kind], asked)  # type: ignore[valid-type]
            for item in page.items:
                yield item
            following = page.next
            if following is None:
                return

    async def ask_either(self, request: Request, kind: type[_T], status: int) -> _T:
        """Send a request once, and read its answer whether it succeeded or has this status."""
        result = await self._try(request, 1, status)
        if isinstance(result, httpx.Response):
            return read_answer(kind, result.content, self.address.url)
        raise result[1]

    async def download(self, request: Request) -> AsyncIterator[bytes]:
        """Yield the answer's body as it comes.

        Raises:
            ClosingbellError: what the service refused with.
            ServiceUnreachable: nothing of ours answers, or it broke off.
        """
        async for piece in self._open(request, {"Accept": "*/*"}):
            yield piece

    async def send(self, request: Request) -> httpx.Response:
        """Send a request, again where that is safe; return its successful answer."""
        number = 0
        while True:
            number += 1
            result = await self._try(request, number)
            if isinstance(result, httpx.Response):
                return result
            trial, error = result
            wait_s = wait_before_retry(trial, self._tries, self._chance.random())
            if wait_s is None:
                raise error
            await asyncio.sleep(wait_s)

    async def _try(
        self, request: Request, number: int, also: int = 304
    ) -> httpx.Response | tuple[Trial, ClosingbellError]:
        """Send once; return the answer, or what is known of the failure."""
        repeatable = request.is_repeatable
        try:
            response = await self._http.request(
                request.method,
                request.path,
                params=list(request.query) or None,
                json=request.body,
                headers={**self._headers, **request.headers},
            )
        except (httpx.TransportError, httpx.InvalidURL) as problem:
            reached = not isinstance(problem, _NOT_SENT)
            said = str(problem) or type(problem).__name__
            error = ServiceUnreachable(self.address.url, said)
            error.__cause__ = problem
            return Trial(number, repeatable, None, reached), error
        if response.is_success or response.status_code == also:
            return response
        refusal = read_refusal(response.status_code, response.content, self.address.url)
        asked = response.headers.get("Retry-After", "")
        in_progress = isinstance(refusal, RequestInProgress)
        after_s = float(asked) if asked.isascii() and asked.isdigit() else None
        trial = Trial(number, repeatable, response.status_code, True, in_progress, after_s)
        return trial, refusal

    async def stream(self, request: Request, reader: EventReader) -> AsyncIterator[SentEvent]:
        """Yield what a stream sends, until it ends or breaks; `reader` knows where to resume.

        Raises:
            ClosingbellError: the service refused the stream.
            ServiceUnreachable: the connection could not be made, or broke.
        """
        headers = {"Accept": "text/event-stream"}
        if reader.last_id is not None:
            headers["Last-Event-ID"] = reader.last_id
        async for piece in self._open(request, headers):
            for event in reader.feed(piece):
                yield event

    async def follow(
        self, request: Request, reader: EventReader, last: str
    ) -> AsyncIterator[SentEvent]:
        """Yield what a stream sends; a lost connection is made anew where it broke.

        Once it has begun, the service may be away for as long as it likes.

        Args:
            request: for the stream.
            reader: knows where to resume.
            last: the kind of event after which nothing comes.

        Raises:
            ClosingbellError: the service refused the stream.
            ServiceUnreachable: it could not be reached in the first place.
        """
        failures, begun = 0, False
        while True:
            problem = ServiceUnreachable(self.address.url, "the stream ends before its end")
            try:
                async for event in self.stream(request, reader):
                    failures, begun = 0, True
                    yield event
                    if event.event == last:
                        return
            except ServiceUnreachable as broken:
                problem = broken
            failures += 1
            if failures >= self._tries and not begun:
                raise problem
            await asyncio.sleep(min(reader.retry_s * failures, _LONGEST_PAUSE_S))

    async def _open(self, request: Request, headers: Mapping[str, str]) -> AsyncIterator[bytes]:
        timeout = httpx.Timeout(10.0, read=_SILENCE_S)
        try:
            async with self._http.stream(
                request.method,
                request.path,
                params=list(request.query) or None,
                headers={**self._headers, **request.headers, **headers},
                timeout=timeout,
            ) as response:
                if not response.is_success:
                    refused = await response.aread()
                    raise read_refusal(response.status_code, refused, self.address.url)
                async for piece in response.aiter_raw():
                    yield piece
        except (httpx.TransportError, httpx.StreamError) as problem:
            said = str(problem) or type(problem).__name__
            raise ServiceUnreachable(self.address.url, said) from problem
