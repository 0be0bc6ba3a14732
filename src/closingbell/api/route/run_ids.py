"""Ids of runs, found by how they begin: nobody types one whole."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends

from closingbell.api.application import served_app
from closingbell.api.parameter import PathText
from closingbell.api.problem import problems
from closingbell.api.security.principal import needs
from closingbell.app import App
from closingbell.core.error import SubmitError, UnknownRun
from closingbell.core.role import Role
from closingbell.wire.run import RunId

router = APIRouter(prefix="/run-ids", tags=["runs"])


@router.get(
    "/{beginning:path}",
    operation_id="find_run",
    summary="The id of the one run whose id begins so",
    dependencies=[needs(Role.VIEWER)],
    responses=problems(404, 422),
)
def find_run(beginning: PathText, app: Annotated[App, Depends(served_app)]) -> RunId:
    """Return a whole id; several that begin so are refused."""
    found = app.store.run_pages.ids_beginning(beginning, 2)
    if not found:
        raise UnknownRun(beginning)
    if beginning not in found and len(found) > 1:
        raise SubmitError("run id", beginning, f"more letters: {found[0]} and others begin so")
    return RunId(id=found[0])
