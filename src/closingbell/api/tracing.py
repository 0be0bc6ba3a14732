"""A span for each request, in the trace that the caller's `traceparent` names.

Forty lines of our own: the instrumentation library for ASGI brings six packages along, and what a
route asks for is one span with its route and its status. Without a tracer nothing is done.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from closingbell.monitor.tracing import context_of, live_tracer

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send


class TracedRequests:
    """ASGI middleware; the span is current inside, so that runs that are submitted continue it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, inside its span."""
        tracer = live_tracer() if scope["type"] == "http" else None
        if tracer is None:
            await self._app(scope, receive, send)
            return
        from opentelemetry.trace import SpanKind, StatusCode, use_span

        given = dict(scope["headers"]).get(b"traceparent")
        span = tracer.start_span(
            f"{scope['method']} {scope['path']}",
            context_of(None if given is None else given.decode("latin-1")),
            SpanKind.SERVER,
            {"http.request.method": scope["method"], "url.path": scope["path"]},
        )

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                status: int = message["status"]
                span.set_attribute("http.response.status_code", status)
                if status >= 500:
                    span.set_status(StatusCode.ERROR)
                route: Any = scope.get("route")
                if route is not None:
                    # One name for all the runs that a route is asked about.
                    span.update_name(f"{scope['method']} {route.path}")
                    span.set_attribute("http.route", route.path)
            await send(message)

        with use_span(span, end_on_exit=True):
            await self._app(scope, receive, told)
