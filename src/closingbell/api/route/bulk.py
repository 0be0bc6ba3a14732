"""One act on all runs that a filter means: cancel them, or run them again."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends

from closingbell.api.application import served_app
from closingbell.api.problem import problems
from closingbell.api.security.principal import needs
from closingbell.app import App
from closingbell.bulk import act_on_all
from closingbell.core.bulk import BulkAct
from closingbell.core.role import Role
from closingbell.wire.bulk import BulkAnswer, BulkRequest

router = APIRouter(prefix="/runs", tags=["runs"])

_App = Annotated[App, Depends(served_app)]


@router.post(
    "/cancel",
    operation_id="cancel_runs",
    summary="End all runs that a filter means",
    dependencies=[needs(Role.OPERATOR)],
    responses=problems(413, 415, 422),
)
def cancel_runs(request: BulkRequest, app: _App) -> BulkAnswer:
    """End waiting runs, and ask the workers of running ones to end them.

    A filter without states means all runs that have not ended.
    """
    return _act(BulkAct.CANCEL, request, app)


@router.post(
    "/retry",
    operation_id="retry_runs",
    summary="Run all runs again that a filter means",
    dependencies=[needs(Role.OPERATOR)],
    responses=problems(413, 415, 422),
)
def retry_runs(request: BulkRequest, app: _App) -> BulkAnswer:
    """Let ended runs run again now; a filter without states means those that failed."""
    return _act(BulkAct.RETRY, request, app)


def _act(act: BulkAct, request: BulkRequest, app: App) -> BulkAnswer:
    outcome = act_on_all(
        app.machinery,
        act,
        request.filter.read(app.settings.timezone),
        reason=request.reason,
        most=request.most,
        dry_run=request.dry_run,
    )
    return BulkAnswer.of(outcome, request.dry_run)
