"""Schedules: made, changed, paused, resumed, run at once; what they will do and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response

from closingbell.api.application import served_app
from closingbell.api.location import location
from closingbell.api.page_token import make_page_token, read_page_token
from closingbell.api.parameter import After, Limit, QueryText
from closingbell.api.problem import problems
from closingbell.api.security.principal import needs
from closingbell.app import App
from closingbell.core.actor import giving_reason
from closingbell.core.clock import from_micros
from closingbell.core.error import (
    AlreadyExists,
    DefinitionError,
    InvalidRequest,
    VersionMissing,
)
from closingbell.core.role import Role
from closingbell.core.schedule import Schedule
from closingbell.core.zone import require_zone
from closingbell.definition import read_schedule
from closingbell.outlook import Prospect, clashes, held_back, outlook
from closingbell.schedule_book import ScheduleBook
from closingbell.store.schedule_book import version_of
from closingbell.triggers import Blackout, trigger_from_dict
from closingbell.wire.instant import Instant, aware
from closingbell.wire.page import Page
from closingbell.wire.run import RunInfo
from closingbell.wire.schedule import (
    BlackoutWindow,
    ClashInfo,
    FiringLine,
    PauseRequest,
    ResumeRequest,
    ScheduleInfo,
    SchedulePreview,
    ScheduleRequest,
    StoredTrigger,
    TickInfo,
)
from closingbell.wire.text import Because

router = APIRouter(prefix="/schedules", tags=["schedules"])

#: A preview looks at so many other schedules for clashes.
_LOOKED_AT = 500
#: So many firings are told in a preview.
_PREVIEWED = 10

_App = Annotated[App, Depends(served_app)]
_ScheduleId = Annotated[
    str, Path(min_length=1, max_length=500, pattern=r"^[^\x00]*$", description="the schedule's id")
]
_IfMatch = Annotated[
    str | None,
    Header(alias="If-Match", max_length=100, description="the ETag of what you read"),
]
_ETAG = {"ETag": {"description": "its version", "schema": {"type": "string"}}}


@router.get(
    "",
    operation_id="list_schedules",
    summary="All schedules, by id",
    dependencies=[needs(Role.VIEWER)],
    responses=problems(422),
)
def list_schedules(
    app: _App,
    task: Annotated[QueryText, Query(description="only this task's")] = None,
    paused: Annotated[bool | None, Query(description="only those that are, or are not")] = None,
    limit: Limit = 100,
    after: After = None,
) -> Page[ScheduleInfo]:
    """List a page of schedules; what cannot be read by this version is left out."""
    query = {"list": "schedules", "task": task, "paused": paused}
    position = read_page_token(after, query, (str,))
    rows = app.store.schedule_book.page(
        task=task,
        paused=paused,
        now=app.clock.micros(),
        after=None if position is None else position[0],
        limit=limit + 1,
    )
    shown = rows[:limit]
    masked = app.store.masks.all()
    book = ScheduleBook(app)
    items = [info for row in shown if (info := _readable(row, app, book, masked)) is not None]
    following = make_page_token(query, [shown[-1]["id"]]) if len(rows) > limit else None
    return Page(items=items, next=following)


@router.post(
    "",
    status_code=201,
    operation_id="create_schedule",
    summary="Make a schedule",
    dependencies=[needs(Role.OPERATOR)],
    responses={
        **problems(404, 409, 413, 415, 422),
        201: {"headers": {**_ETAG, "Location": {"schema": {"type": "string"}}}},
    },
)
def create_schedule(
    request: ScheduleRequest, app: _App, response: Response, whole: Request
) -> ScheduleInfo:
    """Store a schedule; a running scheduler fires it from now on."""
    book = ScheduleBook(app)
    schedule = _draft(book, request, app, request.id)
    try:
        with giving_reason(request.reason):
            book.create(schedule)
    except AlreadyExists:
        # A request with a key may be the second sending of one whose answer was lost.
        if getattr(whole.state, "request_key", None) is None or not book.holds(schedule):
            raise
    response.headers["Location"] = location("schedules", schedule.id)
    return _told(schedule.id, app, response)


@router.post(
    "/preview",
    operation_id="preview_schedule",
    summary="What a schedule would do, without storing it",
    dependencies=[needs(Role.VIEWER)],
    responses=problems(404, 413, 415, 422),
)
def preview_schedule(request: ScheduleRequest, app: _App) -> SchedulePreview:
    """Read a schedule, explain its next ten firings, and say what else fires in their minutes."""
    book = ScheduleBook(app)
    schedule = _draft(book, request, app, request.id)
    lines = outlook(schedule, app.clock.now(), _PREVIEWED)
    instants = [line.fire_at for line in lines if line.fires and line.fire_at is not None]
    others = list(book.others(schedule.id, _LOOKED_AT))
    return SchedulePreview(
        id=schedule.id,
        when=schedule.trigger.describe(),
        trigger=StoredTrigger(**schedule.trigger.to_dict()),
        next=[_line(line) for line in lines],
        clashes=[ClashInfo(**clash._asdict()) for clash in clashes(instants, others)],
        clashes_complete=len(others) < _LOOKED_AT - 1,
    )


@router.post(
    "/{schedule_id:path}/pause",
    operation_id="pause_schedule",
    summary="Stop a schedule from firing",
    dependencies=[needs(Role.OPERATOR)],
    responses=problems(404, 409, 415, 422),
)
def pause_schedule(
    schedule_id: _ScheduleId, request: PauseRequest, app: _App, response: Response
) -> ScheduleInfo:
    """Pause a schedule with a reason, until an instant or until it is resumed."""
    until = None if request.until is None else aware(request.until, app.settings.timezone)
    ScheduleBook(app).pause(schedule_id, request.reason, until)
    return _told(schedule_id, app, response)


@router.post(
    "/{schedule_id:path}/resume",
    operation_id="resume_schedule",
    summary="Let a paused schedule fire again",
    dependencies=[needs(Role.OPERATOR)],
    responses=problems(404, 409, 415, 422),
)
def resume_schedule(
    schedule_id: _ScheduleId, app: _App, response: Response, request: ResumeRequest | None = None
) -> ScheduleInfo:
    """Resume a schedule; one that is not paused is left as it is."""
    given = request or ResumeRequest()
    ScheduleBook(app).resume(schedule_id, catch_up=given.catch_up, reason=given.reason)
    return _told(schedule_id, app, response)


@router.post(
    "/{schedule_id:path}/run-now",
    status_code=201,
    operation_id="run_schedule_now",
    summary="Run a schedule's task at once, beside its firings",
    dependencies=[needs(Role.OPERATOR)],
    responses={
        **problems(404, 409, 415, 422),
        201: {"headers": {"Location": {"schema": {"type": "string"}}}},
    },
)
def run_schedule_now(
    schedule_id: _ScheduleId, app: _App, response: Response, request: Because | None = None
) -> RunInfo:
    """Store a run for now, with the schedule's payload, priority and tags.

    Its `requested_by` says who asked; the overlap policy counts it like any other run.
    """
    run_id = ScheduleBook(app).run_now(schedule_id, None if request is None else request.reason)
    response.headers["Location"] = location("runs", run_id)
    run = app.get_run(run_id)
    masked = app.store.masks.all().get(run.task, ())
    return RunInfo.whole(run, masked, app.machinery.explain_run(run_id))


@router.get(
    "/{schedule_id:path}/next",
    operation_id="list_next_firings",
    summary="The next firings, each with its reason, and what does not fire",
    dependencies=[needs(Role.VIEWER)],
    responses=problems(404, 422),
)
def list_next_firings(
    schedule_id: _ScheduleId,
    app: _App,
    count: Annotated[int, Query(ge=1, le=100, description="how many firings")] = 10,
    after: Annotated[Instant | None, Query(description="from it on; default now")] = None,
) -> list[FiringLine]:
    """Look ahead: holidays, half days, blackouts, clock changes and pauses are told."""
    schedule, _ = ScheduleBook(app).get(schedule_id)
    start = app.clock.now() if after is None else aware(after, app.settings.timezone)
    return [_line(line) for line in outlook(schedule, start, count)]


@router.get(
    "/{schedule_id:path}/ticks",
    operation_id="list_ticks",
    summary="What became of each instant, newest first",
    dependencies=[needs(Role.VIEWER)],
    responses=problems(404, 422),
)
def list_ticks(
    schedule_id: _ScheduleId, app: _App, limit: Limit = 100, after: After = None
) -> Page[TickInfo]:
    """List a page of ticks: each ran, or was skipped and why."""
    ScheduleBook(app).get(schedule_id)
    query = {"list": "ticks", "schedule": schedule_id}
    position = read_page_token(after, query, (int,))
    before = None if position is None else position[0]
    rows = app.store.schedule_book.ticks(schedule_id, before=before, limit=limit + 1)
    following = None
    if len(rows) > limit:
        following = make_page_token(query, [rows[limit - 1]["fire_at"]])
    return Page(items=[_tick(row) for row in rows[:limit]], next=following)


@router.get(
    "/{schedule_id:path}",
    operation_id="get_schedule",
    summary="One schedule",
    dependencies=[needs(Role.VIEWER)],
    responses={**problems(404, 422), 200: {"headers": _ETAG}},
)
def get_schedule(schedule_id: _ScheduleId, app: _App, response: Response) -> ScheduleInfo:
    """Return a schedule; its ETag is what a change of it must send as If-Match."""
    return _told(schedule_id, app, response)


@router.put(
    "/{schedule_id:path}",
    operation_id="change_schedule",
    summary="Give a schedule another rule, payload or policy",
    dependencies=[needs(Role.OPERATOR)],
    responses={**problems(404, 409, 412, 413, 415, 422, 428), 200: {"headers": _ETAG}},
)
def change_schedule(
    schedule_id: _ScheduleId,
    request: ScheduleRequest,
    app: _App,
    response: Response,
    if_match: _IfMatch = None,
) -> ScheduleInfo:
    """Change a schedule as a whole; its ticks, its runs and its pause stay."""
    book = ScheduleBook(app)
    stored, _ = book.get(schedule_id)
    if if_match is None:
        raise VersionMissing("schedule", schedule_id)
    if request.id not in (None, schedule_id):
        raise InvalidRequest([("body.id", "expected the id of the path, or none")])
    schedule = _draft(book, request, app, schedule_id, stored)
    book.change(schedule, if_match.strip().removeprefix("W/").strip('"'), request.reason)
    return _told(schedule_id, app, response)


@router.delete(
    "/{schedule_id:path}",
    status_code=204,
    operation_id="delete_schedule",
    summary="Remove a schedule that was made by hand",
    dependencies=[needs(Role.OPERATOR)],
    responses=problems(404, 409, 422),
)
def delete_schedule(schedule_id: _ScheduleId, app: _App, request: Because | None = None) -> None:
    """Remove a schedule; its ticks and runs stay."""
    ScheduleBook(app).remove(schedule_id, None if request is None else request.reason)


# --- inside --------------------------------------------------------------------------------


def _draft(
    book: ScheduleBook,
    request: ScheduleRequest,
    app: App,
    schedule_id: str | None,
    stored: Schedule | None = None,
) -> Schedule:
    zone = request.timezone or app.settings.timezone
    require_zone(zone)
    options: dict[str, Any] = {
        "timezone": zone,
        "catch_up": request.catch_up,
        "catch_up_window": request.catch_up_window_s,
        "grace": request.grace_s,
        "overlap": request.overlap,
        "jitter": request.jitter_s,
        "start": request.start,
        "end": request.end,
        "blackout": [_window(window, zone) for window in request.blackouts] or None,
    }
    if isinstance(request.trigger, StoredTrigger):
        options["trigger"] = trigger_from_dict(request.trigger.model_dump())
    else:
        options.update(request.trigger.model_dump())
    return book.draft(
        request.task,
        {name: value for name, value in options.items() if value is not None},
        payload=request.payload,
        priority=request.priority,
        tags=request.tags,
        schedule_id=schedule_id,
        stored=stored,
    )


def _window(given: str | BlackoutWindow, zone: str) -> Blackout:
    if isinstance(given, str):
        return Blackout(given, timezone=zone)
    return Blackout(given.window, given.days, given.timezone or zone)


def _told(schedule_id: str, app: App, response: Response) -> ScheduleInfo:
    book = ScheduleBook(app)
    schedule, version = book.get(schedule_id)
    response.headers["ETag"] = f'"{version}"'
    return _info(schedule, version, app, book, app.store.masks.all())


def _readable(
    row: Mapping[str, Any], app: App, book: ScheduleBook, masked: Mapping[str, tuple[str, ...]]
) -> ScheduleInfo | None:
    try:
        return _info(read_schedule(row), version_of(row), app, book, masked)
    except DefinitionError:
        return None


def _info(
    schedule: Schedule,
    version: str,
    app: App,
    book: ScheduleBook,
    masked: Mapping[str, tuple[str, ...]],
) -> ScheduleInfo:
    return ScheduleInfo.of(
        schedule,
        version,
        paused=held_back(schedule, app.clock.now()),
        registered=schedule.task in app.registry,
        declared=book.is_declared("schedule", schedule.id, schedule.source, schedule.task),
        masked=masked.get(schedule.task, ()),
    )


def _line(line: Prospect) -> FiringLine:
    return FiringLine(**line._asdict(), fires=line.fires)


def _tick(row: Mapping[str, Any]) -> TickInfo:
    until = row["until_at"]
    return TickInfo(
        fire_at=from_micros(row["fire_at"]),
        outcome=row["outcome"],
        reason=row["reason"],
        run_id=row["run_id"],
        run_state=row["run_state"],
        count=row["count"],
        until=None if until is None else from_micros(until),
    )
