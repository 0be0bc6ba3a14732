"""BodyLimit: what is too large is refused before it is read, or while it is."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from closingbell.api.problem import refuse
from closingbell.core.error import BodyTooLarge


class BodyLimit:
    """ASGI middleware that takes no more than so many bytes of a request."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        told = Headers(scope=scope).get("content-length", "0")
        if not told.isascii() or not told.isdigit() or int(told[:20]) > self._limit:
            raise BodyTooLarge(self._limit)
        taken, begun, refused = 0, False, False

        async def measured() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > self._limit:
                raise BodyTooLarge(self._limit)
            return message

        async def unless_over(message: Message) -> None:
            nonlocal begun, refused
            if taken > self._limit and not begun:
                # Who read the body may have taken our refusal for a broken connection.
                if not refused:
                    refused = True
                    answer = refuse(Request(scope), BodyTooLarge(self._limit))
                    await answer(scope, receive, send)
                return
            begun = True
            await send(message)

        await self._app(scope, measured, unless_over)
