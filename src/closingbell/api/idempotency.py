"""Idempotency-Key: a POST whose answer was lost is sent again, and done once."""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from closingbell.api.problem import MEDIA_TYPE
from closingbell.api.security.principal import Principal
from closingbell.core.error import InvalidRequest, RequestInProgress, RequestKeyReused
from closingbell.core.identity import deriving
from closingbell.store.idempotency import Claimed, Standing

if TYPE_CHECKING:
    from closingbell.app import App

#: A key is known for so long, in seconds.
KEPT_S = 86_400.0
#: A request that is not answered for so long was that of a process that died, in seconds.
CLAIM_S = 60.0
#: Between two looks for keys that are too old, in seconds.
_PRUNE_S = 600.0
#: A longer answer is not kept; the request is then done again, with the same ids.
_LONGEST_ANSWER = 1_000_000
_KEPT_HEADERS = ("content-type", "location", "etag")
_KEY = re.compile(r"[\x21-\x7e]{1,255}", re.ASCII)
#: What these answer is secret, and is shown once.
_SECRET = ("/api/v1/tokens",)
_SHOWN_ONCE = {
    "type": "about:blank",
    "title": "Conflict",
    "status": 409,
    "detail": "this request was done, and its answer held a secret that is shown once: if it is "
    "lost, revoke what was made and send a new request with a new key",
    "code": "answered_once",
}


class Idempotency:
    """ASGI middleware; inside of who knows the sender, and of what reads the body whole."""

    def __init__(self, app: ASGIApp, served: App) -> None:
        self._app = app
        self._served = served
        self._prune_at = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        state = scope.get("state") or {}
        principal: Principal | None = state.get("principal")
        key = None
        if scope["type"] == "http" and scope["method"] == "POST" and principal is not None:
            key = Headers(scope=scope).get("idempotency-key")
        if key is None or principal is None:
            await self._app(scope, receive, send)
            return
        if not _KEY.fullmatch(key):
            expected = "expected 1 to 255 visible ASCII characters"
            raise InvalidRequest([("header.Idempotency-Key", expected)])
        first = await receive()
        claimed = await run_in_threadpool(
            self._claim, principal.id, key, _hash_of(scope, first.get("body", b""))
        )
        if claimed.standing is Standing.MINE:
            await self._do(scope, _again(first, receive), send, principal.id, key, claimed)
        else:
            await self._tell(key, claimed)(scope, receive, send)

    def _claim(self, principal: str, key: str, request_hash: str) -> Claimed:
        clock, requests = self._served.clock, self._served.store.requests
        now = clock.micros()
        oldest = now - round(KEPT_S * 1_000_000)
        until = now + round(CLAIM_S * max(1.0, clock.speed) * 1_000_000)
        claimed = requests.claim(principal, key, request_hash, now, until, oldest)
        if clock.monotonic() >= self._prune_at:
            self._prune_at = clock.monotonic() + _PRUNE_S
            requests.prune(oldest)
        return claimed

    async def _do(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        principal: str,
        key: str,
        claimed: Claimed,
    ) -> None:
        answer = _Answer(send)
        requests = self._served.store.requests
        request_key = _request_key(principal, key, claimed.created_at)
        scope["state"]["request_key"] = request_key
        try:
            with deriving(request_key):
                await self._app(scope, receive, answer.note)
        except Exception:
            await run_in_threadpool(requests.let_go, principal, key, self._served.clock.micros())
            raise
        # Before the answer is sent: who has it may count on it, and while the store is away nothing
        # has begun that could not be refused.
        kept = answer.kept(scope["path"])
        if kept is None:
            await run_in_threadpool(requests.let_go, principal, key, self._served.clock.micros())
        else:
            await run_in_threadpool(requests.answer, principal, key, *kept)
        await answer.finish()

    def _tell(self, key: str, claimed: Claimed) -> Response:
        if claimed.standing is Standing.REUSED:
            raise RequestKeyReused(key)
        if claimed.standing is Standing.BUSY:
            left = (claimed.claimed_until or 0) - self._served.clock.micros()
            raise RequestInProgress(key, min(5.0, max(1.0, left / 1_000_000)))
        headers = {**claimed.headers, "Idempotent-Replayed": "true"}
        return Response(claimed.body, claimed.status, headers)


class _Answer:
    """What a route answers: kept, and held back until it is stored; of a long one only the end is."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._status = 0
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self._length = 0
        self._held: list[Message] = []
        self._last: Message | None = None

    async def note(self, message: Message) -> None:
        """Hold the beginning and the end back, and pass on what lies between."""
        if message["type"] == "http.response.start":
            self._held.append(message)
            self._status = message["status"]
            headers = Headers(raw=message["headers"])
            self._headers = {
                name: value for name in _KEPT_HEADERS if (value := headers.get(name)) is not None
            }
            return
        if message["type"] == "http.response.body":
            part = message.get("body", b"")
            self._length += len(part)
            if self._length <= _LONGEST_ANSWER:
                self._body.append(part)
            if not message.get("more_body", False):
                self._last = message
                return
        await self._begin()
        await self._send(message)

    def kept(self, path: str) -> tuple[int, dict[str, str], str] | None:
        """Return status, headers and body to store, or None when they are not worth it."""
        if self._last is None or self._status >= 500 or self._status == 429:
            return None
        if path in _SECRET and self._status < 300:
            return 409, {"content-type": MEDIA_TYPE}, json.dumps(_SHOWN_ONCE)
        if self._length > _LONGEST_ANSWER:
            return None
        return self._status, self._headers, b"".join(self._body).decode(errors="replace")

    async def finish(self) -> None:
        """Send what was held back."""
        await self._begin()
        if self._last is not None:
            await self._send(self._last)

    async def _begin(self) -> None:
        while self._held:
            await self._send(self._held.pop(0))


def _hash_of(scope: Scope, body: bytes) -> str:
    parts = (scope["method"].encode(), scope["path"].encode(), scope["query_string"], body)
    told = hashlib.sha256()
    for part in parts:
        told.update(len(part).to_bytes(8, "big") + part)
    return told.hexdigest()


def _request_key(principal: str, key: str, created_at: int) -> str:
    told = hashlib.sha256(f"{principal}\0{key}\0{created_at}".encode()).hexdigest()
    return f"{created_at // 1000:012x}{told}"


def _again(first: Message, receive: Receive) -> Receive:
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return first

    return again
