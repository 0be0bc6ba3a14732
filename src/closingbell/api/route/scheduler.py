"""The scheduler-centre document's API: its routes, over the classes of `closingbell.centre`.

A `task_id` is the id of a run, of a schedule or of an event trigger, whichever was made.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Path, Query

from closingbell.api.application import served_app
from closingbell.api.parameter import QueryText
from closingbell.api.problem import problems
from closingbell.api.security.principal import needs
from closingbell.app import App
from closingbell.centre.executor import running_row
from closingbell.centre.monitor import ended_row
from closingbell.centre.scheduler import TaskScheduler
from closingbell.core.clock import from_micros
from closingbell.core.error import UnknownEventTrigger, UnknownRun, UnknownSchedule
from closingbell.core.mask import mask
from closingbell.core.role import Role
from closingbell.core.run import RunState
from closingbell.outlook import held_back
from closingbell.schedule_book import ScheduleBook
from closingbell.wire.instant import Instant
from closingbell.wire.scheduler import (
    ClearedAlerts,
    CronTaskRequest,
    EndedState,
    EndedTask,
    EventTriggerRequest,
    FailedTask,
    RegisteredTask,
    RunningTask,
    SchedulerAlert,
    Submitted,
    TaskRequest,
    TriggeredTasks,
    WaitingTask,
)
from closingbell.wire.text import JsonObject

router = APIRouter(prefix="/scheduler", tags=["scheduler"])

_App = Annotated[App, Depends(served_app)]
_TaskId = Annotated[
    str,
    Path(
        min_length=1,
        max_length=500,
        pattern=r"^[^\x00]*$",
        description="of a run, a schedule or an event trigger",
    ),
]
_Task = Annotated[QueryText, Query(description="only this task's")]


@router.post(
    "/task/submit",
    operation_id="submit_task",
    summary="Run a task now, or at a time",
    dependencies=[needs(Role.OPERATOR)],
    responses=problems(404, 409, 413, 415, 422),
)
def submit_task(request: TaskRequest, app: _App) -> Submitted:
    """Store a run; it is on the disk when the answer comes."""
    task_id = _scheduler(app).schedule_task(
        request.task_name, request.payload, request.trigger_time, request.priority, request.tags
    )
    return Submitted(task_id=str(task_id), status="scheduled")


@router.post(
    "/task/cron",
    operation_id="submit_cron_task",
    summary="Run a task again and again by a cron expression",
    dependencies=[needs(Role.OPERATOR)],
    responses=problems(404, 409, 413, 415, 422),
)
def submit_cron_task(request: CronTaskRequest, app: _App) -> Submitted:
    """Store a schedule; the same request again is the same schedule."""
    task_id = _scheduler(app).schedule_cron_task(
        request.task_name, request.cron_expression, request.payload, request.priority
    )
    return Submitted(task_id=str(task_id), status="scheduled")


@router.post(
    "/task/event-trigger",
    operation_id="submit_event_trigger",
    summary="Run a task whenever an event happens",
    dependencies=[needs(Role.OPERATOR)],
    responses=problems(404, 409, 413, 415, 422),
)
def submit_event_trigger(request: EventTriggerRequest, app: _App) -> Submitted:
    """Register a task for an event; the same request again is the same trigger."""
    trigger = ScheduleBook(app).add_event_trigger(
        request.task_name, request.event_type, None, request.payload, request.priority
    )
    return Submitted(task_id=trigger.id, status="registered")


@router.post(
    "/event/trigger/{event_type:path}",
    operation_id="trigger_event",
    summary="Say that an event happened",
    dependencies=[needs(Role.OPERATOR)],
    responses=problems(404, 409, 413, 415, 422),
)
def trigger_event(
    event_type: Annotated[str, Path(min_length=1, max_length=200, pattern=r"^[^\x00]*$")],
    event_data: Annotated[JsonObject, Body()],
    app: _App,
) -> TriggeredTasks:
    """Store an event and the runs that it starts, in one transaction."""
    triggered = list(_scheduler(app).trigger_event(event_type, event_data))
    return TriggeredTasks(triggered_tasks=triggered, count=len(triggered))


@router.get(
    "/task/status/{task_id:path}",
    operation_id="get_task_status",
    summary="Where a run, a schedule or an event trigger stands",
    dependencies=[needs(Role.VIEWER)],
    responses=problems(404, 422),
)
def get_task_status(
    task_id: _TaskId, app: _App
) -> RunningTask | WaitingTask | EndedTask | RegisteredTask:
    """Return how a task that was submitted stands."""
    try:
        run = app.get_run(task_id)
    except UnknownRun:
        return _status_of_plan(task_id, app)
    if run.state is RunState.RUNNING:
        return RunningTask(**running_row(run, app.clock.now()))
    if run.state.is_final:
        return _ended(ended_row(run), app.store.masks.all())
    return WaitingTask(
        task_id=run.id,
        task_name=run.task,
        status="pending" if run.state is RunState.PENDING else "scheduled",
        trigger_time=run.due_at,
        priority=run.priority,
        timestamp=run.due_at,
    )


@router.delete(
    "/task/cancel/{task_id:path}",
    operation_id="cancel_task",
    summary="Cancel a run, or remove a schedule or an event trigger",
    dependencies=[needs(Role.OPERATOR)],
    responses=problems(404, 409, 422),
)
def cancel_task(task_id: _TaskId, app: _App) -> Submitted:
    """Cancel by id: a run that waits ends at once, one that runs is asked to end."""
    try:
        app.machinery.cancel_run(task_id, "cancelled through the API")
    except UnknownRun:
        _remove_plan(task_id, app)
    return Submitted(task_id=task_id, status="cancelled")


@router.get(
    "/tasks/running",
    operation_id="get_running_tasks",
    summary="What runs now, by run id",
    dependencies=[needs(Role.VIEWER)],
    responses=problems(),
)
def get_running_tasks(app: _App) -> dict[str, RunningTask]:
    """Return the runs that run now, on any worker."""
    rows = app.executor.get_running_tasks()
    return {task_id: RunningTask(**row) for task_id, row in rows.items()}


@router.get(
    "/tasks/scheduled",
    operation_id="get_scheduled_tasks",
    summary="What waits, soonest first",
    dependencies=[needs(Role.VIEWER)],
    responses=problems(),
)
def get_scheduled_tasks(app: _App) -> list[WaitingTask]:
    """Return the runs that wait (the next 1,000), and each schedule's next firing."""
    return [
        WaitingTask(
            task_id=task.task_id or "",
            task_name=task.task_name,
            status="scheduled",
            trigger_time=task.trigger_time,
            priority=task.priority,
            timestamp=task.trigger_time,
        )
        for task in app.scheduler.scheduled_tasks
    ]


