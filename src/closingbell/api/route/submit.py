"""A run is asked for: the route that is asked for most of all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import Request, Response
from starlette.concurrency import run_in_threadpool

from closingbell.api.direct_route import DirectRoute
from closingbell.api.location import location
from closingbell.api.problem import problems
from closingbell.api.route.runs import unknown_in_body
from closingbell.api.security.principal import needs
from closingbell.core.actor import giving_reason
from closingbell.core.error import UnknownTask
from closingbell.core.role import Role
from closingbell.core.run_summary import RunSummary
from closingbell.submission import Options
from closingbell.wire.instant import aware
from closingbell.wire.run import RunRequest, RunSummaryInfo

if TYPE_CHECKING:
    from closingbell.api.submit_line import SubmitLine
    from closingbell.app import App


async def submit_run(request: RunRequest, http: Request) -> Response:
    """Store a run; it is on the disk when the answer comes."""
    app: App = http.app.state.app
    options = Options(
        None if request.at is None else aware(request.at, app.settings.timezone),
        request.delay_s,
        request.priority,
        tuple(request.tags),
        request.key,
    )
    intake = app.machinery.intake
    try:
        task = app.registry.resolve(request.task)
    except UnknownTask as problem:
        return unknown_in_body(problem)
    with giving_reason(request.reason):
        prepared = intake.prepare(task, request.payload, options)
        if prepared.is_plain:
            line: SubmitLine = http.app.state.submit_line
            taken = await line.take(prepared)
        else:
            taken = await run_in_threadpool(intake.take, task, request.payload, options)
    if taken.is_new:
        return _made(RunSummaryInfo.of(RunSummary.made(taken.id, taken.template)), 201)
    [run] = await run_in_threadpool(app.store.run_pages.of, [taken.id])
    return _made(RunSummaryInfo.of(run), 200)


def _made(run: RunSummaryInfo, status: int) -> Response:
    return Response(
        run.model_dump_json(by_alias=True),
        status,
        {"Location": location("runs", run.id)},
        "application/json",
    )


def submit_route(prefix: str) -> DirectRoute:
    """Return the route of `submit_run` under a prefix."""
    return DirectRoute(
        f"{prefix}/runs",
        submit_run,
        methods=["POST"],
        status_code=201,
        operation_id="submit_run",
        summary="Run a task, now or later",
        tags=["runs"],
        dependencies=[needs(Role.OPERATOR)],
        response_model=RunSummaryInfo,
        responses={
            **problems(409, 413, 415, 422),
            200: {"model": RunSummaryInfo, "description": "the earlier run with this key"},
            201: {"headers": {"Location": {"schema": {"type": "string"}}}},
        },
    )
