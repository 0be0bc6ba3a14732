"""Refusals: whatever goes wrong leaves as problem details, and nothing of the inside with it."""

from __future__ import annotations

import logging
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from closingbell.api.problem import problem_response, refuse
from closingbell.core.error import ClosingbellError, InvalidRequest

_log = logging.getLogger("closingbell")

_CODES = {
    400: "bad_request",
    404: "not_found",
    405: "method_not_allowed",
    413: "payload_too_large",
    415: "unsupported_media_type",
}
_DETAILS = {
    404: "there is nothing at this path: see /openapi.json for what there is",
    405: "this path does not take this method: see the header Allow",
    413: "the body is too large",
}
#: More are not told: who sent them mends the first ones first.
_MOST = 20


def install(api: FastAPI) -> None:
    """Let every refusal of the routes be told as problem details."""
    api.add_exception_handler(ClosingbellError, refuse)
    api.add_exception_handler(RequestValidationError, _refuse_values)
    api.add_exception_handler(HTTPException, _refuse_plainly)


class LastResort:
    """The outermost ASGI middleware: what nobody else has answered is answered here."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False

        async def noting(message: Message) -> None:
            nonlocal begun
            begun = begun or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, noting)
        except ClientDisconnect:
            return
        except Exception as problem:
            if begun:
                raise
            await _answer(scope, problem)(scope, receive, send)


def _answer(scope: Scope, problem: Exception) -> Response:
    if isinstance(problem, ClosingbellError):
        return refuse(Request(scope), problem)
    _log.error("%s %s failed", scope["method"], scope["path"], exc_info=problem)
    return problem_response(
        500, "this is a mistake of ours: the log of the service says more", "internal_error"
    )


def _refuse_values(request: Request, error: Exception) -> Response:
    """Answer values that do not fit a route: where, and what was expected; never the value."""
    if not isinstance(error, RequestValidationError):
        raise error
    found = [(_place(one["loc"]), str(one["msg"])[:300]) for one in error.errors()[:_MOST]]
    return refuse(request, InvalidRequest(found))


def _place(location: tuple[Any, ...]) -> str:
    first, *rest = location or ("request",)
    return str(first) + "".join(
        f"[{part}]" if isinstance(part, int) else f".{str(part)[:60]}" for part in rest
    )


def _refuse_plainly(_request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    status = error.status_code
    detail = _DETAILS.get(status) or str(error.detail)
    headers = None if error.headers is None else dict(error.headers)
    return problem_response(status, detail, _CODES.get(status, "refused"), headers=headers)
