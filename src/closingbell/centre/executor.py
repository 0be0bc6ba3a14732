"""TaskExecutor: run a task and wait for it. Reached as `app.executor`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from closingbell.centre.scheduled_task import ScheduledTask, error_text
from closingbell.core.error import (
    AppNotRunning,
    ClosingbellError,
    InvalidTransition,
    LookupFailed,
    PayloadError,
    UnknownRun,
)
from closingbell.core.run import Attempt, Run, RunState
from closingbell.machinery import Machinery
from closingbell.submission import Options

#: Outcomes after which nothing was learnt: the run is about to be attempted again.
_NO_ANSWER = ("running", "given_back")
_STATUS = {
    "returned": RunState.SUCCESS,
    "cancelled": RunState.CANCELLED,
    "skipped": RunState.SKIPPED,
    "snoozed": RunState.SCHEDULED,
}
#: How many running runs are listed.
_MOST = 10_000


class _Begun(NamedTuple):
    """A task that is on its way; `fence` was its run's before the attempt that counts."""

    task: ScheduledTask
    fence: int = 0
    refusal: ClosingbellError | None = None


class TaskExecutor:
    """Has runs executed by the workers of the store, and waits for them."""

    def __init__(self, machinery: Callable[[], Machinery]) -> None:
        """Make the face; use `app.executor`."""
        self._machinery = machinery

    async def execute_task(self, scheduled_task: ScheduledTask) -> dict[str, Any]:
        """Run a task now, once, and wait until that attempt has ended.

        A task with the id of a stored run is that run: it is brought forward, not run
        twice, and one that has ended gives its stored result. Otherwise a run is stored,
        under the task's `task_id` when it has one; else the new id is written into it.
        A failed attempt may be retried by the engine afterwards; see `RetryController`.

        Returns:
            `task_id`, `task_name`, `status`, `completed_at` (aware); `result` and
            `execution_time` (seconds) after a success; `error` after a failure, which
            includes a task that is unknown and a payload that does not fit.

        Raises:
            AppNotRunning: no worker is alive that could run it.
        """
        return (await self.execute_batch([scheduled_task]))[0]

    async def execute_batch(self, tasks: Sequence[ScheduledTask]) -> list[dict[str, Any]]:
        """Run tasks side by side, as many at once as workers have places.

        Returns:
            The results in the order of `tasks`; see `execute_task`.

        Raises:
            AppNotRunning: no worker is alive that could run them.
        """
        return await asyncio.to_thread(self._execute_all, list(tasks))

    def cancel_task(self, task_id: str) -> bool:
        """Ask a running run to end; returns False when it does not run.

        A coroutine and a child process are stopped; code in a thread is told through
        `context.cancelled`.
        """
        machinery = self._machinery()
        if machinery.store.runs.states([task_id]).get(task_id) != RunState.RUNNING:
            return False
        try:
            machinery.cancel_run(task_id, "cancelled through the executor")
        except InvalidTransition:
            return False
        return True

    def get_running_tasks(self) -> dict[str, dict[str, Any]]:
        """Return each run that runs now, on any worker, by id.

        Returns:
            Dicts with `task_id`, `task_name`, `status` ("running"), `priority`, `started_at` and
            `timestamp` (aware), `execution_time` (seconds until now).
        """
        machinery = self._machinery()
        now = machinery.clock.now()
        runs = machinery.store.runs.running(_MOST)
        return {run.id: running_row(run, now) for run in runs}

    # --- inside --------------------------------------------------------------------------

    def _execute_all(self, tasks: list[ScheduledTask]) -> list[dict[str, Any]]:
        machinery = self._machinery()
        if tasks and not machinery.has_worker:
            raise AppNotRunning("executing a task")
        begun = [self._begin(machinery, task) for task in tasks]
        return [self._end(machinery, one) for one in begun]

    def _begin(self, machinery: Machinery, task: ScheduledTask) -> _Begun:
        if task.task_id is not None:
            try:
                run = machinery.store.runs.get(task.task_id)
            except UnknownRun:
                pass
            else:
                machinery.run_now(run.id)
                ahead = run.state in (RunState.SCHEDULED, RunState.PENDING)
                return _Begun(task, run.fence if ahead else run.fence - 1)
        try:
            definition = machinery.registry.resolve(task.task_name)
            options = Options(priority=task.priority, tags=task.tags)
            run_id = machinery.intake.submit(definition, task.payload, options, None, task.task_id)
        except (LookupFailed, PayloadError) as refusal:
            return _Begun(task, refusal=refusal)
        task.task_id = run_id
        return _Begun(task)

    def _end(self, machinery: Machinery, begun: _Begun) -> dict[str, Any]:
        task = begun.task
        if begun.refusal is not None or task.task_id is None:
            return {
                "task_id": task.task_id,
                "task_name": task.task_name,
                "status": "failed",
                "error": str(begun.refusal),
                "completed_at": machinery.clock.now(),
            }
        run = machinery.watch_run(
            task.task_id,
            lambda run: run.state.is_final or _answer(run, begun.fence) is not None,
        )
        return _result(run, _answer(run, begun.fence))


def running_row(run: Run, now: datetime) -> dict[str, Any]:
    """Return a run that runs, in the document's words."""
    since = None if run.started_at is None else max((now - run.started_at).total_seconds(), 0.0)
    return {
        "task_id": run.id,
        "task_name": run.task,
        "status": "running",
        "priority": run.priority,
        "started_at": run.started_at,
        "timestamp": run.started_at,
        "execution_time": since,
    }


def _answer(run: Run, after_fence: int) -> Attempt | None:
    """Return the first attempt after a fence that has ended, or None."""
    for attempt in run.attempts:
        if attempt.fence > after_fence and attempt.outcome not in _NO_ANSWER:
            return attempt
    return None


def _result(run: Run, attempt: Attempt | None) -> dict[str, Any]:
    completed_at: datetime | None = run.finished_at
    status = run.state
    if attempt is not None:
        completed_at = attempt.finished_at
        status = _STATUS.get(attempt.outcome, RunState.FAILED)
    result: dict[str, Any] = {
        "task_id": run.id,
        "task_name": run.task,
        "status": status.value,
        "completed_at": completed_at,
        "payload": run.payload,
    }
    if attempt is not None and attempt.duration is not None:
        result["execution_time"] = attempt.duration.total_seconds()
    if status is RunState.SUCCESS:
        result["result"] = run.result
    elif status is RunState.FAILED:
        result["error"] = error_text(run.error if attempt is None else attempt.error)
    else:
        result["reason"] = run.reason
    return result
