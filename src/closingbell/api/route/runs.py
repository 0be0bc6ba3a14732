"""Runs: asked for, found, looked at, cancelled, tried again, hastened."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Query, Response
from fastapi.responses import JSONResponse
from pydantic import Field

from closingbell.api.application import served_app
from closingbell.api.page_token import make_page_token, read_page_token
from closingbell.api.problem import problem_response, problems
from closingbell.api.security.principal import needs
from closingbell.app import App
from closingbell.core.actor import giving_reason
from closingbell.core.clock import to_micros
from closingbell.core.error import InvalidTransition, UnknownTask
from closingbell.core.role import Role
from closingbell.core.run import Run, RunState
from closingbell.wire.page import Page
from closingbell.wire.run import (
    Explanation,
    HappeningInfo,
    RunInfo,
    RunSummaryInfo,
)
from closingbell.wire.run_filter import RunFilterGiven
from closingbell.wire.text import Because

router = APIRouter(prefix="/runs", tags=["runs"])

_App = Annotated[App, Depends(served_app)]
RunId = Annotated[
    str, Path(min_length=1, max_length=500, pattern=r"^[^\x00]*$", description="the run's id")
]
_IfNoneMatch = Annotated[
    str | None,
    Header(alias="If-None-Match", max_length=1_000, description="the ETag of what you have"),
]
_ETAG = {"ETag": {"description": "of how it stands", "schema": {"type": "string"}}}


class RunListQuery(RunFilterGiven):
    """Which runs, and which page of them."""

    limit: int = Field(default=100, ge=1, le=1000, description="at most so many items")
    after: str | None = Field(default=None, description="`next` of the page before")


@router.get(
    "",
    operation_id="list_runs",
    summary="Runs that a filter means, the newest first",
    dependencies=[needs(Role.VIEWER)],
    responses=problems(422),
)
def list_runs(app: _App, given: Annotated[RunListQuery, Query()]) -> Page[RunSummaryInfo]:
    """List a page of runs, without payloads, results and tracebacks.

    A page looks at a bounded number of rows: `complete: false` says that it stopped there, and
    that the next page goes on.
    """
    wanted = given.read(app.settings.timezone)
    query = {"list": "runs", "of": [str(item) for item in wanted.said.items()]}
    position = read_page_token(given.after, query, (str,))
    page = app.store.run_pages.page(wanted, None if position is None else position[0], given.limit)
    return Page(
        items=[RunSummaryInfo.of(run) for run in page.items],
        next=None if page.next is None else make_page_token(query, [page.next]),
        complete=page.complete,
    )


@router.get(
    "/{run_id:path}/history",
    operation_id="get_run_history",
    summary="What happened to a run, the first thing first",
    dependencies=[needs(Role.VIEWER)],
    responses=problems(404, 422),
)
def get_run_history(run_id: RunId, app: _App) -> list[HappeningInfo]:
    """Return its submission, its attempts, its end, and what people did to it."""
    return [HappeningInfo.of(one) for one in app.store.run_history.of(run_id)]


@router.get(
    "/{run_id:path}/explanation",
    operation_id="explain_run",
    summary="Why a run is where it is",
    dependencies=[needs(Role.VIEWER)],
    responses=problems(404, 422),
)
def explain_run(run_id: RunId, app: _App) -> Explanation:
    """Say in one line why a run is in its state, and what it waits for."""
    run = app.get_run(run_id)
    return Explanation(id=run.id, state=run.state, explanation=app.machinery.explain_run(run_id))


@router.post(
    "/{run_id:path}/cancel",
    operation_id="cancel_run",
    summary="End a run",
    dependencies=[needs(Role.OPERATOR)],
    response_model=RunInfo,
    responses={
        **problems(404, 409, 415, 422),
        202: {"model": RunInfo, "description": "it runs, and its worker is asked to end it"},
    },
)
def cancel_run(
    run_id: RunId, app: _App, response: Response, because: Because | None = None
) -> RunInfo:
    """End a waiting run at once; of a running one ask its worker to end it."""
    reason = because.reason if because is not None else None
    state = app.cancel(run_id, reason or "cancelled through the API")
    if state is RunState.RUNNING:
        response.status_code = 202
    return told(run_id, app)


@router.post(
    "/{run_id:path}/retry",
    operation_id="retry_run",
    summary="Run an ended run again",
    dependencies=[needs(Role.OPERATOR)],
    responses=problems(404, 409, 415, 422),
)
def retry_run(run_id: RunId, app: _App, because: Because | None = None) -> RunInfo:
    """Let an ended run, or one that waits for its retry, run again now.

    It has as many attempts more as its task's policy gives.
    """
    with giving_reason(because.reason if because is not None else None):
        app.retry(run_id)
    return told(run_id, app)


@router.post(
    "/{run_id:path}/run-now",
    operation_id="hasten_run",
    summary="Let a scheduled run begin now",
    dependencies=[needs(Role.OPERATOR)],
    responses=problems(404, 409, 415, 422),
)
def hasten_run(run_id: RunId, app: _App, because: Because | None = None) -> RunInfo:
    """Let a run that waits for its time be claimed now."""
    with giving_reason(because.reason if because is not None else None):
        run = app.get_run(run_id)
        app.machinery.run_now(run_id)
    if run.state is not RunState.SCHEDULED:
        raise InvalidTransition(run_id, run.state, "pending")
    return told(run_id, app)


@router.get(
    "/{run_id:path}",
    operation_id="get_run",
    summary="All that is known of a run",
    dependencies=[needs(Role.VIEWER)],
    response_model=RunInfo,
    responses={
        **problems(404, 422),
        200: {"headers": _ETAG},
        304: {"description": "it stands as you know it"},
    },
)
def get_run(
    run_id: RunId, app: _App, response: Response, if_none_match: _IfNoneMatch = None
) -> Any:
    """Return a run with its attempts, its result or error, and why it is where it is.

    The ETag is that of the run; its explanation may tell more as time passes.
    """
    run = app.get_run(run_id)
    etag = _etag(run)
    if if_none_match is not None and etag in [one.strip() for one in if_none_match.split(",")]:
        return Response(status_code=304, headers={"ETag": etag})
    response.headers["ETag"] = etag
    return _told(run, app)


def told(run_id: str, app: App) -> RunInfo:
    """Return a run as the API tells it."""
    return _told(app.get_run(run_id), app)


def unknown_in_body(problem: UnknownTask) -> JSONResponse:
    """Refuse a body that names a task that is not there: the path itself is right."""
    return problem_response(422, str(problem), problem.code, problem.fields)


def _told(run: Run, app: App) -> RunInfo:
    masked = app.store.masks.all().get(run.task, ())
    return RunInfo.whole(run, masked, app.machinery.explain_run(run.id))


def _etag(run: Run) -> str:
    asked = run.cancel_requested_at is not None
    due = to_micros(run.due_at)
    return f'W/"{run.fence}-{run.state}-{run.attempt}-{due}-{run.hold or ""}{"-asked" * asked}"'
