"""`/metrics`: figures as Prometheus reads them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from closingbell.api.application import served_app
from closingbell.api.problem import problems
from closingbell.api.security.principal import needs
from closingbell.app import App
from closingbell.centre.snapshot import take_snapshot
from closingbell.core.role import Role
from closingbell.monitor.exposition import expose

router = APIRouter(tags=["metrics"])

_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@router.get(
    "/metrics",
    operation_id="metrics",
    summary="The store's figures in Prometheus' text format",
    dependencies=[needs(Role.VIEWER)],
    response_class=Response,
    responses={
        **problems(),
        200: {"description": "Samples", "content": {"text/plain": {"schema": {"type": "string"}}}},
    },
)
def metrics(app: Annotated[App, Depends(served_app)]) -> Response:
    """Read the figures and write them; a scrape sees one state of the store."""
    body = expose(lambda: take_snapshot(app.store, app.clock))
    return Response(body, media_type=_TYPE)
