"""Batches: runs that are submitted, watched, cancelled and tried again together."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Response

from closingbell.api.application import served_app
from closingbell.api.location import location
from closingbell.api.page_token import make_page_token, read_page_token
from closingbell.api.parameter import After, Limit
from closingbell.api.problem import problems
from closingbell.api.route.runs import unknown_in_body
from closingbell.api.security.principal import needs
from closingbell.app import App
from closingbell.bulk import act_on_all
from closingbell.core.actor import giving_reason
from closingbell.core.batch import eta
from closingbell.core.bulk import MOST, BulkAct
from closingbell.core.error import UnknownTask
from closingbell.core.role import Role
from closingbell.core.run_filter import RunFilter
from closingbell.submission import Options
from closingbell.wire.batch import BatchDetail, BatchInfo, BatchRequest
from closingbell.wire.bulk import BulkAnswer
from closingbell.wire.page import Page
from closingbell.wire.text import Because

router = APIRouter(prefix="/batches", tags=["batches"])

_QUERY = {"list": "batches"}
_App = Annotated[App, Depends(served_app)]
_BatchId = Annotated[
    str, Path(min_length=1, max_length=200, pattern=r"^[^\x00]*$", description="the batch's id")
]


@router.post(
    "",
    status_code=201,
    operation_id="submit_batch",
    summary="Run a task with many payloads",
    dependencies=[needs(Role.OPERATOR)],
    response_model=BatchInfo,
    responses={
        **problems(409, 413, 415, 422),
        201: {"headers": {"Location": {"schema": {"type": "string"}}}},
    },
)
def submit_batch(request: BatchRequest, app: _App, response: Response) -> Any:
    """Store a run for each payload: all of them, or none."""
    try:
        task = app.registry.resolve(request.task)
    except UnknownTask as problem:
        return unknown_in_body(problem)
    options = Options(priority=request.priority, tags=tuple(request.tags))
    with giving_reason(request.reason):
        batch = app.machinery.intake.submit_batch(
            task, request.payloads, request.name or request.task, options
        )
    response.headers["Location"] = location("batches", batch.id)
    return BatchInfo.of(batch)


@router.get(
    "",
    operation_id="list_batches",
    summary="Batches, the newest first",
    dependencies=[needs(Role.VIEWER)],
    responses=problems(422),
)
def list_batches(app: _App, limit: Limit = 100, after: After = None) -> Page[BatchInfo]:
    """List a page of batches."""
    position = read_page_token(after, _QUERY, (str,))
    found = app.store.batches.page(limit + 1, None if position is None else position[0])
    page = found[:limit]
    following = make_page_token(_QUERY, [page[-1].id]) if len(found) > limit else None
    return Page(items=[BatchInfo.of(batch) for batch in page], next=following)


@router.get(
    "/{batch_id}",
    operation_id="get_batch",
    summary="How far a batch has come",
    dependencies=[needs(Role.VIEWER)],
    responses=problems(404, 422),
)
def get_batch(batch_id: _BatchId, app: _App) -> BatchDetail:
    """Return a batch with its runs by state, and when all will have ended at the pace so far."""
    batch = app.store.batches.get(batch_id)
    progress = app.store.batches.progress(batch_id)
    left = eta(progress, app.clock.now())
    return BatchDetail(
        **BatchInfo.of(batch).model_dump(),
        counts=dict(progress.counts),
        first_started_at=progress.first_started_at,
        last_finished_at=progress.last_finished_at,
        eta_s=None if left is None else left.total_seconds(),
    )


@router.post(
    "/{batch_id}/cancel",
    operation_id="cancel_batch",
    summary="End all runs of a batch",
    dependencies=[needs(Role.OPERATOR)],
    responses=problems(404, 415, 422),
)
def cancel_batch(batch_id: _BatchId, app: _App, because: Because | None = None) -> BulkAnswer:
    """End those that wait, and ask the workers of running ones to end them."""
    return _act(BulkAct.CANCEL, batch_id, app, because)


@router.post(
    "/{batch_id}/retry-failed",
    operation_id="retry_failed_of_batch",
    summary="Run the failed runs of a batch again",
    dependencies=[needs(Role.OPERATOR)],
    responses=problems(404, 415, 422),
)
def retry_failed_of_batch(
    batch_id: _BatchId, app: _App, because: Because | None = None
) -> BulkAnswer:
    """Let its failed runs run again now."""
    return _act(BulkAct.RETRY, batch_id, app, because)


def _act(act: BulkAct, batch_id: str, app: App, because: Because | None) -> BulkAnswer:
    batch = app.store.batches.get(batch_id)
    outcome = act_on_all(
        app.machinery,
        act,
        RunFilter(batch=batch.id),
        reason=because.reason if because is not None else None,
        most=MOST,
    )
    return BulkAnswer.of(outcome, dry_run=False)
