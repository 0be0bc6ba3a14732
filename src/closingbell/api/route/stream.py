"""`/stream`: what changes, as it changes."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from closingbell.api.problem import problems
from closingbell.api.security.doorkeeper import Doorkeeper
from closingbell.api.security.guard import doorkeeper_of
from closingbell.api.security.principal import needs, principal_of
from closingbell.api.stream.hub import Admitted, Hub
from closingbell.core.error import InvalidRequest, StoreError
from closingbell.core.role import Role
from closingbell.wire.stream import Topic

router = APIRouter(tags=["stream"])

_SENT: dict[int | str, dict[str, Any]] = {
    200: {
        "description": (
            "Server-sent events: `ready` (Ready), `changes` (Changes), `summary` (Summary), "
            "`reset` and `end`"
        ),
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    }
}


@router.get(
    "/stream",
    operation_id="stream",
    summary="Follow what changes",
    dependencies=[needs(Role.VIEWER)],
    response_class=StreamingResponse,
    responses={**problems(422, 429), **_SENT},
)
async def stream(
    request: Request,
    keeper: Annotated[Doorkeeper, Depends(doorkeeper_of)],
    topics: Annotated[
        str | None, Query(description="nouns with commas in between; default all", max_length=200)
    ] = None,
    last_event_id: Annotated[
        str | None, Query(description="as the header, for clients that cannot send it")
    ] = None,
    last_event_id_header: Annotated[str | None, Header(alias="Last-Event-ID")] = None,
) -> StreamingResponse:
    """Send changes, at least once each, until the client goes."""
    hub: Hub = request.app.state.stream
    listener = hub.admit(principal_of(request).id, _read_topics(topics))
    begun = hub.listen(listener, last_event_id_header or last_event_id, _admitted(request, keeper))
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(begun, media_type="text/event-stream", headers=headers)


def _read_topics(text: str | None) -> frozenset[Topic]:
    if text is None:
        return frozenset(Topic)
    known = ", ".join(Topic)
    try:
        found = frozenset(Topic(name.strip()) for name in text.split(",") if name.strip())
    except ValueError:
        raise InvalidRequest([("query.topics", f"expected some of {known}")]) from None
    if not found:
        raise InvalidRequest([("query.topics", f"expected some of {known}")])
    return found


def _admitted(request: Request, keeper: Doorkeeper) -> Admitted:
    """Return what tells whether the sender of a request may still listen."""
    session: str | None = getattr(request.state, "session_secret", None)
    token = request.headers.get("authorization", "").partition(" ")[2].strip()

    def known() -> bool:
        if session is not None:
            # Looking is not being there: a page that only listens still signs out when idle.
            return keeper.stored_session(session) is not None
        return keeper.token(token) is not None

    async def admitted() -> bool:
        try:
            if session is None and keeper.remembered(token) is not None:
                return True
            return await run_in_threadpool(known)
        except StoreError:
            # It cannot be asked now; it is asked again in a moment, and nothing new is told.
            return True

    return admitted
