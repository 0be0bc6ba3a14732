"""Events, and the triggers that start tasks by them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Response

from closingbell.api.application import served_app
from closingbell.api.location import location
from closingbell.api.page_token import make_page_token, read_page_token
from closingbell.api.parameter import After, Limit, QueryText
from closingbell.api.problem import problems
from closingbell.api.security.principal import needs
from closingbell.app import App
from closingbell.core.actor import giving_reason
from closingbell.core.clock import from_micros
from closingbell.core.mask import mask
from closingbell.core.role import Role
from closingbell.schedule_book import ScheduleBook
from closingbell.wire.event import (
    EventInfo,
    EventPosted,
    EventRequest,
    EventTriggerGiven,
    EventTriggerInfo,
)
from closingbell.wire.page import Page
from closingbell.wire.text import Because

router = APIRouter(tags=["events"])

_App = Annotated[App, Depends(served_app)]
_Type = Annotated[QueryText, Query(description="only of this type")]
_Masked = Mapping[str, tuple[str, ...]]


@router.get(
    "/events",
    operation_id="list_events",
    summary="What happened, the latest first",
    dependencies=[needs(Role.VIEWER)],
    responses=problems(422),
)
def list_events(
    app: _App, type: _Type = None, limit: Limit = 100, after: After = None
) -> Page[EventInfo]:
    """List a page of events with their data."""
    query = {"list": "events", "type": type}
    position = read_page_token(after, query, (int, str))
    before = None if position is None else (position[0], position[1])
    rows = app.store.event_book.page(type, before=before, limit=limit + 1)
    shown = rows[:limit]
    masked = app.store.masks.by_event()
    items = [
        EventInfo(
            id=row["id"],
            type=row["type"],
            data=mask(row["data"], masked.get(row["type"], ())),
            happened_at=from_micros(row["happened_at"]),
            runs=row["runs"],
        )
        for row in shown
    ]
    following = None
    if len(rows) > limit:
        following = make_page_token(query, [shown[-1]["happened_at"], shown[-1]["id"]])
    return Page(items=items, next=following)


@router.post(
    "/events",
    status_code=201,
    operation_id="post_event",
    summary="Say that something happened",
    dependencies=[needs(Role.OPERATOR)],
    responses=problems(409, 413, 415, 422),
)
def post_event(given: EventRequest, app: _App) -> EventPosted:
    """Store an event and the runs that it starts, in one transaction.

    With an `id`, or an Idempotency-Key, the same event sent twice is stored once.
    """
    event_id, run_ids = app.machinery.intake.post_event(given.type, given.data, given.id)
    return EventPosted(event_id=event_id, run_ids=run_ids)


@router.get(
    "/event-triggers",
    operation_id="list_event_triggers",
    summary="Which tasks run when which events happen",
    dependencies=[needs(Role.VIEWER)],
    responses=problems(422),
)
def list_event_triggers(
    app: _App, type: _Type = None, limit: Limit = 100, after: After = None
) -> Page[EventTriggerInfo]:
    """List a page of event triggers, by id."""
    query = {"list": "event-triggers", "type": type}
    position = read_page_token(after, query, (str,))
    last = None if position is None else position[0]
    rows = app.store.event_book.triggers(type, after=last, limit=limit + 1)
    masked = app.store.masks.all()
    following = make_page_token(query, [rows[limit - 1]["id"]]) if len(rows) > limit else None
    book = ScheduleBook(app)
    return Page(items=[_info(row, app, book, masked) for row in rows[:limit]], next=following)


@router.post(
    "/event-triggers",
    status_code=201,
    operation_id="create_event_trigger",
    summary="Run a task whenever an event happens",
    dependencies=[needs(Role.OPERATOR)],
    responses={
        **problems(404, 409, 413, 415, 422),
        201: {"headers": {"Location": {"schema": {"type": "string"}}}},
    },
)
def create_event_trigger(
    request: EventTriggerGiven, app: _App, response: Response
) -> EventTriggerInfo:
    """Register a task for an event; the same request again is the same trigger."""
    book = ScheduleBook(app)
    with giving_reason(request.reason):
        trigger = book.add_event_trigger(
            request.task, request.event_type, request.where, request.payload, request.priority
        )
    response.headers["Location"] = location("event-triggers", trigger.id)
    return _info(app.store.event_book.trigger(trigger.id), app, book, app.store.masks.all())


@router.delete(
    "/event-triggers/{trigger_id:path}",
    status_code=204,
    operation_id="delete_event_trigger",
    summary="Remove an event trigger that was made by hand",
    dependencies=[needs(Role.OPERATOR)],
    responses=problems(404, 409, 422),
)
def delete_event_trigger(
    trigger_id: Annotated[str, Path(min_length=1, max_length=500, pattern=r"^[^\x00]*$")],
    app: _App,
    request: Because | None = None,
) -> None:
    """Remove an event trigger; the runs that it started stay."""
    reason = None if request is None else request.reason
    ScheduleBook(app).remove_event_trigger(trigger_id, reason)


def _info(
    row: Mapping[str, Any], app: App, book: ScheduleBook, masked: _Masked
) -> EventTriggerInfo:
    return EventTriggerInfo(
        id=row["id"],
        task=row["task"],
        registered=row["task"] in app.registry,
        event_type=row["event_type"],
        where=row["condition"],
        payload=mask(row["payload"], masked.get(row["task"], ())),
        priority=row["priority"],
        source=row["source"],
        declared_in_code=book.is_declared("event trigger", row["id"], row["source"], row["task"]),
        created_at=from_micros(row["created_at"]),
    )
