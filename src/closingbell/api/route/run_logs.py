"""What a run printed and logged: a page of it, or all as it is written."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Header, Query
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from closingbell.api.application import served_app
from closingbell.api.page_token import make_page_token, read_page_token
from closingbell.api.parameter import After, Limit
from closingbell.api.problem import problems
from closingbell.api.route.runs import RunId
from closingbell.api.security.principal import needs
from closingbell.app import App
from closingbell.core.error import InvalidRequest, StoreError, UnknownRun
from closingbell.core.role import Role
from closingbell.wire.page import Page
from closingbell.wire.run import LogPiece

router = APIRouter(prefix="/runs", tags=["runs"])

_App = Annotated[App, Depends(served_app)]
_START = (0, -1)
#: Pieces that are read at once; who does not read on is not read for.
_PIECES = 100
#: How often a followed run is looked at, in seconds.
_LOOK_S = 0.25
#: Something is sent at least so often, so that nobody takes the connection for dead.
_HEARTBEAT_S = 15.0
_SSE = "text/event-stream"

_encode = msgspec.json.Encoder().encode


@router.get(
    "/{run_id:path}/logs",
    operation_id="get_run_logs",
    summary="What a run printed and logged",
    dependencies=[needs(Role.VIEWER)],
    response_model=Page[LogPiece],
    responses={
        **problems(404, 422),
        200: {
            "description": "a page; with Accept: text/event-stream the events `log` (LogPiece), "
            "whose ids resume as Last-Event-ID, and `end` with the state in which the run ended",
            "content": {_SSE: {"schema": {"type": "string"}}},
        },
    },
)
async def get_run_logs(
    run_id: RunId,
    app: _App,
    limit: Limit = 100,
    after: After = None,
    accept: Annotated[str, Header(max_length=1_000, include_in_schema=False)] = "",
    last_event_id: Annotated[
        str | None, Header(description="the id of the last event that you have", max_length=100)
    ] = None,
    follow_after: Annotated[
        str | None,
        Query(max_length=100, description="as Last-Event-ID, for clients that cannot send it"),
    ] = None,
) -> Any:
    """Return a page of output in order, or follow it until the run has ended."""
    if _SSE in accept:
        begun = _read_event_id(last_event_id or follow_after)
        await run_in_threadpool(_require, app, run_id)
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(_follow(app, run_id, begun), media_type=_SSE, headers=headers)
    query = {"list": "logs", "run": run_id}
    position = read_page_token(after, query, (int, int)) or _START
    return await run_in_threadpool(_page, app, run_id, position, limit, query)


def _page(
    app: App, run_id: str, position: tuple[Any, ...], limit: int, query: dict[str, str]
) -> Page[LogPiece]:
    _require(app, run_id)
    rows = app.store.runs.logs(run_id, (position[0], position[1]), limit + 1)
    shown = rows[:limit]
    more = len(rows) > limit
    last = [shown[-1]["fence"], shown[-1]["seq"]] if more else []
    return Page(
        items=[LogPiece(**row) for row in shown],
        next=make_page_token(query, last) if more else None,
    )


async def _follow(app: App, run_id: str, after: tuple[int, int]) -> AsyncIterator[bytes]:
    """Yield events until the run has ended; nothing is read before the client has taken the last."""
    silent_s = 0.0
    yield b": here\n\n"
    while True:
        try:
            state, rows = await run_in_threadpool(_look, app, run_id, after)
        except UnknownRun:
            yield _event("end", None, {"state": None})
            return
        except StoreError:
            # It is asked again; the client need not know.
            state, rows = None, []
        for row in rows:
            after = (row["fence"], row["seq"])
            yield _event("log", after, LogPiece(**row).model_dump(mode="json"))
        if rows:
            silent_s = 0.0
        elif state is not None:
            yield _event("end", after, {"state": state})
            return
        if len(rows) == _PIECES:
            continue
        await asyncio.sleep(_LOOK_S)
        silent_s += _LOOK_S
        if silent_s >= _HEARTBEAT_S:
            silent_s = 0.0
            yield b": here\n\n"


def _look(app: App, run_id: str, after: tuple[int, int]) -> tuple[str | None, list[dict[str, Any]]]:
    """Return the state in which the run ended, if it has, and what was written."""
    # The state first, so that what was written before the end is read after it.
    state = _require(app, run_id)
    ended = state if state in ("success", "failed", "cancelled", "skipped") else None
    return ended, app.store.runs.logs(run_id, after, _PIECES)


def _require(app: App, run_id: str) -> str:
    state = app.store.runs.states([run_id]).get(run_id)
    if state is None:
        raise UnknownRun(run_id)
    return state


def _event(name: str, place: tuple[int, int] | None, data: dict[str, Any]) -> bytes:
    mark = f"id: {place[0]}-{place[1]}\n" if place is not None else ""
    return f"event: {name}\n{mark}data: ".encode() + _encode(data) + b"\n\n"


def _read_event_id(given: str | None) -> tuple[int, int]:
    if given is None:
        return _START
    fence, _, seq = given.partition("-")
    if fence.isdecimal() and seq.removeprefix("-").isdecimal() and len(given) < 40:
        place = int(fence), int(seq)
        if max(place) < 2**63 and place[1] >= -1:
            return place
    raise InvalidRequest([("Last-Event-ID", "expected the id of an event of this stream")])
