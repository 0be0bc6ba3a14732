"""Strict JSON: what two readers could take for different things is refused at the door."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote_to_bytes

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from closingbell.api.problem import problem_response
from closingbell.core.error import InvalidRequest

#: Objects and arrays inside one another; no payload of a desk comes near.
DEEPEST = 64
#: Longer bodies are read in a thread, so that nobody else waits for them.
_SHORT_BYTES = 64 * 1024
#: Where a body is of this API's making and not of a page's form.
_PREFIX = "/api/"

_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_NOT_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")
# A number too long, an exponent too large, or an escape that may be half a pair or NUL.
_SUSPICIOUS = re.compile(rb"[0-9]{19}|[0-9][eE]\+?[0-9]{3}|\\u(?:[dD][89a-fA-F]|0000)")


class StrictJson:
    """ASGI middleware that refuses a request whose body, path or query is not sound.

    It sets `request.state.json`, when there is a body.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        _check_address(scope)
        if scope["method"] in ("GET", "HEAD", "OPTIONS") or not scope["path"].startswith(_PREFIX):
            await self._app(scope, receive, send)
            return
        body = await _whole(receive)
        if body:
            refusal = _unreadable(Headers(scope=scope))
            if refusal is not None:
                await problem_response(415, refusal, "unsupported_media_type")(scope, receive, send)
                return
            if len(body) > _SHORT_BYTES:
                read = await run_in_threadpool(read_strict, body)
            else:
                read = read_strict(body)
            scope.setdefault("state", {})["json"] = read
        await self._app(scope, _replay(body, receive), send)


def read_strict(body: bytes) -> Any:
    """Read JSON that means one thing only.

    Raises:
        InvalidRequest: it is not UTF-8 or not JSON, nests too deeply, names something twice,
            or holds a number or a text that cannot be kept; it says where.
    """
    if body.count(b"[") + body.count(b"{") > DEEPEST:
        _check_depth(body)
    problems: list[_Problem] = []

    def whole(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = dict(pairs)
        if len(found) != len(pairs):
            names = [name for name, _ in pairs]
            for name in found:
                if names.count(name) > 1:
                    found[name] = _Problem("the name is given twice")
                    problems.append(found[name])
                    break
        return found

    def constant(name: str) -> _Problem:
        problems.append(_Problem(f"{name} is no number in JSON"))
        return problems[-1]

    try:
        read = json.loads(body.decode(), object_pairs_hook=whole, parse_constant=constant)
    except UnicodeDecodeError as problem:
        raise _refusal(f"not UTF-8 at byte {problem.start}") from None
    except json.JSONDecodeError as problem:
        raise _refusal(
            f"not JSON: {problem.msg} (line {problem.lineno}, column {problem.colno})"
        ) from None
    except RecursionError:
        raise _too_deep() from None
    except ValueError:
        # Python refuses to read a number of thousands of digits.
        raise _refusal("a number is too large: expected at most 64 bits") from None
    if problems or _SUSPICIOUS.search(body):
        found = list(_problems("body", read))
        if found:
            raise InvalidRequest(found[:20])
    return read


class _Problem:
    """Stands where something wrong was read, until its place is known."""

    def __init__(self, what: str) -> None:
        self.what = what


def _problems(where: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, _Problem):
        yield where, value.what
    elif isinstance(value, dict):
        for name, item in value.items():
            for what in _text_problems(name):
                yield where, f"a name has {what}"
            yield from _problems(f"{where}.{_short(name)}", item)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _problems(f"{where}[{index}]", item)
    elif isinstance(value, str):
        for what in _text_problems(value):
            yield where, f"the text has {what}"
    elif isinstance(value, float):
        if value in (float("inf"), float("-inf")):
            yield where, "the number is too large"
    elif isinstance(value, int) and not -(2**63) <= value < 2**63:
        yield where, "the number is too large: expected at most 64 bits (send it as text)"


def _text_problems(text: str) -> Iterator[str]:
    if "\0" in text:
        yield "a NUL character"
    if any("\ud800" <= character <= "\udfff" for character in text):
        yield "half a surrogate pair"


def _short(name: str) -> str:
    """Return a name as an error shows it: of bounded length, and as text."""
    name = name.encode(errors="replace").decode()
    return name if len(name) <= 60 else name[:60] + "..."


def _check_depth(body: bytes) -> None:
    brackets = _STRING.sub(b"", body).translate(None, _NOT_BRACKETS)
    for _ in range(DEEPEST):
        brackets = brackets.replace(b"[]", b"").replace(b"{}", b"")
        if not brackets:
            return
    raise _too_deep()


def _too_deep() -> InvalidRequest:
    return _refusal(f"objects and arrays are nested deeper than {DEEPEST}")


def _refusal(what: str) -> InvalidRequest:
    return InvalidRequest([("body", what)])


def _unreadable(headers: Headers) -> str | None:
    """Return why a body cannot be read by its headers, or None."""
    kind, _, parameters = headers.get("content-type", "").partition(";")
    charset = parameters.strip().lower().removeprefix("charset=").strip('"')
    if kind.strip().lower() != "application/json" or charset not in ("", "utf-8", "utf8"):
        return "expected a body of Content-Type: application/json, in UTF-8"
    if headers.get("content-encoding", "identity").lower() != "identity":
        return "expected a body without Content-Encoding"
    return None


def _check_address(scope: Scope) -> None:
    raw = scope.get("raw_path") or b""
    for where, part in (("path", raw), ("query", scope["query_string"])):
        if b"%" in part:
            try:
                text = unquote_to_bytes(part).decode()
            except UnicodeDecodeError:
                raise InvalidRequest([(where, "not UTF-8")]) from None
            if "\0" in text:
                raise InvalidRequest([(where, "has a NUL character")])


async def _whole(receive: Receive) -> bytes:
    chunks: list[bytes] = []
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunks.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(chunks)


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that gives the body again, and then what the connection says."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
