"""Tasks: their options in words and numbers, how they stand, and the form of their payload."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query

from closingbell.api.application import served_app
from closingbell.api.page_token import make_page_token, read_page_token
from closingbell.api.parameter import After, Limit
from closingbell.api.problem import problems
from closingbell.api.security.principal import needs
from closingbell.app import App
from closingbell.core.error import UnknownTask
from closingbell.core.limit import Rate
from closingbell.core.mask import mask
from closingbell.core.retry import RetryPolicy
from closingbell.core.role import Role
from closingbell.core.task import TaskDefinition
from closingbell.executor.form import payload_schema
from closingbell.status import status_of
from closingbell.wire.page import Page
from closingbell.wire.task import (
    DependencyInfo,
    LimitInfo,
    RetryInfo,
    TaskInfo,
    TaskStanding,
)
from closingbell.wire.text import JsonObject

router = APIRouter(prefix="/tasks", tags=["tasks"])

_App = Annotated[App, Depends(served_app)]
_Name = Annotated[str, Path(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]


@router.get(
    "",
    operation_id="list_tasks",
    summary="All tasks, by name: those of the app, and those that only the store knows",
    dependencies=[needs(Role.VIEWER)],
    responses=problems(422),
)
def list_tasks(
    app: _App,
    registered: Annotated[
        bool | None, Query(description="only those that this app knows, or does not")
    ] = None,
    limit: Limit = 100,
    after: After = None,
) -> Page[TaskInfo]:
    """List a page of tasks."""
    query = {"list": "tasks", "registered": registered}
    position = read_page_token(after, query, (str,))
    names = sorted({*(task.name for task in app.registry), *app.store.task_names.all()})
    if registered is not None:
        names = [name for name in names if (name in app.registry) is registered]
    if position is not None:
        names = [name for name in names if name > position[0]]
    shown = names[:limit]
    following = make_page_token(query, [shown[-1]]) if len(names) > limit else None
    return Page(items=_infos(app, shown), next=following)


@router.get(
    "/{name:path}/form",
    operation_id="get_task_form",
    summary="What a task's payload may hold, as JSON Schema",
    dependencies=[needs(Role.VIEWER)],
    responses=problems(404, 422),
)
def get_task_form(name: _Name, app: _App) -> JsonObject:
    """Return types, defaults and help from the handler's signature and docstring.

    Masked fields are `writeOnly`, of the format `password`. A task that is not registered here
    has no form.
    """
    task = app.registry.resolve(name)
    return payload_schema(app.machinery.door.binding(task), task.masked)


@router.get(
    "/{name:path}",
    operation_id="get_task",
    summary="One task",
    dependencies=[needs(Role.VIEWER)],
    responses=problems(404, 422),
)
def get_task(name: _Name, app: _App) -> TaskInfo:
    """Return a task with all its options, and how it stands."""
    if name not in app.registry:
        known = app.store.task_names.all()
        if name not in known:
            raise UnknownTask(name, [*(task.name for task in app.registry), *known])
    return _infos(app, [name])[0]


# --- inside --------------------------------------------------------------------------------


def _infos(app: App, names: list[str]) -> list[TaskInfo]:
    standing = status_of(app.store, names, app.clock.micros())
    policies = app.store.policies.all()
    return [
        _unregistered(name, standing[name])
        if (task := app.registry.get_task(name)) is None
        else _info(task, policies.get(name), standing[name])
        for name in names
    ]


def _unregistered(name: str, standing: Mapping[str, Any]) -> TaskInfo:
    return TaskInfo(
        name=name,
        registered=False,
        description="",
        explanation="it is not registered in this app: only what is stored of it is known",
        standing=_standing(standing),
    )


def _info(
    task: TaskDefinition, policy: RetryPolicy | None, standing: Mapping[str, Any]
) -> TaskInfo:
    return TaskInfo(
        name=task.name,
        registered=True,
        description=task.description,
        executor=task.executor,
        priority=task.priority,
        tags=list(task.tags),
        timeout_s=task.timeout_s,
        retry=_retry(policy or task.retry, policy is not None),
        when=None if task.trigger is None else task.trigger.describe(),
        trigger=None if task.trigger is None else task.trigger.to_dict(),
        on_event=list(task.on_event),
        where=None if task.where is None else task.where.text,
        after=DependencyInfo(tasks=list(task.after), within_s=task.within.total_seconds())
        if task.after
        else None,
        limits=LimitInfo(
            max_concurrent=task.max_concurrent,
            rate=None if task.rate is None else _rate(task.rate),
            key=task.key,
            cpu=task.cpu,
            memory_bytes=task.memory,
        ),
        account=task.account,
        approval=task.approval,
        masked=list(task.masked),
        payload=mask(dict(task.payload), task.masked),
        retention_s=None if task.retention is None else task.retention.total_seconds(),
        explanation=_explanation(task),
        standing=_standing(standing),
    )


def _retry(policy: RetryPolicy, set_at_run_time: bool) -> RetryInfo:
    return RetryInfo(
        retries=policy.retries,
        backoff_factor=policy.backoff_factor,
        initial_delay_s=policy.initial_delay.total_seconds(),
        max_delay_s=policy.max_delay.total_seconds(),
        jitter=policy.jitter,
        give_up_on=list(policy.give_up_on),
        set_at_run_time=set_at_run_time,
    )


def _rate(rate: Rate) -> str:
    units = f"at most {rate.limit} in {rate.per.total_seconds():g} s"
    weight = "" if rate.weight == 1 else f", {rate.weight} for each run"
    shared = "" if rate.bucket is None else f", shared by all of {rate.bucket!r}"
    return units + weight + shared


def _standing(row: Mapping[str, Any]) -> TaskStanding:
    return TaskStanding(
        running=row["running"],
        last_run_at=row["last_run"],
        last_status=row["last_status"],
        last_success_at=row["last_success"],
        last_error=row["last_error"],
        next_fire_at=row["next_run"],
    )


def _explanation(task: TaskDefinition) -> str:
    """Say in one sentence what starts a task."""
    causes: list[str] = []
    if task.trigger is not None:
        causes.append(f"it runs {task.trigger.describe()}")
    if task.on_event:
        condition = "" if task.where is None else f" where {task.where.text}"
        causes.append(f"it runs when {' or '.join(task.on_event)} happens{condition}")
    if task.after:
        causes.append(f"it runs once {' and '.join(task.after)} have succeeded anew")
    causes.append("when somebody submits it" if causes else "it runs when somebody submits it")
    sentence = ", and ".join((", ".join(causes[:-1]), causes[-1])) if causes[:-1] else causes[0]
    if task.approval is not None:
        sentence += f"; each run waits for its approval ({task.approval})"
    return sentence
