"""Approvals: what waits for people, released or rejected by them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends

from closingbell.api.application import served_app
from closingbell.api.page_token import make_page_token, read_page_token
from closingbell.api.parameter import After, Limit
from closingbell.api.problem import problems
from closingbell.api.route.runs import RunId
from closingbell.api.security.principal import needs
from closingbell.app import App
from closingbell.core.role import Role
from closingbell.wire.approval import ApprovalInfo, ApprovalStanding, Rejection
from closingbell.wire.page import Page
from closingbell.wire.text import Because

router = APIRouter(tags=["approvals"])

_QUERY = {"list": "approvals"}
_App = Annotated[App, Depends(served_app)]


@router.get(
    "/approvals",
    operation_id="list_approvals",
    summary="Runs that wait for people, the oldest first",
    dependencies=[needs(Role.VIEWER)],
    responses=problems(422),
)
def list_approvals(app: _App, limit: Limit = 100, after: After = None) -> Page[ApprovalInfo]:
    """List a page of held runs, with who asked for them and what was decided so far."""
    position = read_page_token(after, _QUERY, (str,))
    found = app.approvals(limit + 1, None if position is None else position[0])
    page = found[:limit]
    masked = app.store.masks.all()
    following = make_page_token(_QUERY, [page[-1].run.id]) if len(found) > limit else None
    items = [ApprovalInfo.held(held, masked.get(held.run.task, ())) for held in page]
    return Page(items=items, next=following)


@router.post(
    "/runs/{run_id:path}/approve",
    operation_id="approve_run",
    summary="Release a run that waits for people",
    dependencies=[needs(Role.OPERATOR)],
    responses=problems(404, 409, 415, 422),
)
def approve_run(run_id: RunId, app: _App, because: Because | None = None) -> ApprovalStanding:
    """Agree, as the person that you are; when enough agree, it may be claimed."""
    return ApprovalStanding.of(run_id, app.approve(run_id, because.reason if because else None))


@router.post(
    "/runs/{run_id:path}/reject",
    operation_id="reject_run",
    summary="End a run that waits for people",
    dependencies=[needs(Role.OPERATOR)],
    responses=problems(404, 409, 415, 422),
)
def reject_run(run_id: RunId, app: _App, rejection: Rejection) -> ApprovalStanding:
    """End it as cancelled, with a reason for who asked for it."""
    return ApprovalStanding.of(run_id, app.reject(run_id, rejection.reason))
