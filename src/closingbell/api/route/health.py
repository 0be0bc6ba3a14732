"""`/livez` and `/readyz`: for whoever watches the process, without a sign-in."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from closingbell.api.readiness import ReadinessProbe
from closingbell.wire.health import Alive, Readiness

router = APIRouter(tags=["health"])


@router.get("/livez", operation_id="livez", summary="Whether the process answers")
async def livez() -> Alive:
    """Answer; a process that hangs does not."""
    from closingbell import __version__

    return Alive(status="alive", version=__version__)


@router.get(
    "/readyz",
    operation_id="readyz",
    summary="Whether the process can do its work",
    response_model=Readiness,
    responses={503: {"model": Readiness, "description": "Not ready, and why"}},
)
async def readyz(request: Request) -> JSONResponse:
    """Tell whether the store can be read and written, and scheduler and worker go on."""
    probe: ReadinessProbe = request.app.state.readiness
    reasons = await probe.reasons()
    answer = Readiness(ready=not reasons, reasons=reasons)
    return JSONResponse(answer.model_dump(), 503 if reasons else 200)