@router.get(
    "/tasks/failed",
    operation_id="get_failed_tasks",
    summary="What failed and nobody cleared, by run id",
    dependencies=[needs(Role.VIEWER)],
    responses=problems(),
)
def get_failed_tasks(app: _App) -> dict[str, FailedTask]:
    """Return failed runs, the newest first (at most 2,000)."""
    rows = app.retry_controller.get_failed_tasks()
    return {task_id: FailedTask(**row) for task_id, row in rows.items()}


@router.get(
    "/tasks/history",
    operation_id="get_task_history",
    summary="The last runs that ended",
    dependencies=[needs(Role.VIEWER)],
    responses=problems(422),
)
def get_task_history(
    app: _App,
    task_name: _Task = None,
    status: Annotated[EndedState | None, Query(description="only those that ended so")] = None,
    limit: Annotated[int, Query(ge=1, le=1000, description="the latest so many")] = 100,
) -> list[EndedTask]:
    """Return ended runs in the order in which they ended: the latest comes last."""
    masked = app.store.masks.all()
    return [_ended(row, masked) for row in app.monitor.get_task_history(task_name, status, limit)]


@router.get(
    "/metrics/performance",
    operation_id="get_performance_metrics",
    summary="How long tasks take, and how they end",
    dependencies=[needs(Role.VIEWER)],
    responses=problems(422),
)
def get_performance_metrics(app: _App, task_name: _Task = None) -> JsonObject:
    """Return count and times in seconds since ever: of one task, or of each by its name.

    A task without a success has none: its own answer is an empty object.
    """
    return app.monitor.get_performance_metrics(task_name)


@router.get(
    "/alerts",
    operation_id="get_scheduler_alerts",
    summary="Open alerts, oldest first",
    dependencies=[needs(Role.VIEWER)],
    responses=problems(422),
)
def get_scheduler_alerts(
    app: _App,
    alert_type: Annotated[QueryText, Query(description="only this type")] = None,
    since: Annotated[Instant | None, Query(description="raised at or after it; ISO 8601")] = None,
) -> list[SchedulerAlert]:
    """Return what people must see and nobody has cleared."""
    return [SchedulerAlert(**alert) for alert in app.monitor.get_alerts(alert_type, since)]


@router.delete(
    "/alerts/clear",
    operation_id="clear_scheduler_alerts",
    summary="Clear open alerts, all or of one type",
    dependencies=[needs(Role.OPERATOR)],
    responses=problems(422),
)
def clear_scheduler_alerts(
    app: _App, alert_type: Annotated[QueryText, Query(description="only this type")] = None
) -> ClearedAlerts:
    """Clear alerts; they stay in the ledger, as who cleared them does."""
    return ClearedAlerts(cleared_count=app.monitor.clear_alerts(alert_type))


# --- inside --------------------------------------------------------------------------------


def _scheduler(app: App) -> TaskScheduler:
    """Return the document's scheduler for somebody who declares nothing in code."""
    return TaskScheduler(lambda: app.machinery, app.settings.timezone, None)


def _ended(row: dict[str, Any], masked: dict[str, tuple[str, ...]]) -> EndedTask:
    hidden = masked.get(row["task_name"], ())
    shown = {name: mask(row[name], hidden) for name in ("payload", "result")}
    return EndedTask(**{**row, **shown})


def _status_of_plan(task_id: str, app: App) -> WaitingTask | RegisteredTask:
    """Return how a schedule or an event trigger stands."""
    try:
        schedule, _ = ScheduleBook(app).get(task_id)
    except UnknownSchedule:
        return _status_of_trigger(task_id, app)
    status = "scheduled" if schedule.next_fire_at is not None else "ended"
    return WaitingTask(
        task_id=schedule.id,
        task_name=schedule.task,
        status="paused" if held_back(schedule, app.clock.now()) else status,  # type: ignore[arg-type]
        trigger_time=schedule.next_fire_at,
        priority=schedule.priority or 5,
        timestamp=schedule.next_fire_at,
    )


def _status_of_trigger(task_id: str, app: App) -> RegisteredTask:
    try:
        row = app.store.event_book.trigger(task_id)
    except UnknownEventTrigger:
        raise UnknownRun(task_id) from None
    return RegisteredTask(
        task_id=task_id,
        task_name=row["task"],
        status="registered",
        event_type=row["event_type"],
        priority=row["priority"],
        timestamp=from_micros(row["created_at"]),
    )


def _remove_plan(task_id: str, app: App) -> None:
    """Remove a schedule or an event trigger."""
    book = ScheduleBook(app)
    try:
        book.remove(task_id)
    except UnknownSchedule:
        try:
            book.remove_event_trigger(task_id)
        except UnknownEventTrigger:
            raise UnknownRun(task_id) from None
