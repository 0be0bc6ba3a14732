"""Workers: who takes runs, what each holds, and who stopped or died lately."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from closingbell.api.application import served_app
from closingbell.api.parameter import PathText
from closingbell.api.problem import problems
from closingbell.api.security.principal import needs
from closingbell.app import App
from closingbell.core.clock import from_micros
from closingbell.core.role import Role
from closingbell.store.codec import instant
from closingbell.store.roster import Enrolled
from closingbell.wire.worker import Slots, WorkerDetail, WorkerInfo, WorkerRun

router = APIRouter(prefix="/workers", tags=["workers"])

_App = Annotated[App, Depends(served_app)]
_SECOND = 1_000_000


@router.get(
    "",
    operation_id="list_workers",
    summary="Workers: those that are alive, then those that ended lately",
    dependencies=[needs(Role.VIEWER)],
    responses=problems(422),
)
def list_workers(
    app: _App,
    ended_within_s: Annotated[
        float, Query(ge=0, le=7 * 86_400, description="show those that ended in so many seconds")
    ] = 86_400,
    limit: Annotated[int, Query(ge=1, le=1000, description="at most so many")] = 200,
) -> list[WorkerInfo]:
    """List workers, each kind the newest first."""
    now = app.store.queue.machine_micros()
    found = app.store.roster.recent(now - round(ended_within_s * _SECOND), limit)
    return [WorkerInfo(**_shape(worker, now)) for worker in found]


@router.get(
    "/{worker_id}",
    operation_id="get_worker",
    summary="A worker, with what runs on it",
    dependencies=[needs(Role.VIEWER)],
    responses=problems(404, 422),
)
def get_worker(app: _App, worker_id: PathText) -> WorkerDetail:
    """Return one worker."""
    worker = app.store.roster.get(worker_id)
    held = [
        WorkerRun(
            id=run.id,
            task=run.task,
            executor=run.executor,
            attempt=run.attempt,
            started_at=instant(run.started_at),
        )
        for run in worker.running
    ]
    return WorkerDetail(**_shape(worker, app.store.queue.machine_micros()), runs=held)


def slots_of(worker: Enrolled) -> dict[str, Slots]:
    """Return a worker's places by kind of executor, as the wire tells them."""
    slots = {str(kind): int(count) for kind, count in worker.about.get("slots", {}).items()}
    return {
        kind: Slots(slots=slots.get(kind, 0), used=worker.used.get(kind, 0))
        for kind in sorted({*slots, *worker.used})
    }


def _shape(worker: Enrolled, now: int) -> dict[str, Any]:
    alive = worker.state == "alive"
    return {
        "id": worker.id,
        "host": worker.host,
        "pid": worker.pid,
        "state": worker.state,
        "version": worker.about.get("version"),
        "started_at": from_micros(worker.started_at),
        "seen_at": from_micros(worker.seen_at),
        "lease_until": from_micros(worker.lease_until),
        "lease_left_s": (worker.lease_until - now) / _SECOND if alive else None,
        "ended_at": instant(worker.stopped_at),
        "slots": slots_of(worker),
        "running": [run.id for run in worker.running],
        "running_count": sum(worker.used.values()),
        "tasks": list(worker.about.get("tasks", [])),
    }
