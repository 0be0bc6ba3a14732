"""Errors of attempts: what happened to code that ran."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from closingbell.core.error.root import ClosingbellError


class ExecutionError(ClosingbellError):
    """What became of an attempt."""

    code = "execution_error"


class TaskFailed(ExecutionError):
    """The run ended as failed; raised where its result was asked for.

    Attributes:
        run_id: the run.
        error: the stored error: `code`, `type`, `message`, `traceback`.
    """

    code = "task_failed"

    def __init__(self, run_id: str, task: str, error: dict[str, Any]) -> None:
        super().__init__(
            f"run {run_id} of task {task!r} failed: "
            f"{error.get('type', 'Error')}: {error.get('message', '')}"
        )
        self.run_id = run_id
        self.task = task
        self.error = error


class RunCancelled(ExecutionError):
    """The run was cancelled or skipped; raised where its result was asked for."""

    code = "run_cancelled"

    def __init__(self, run_id: str, state: str, reason: str | None) -> None:
        super().__init__(f"run {run_id} was {state}: {reason or 'no reason given'}")
        self.run_id = run_id
        self.state = state
        self.reason = reason


class AttemptTimeout(ExecutionError, TimeoutError):
    """An attempt ran longer than its task allows."""

    code = "attempt_timeout"

    def __init__(self, task: str, timeout: timedelta, stopped: bool) -> None:
        how = "it was stopped" if stopped else "its thread cannot be stopped and runs on"
        super().__init__(
            f"task {task!r} exceeded its timeout of {timeout.total_seconds():g} s; {how}"
        )
        self.task = task
        self.timeout_s = timeout.total_seconds()
        self.stopped = stopped


class WorkerLost(ExecutionError):
    """The worker that ran an attempt is gone."""

    code = "worker_lost"

    def __init__(self, worker_id: str, last_seen_at: datetime | None, detail: str = "") -> None:
        seen = f", last seen {last_seen_at.isoformat()}" if last_seen_at else ""
        super().__init__(f"worker {worker_id} was lost{seen}{': ' + detail if detail else ''}")
        self.worker_id = worker_id
        self.last_seen_at = last_seen_at
        self.detail = detail


class HandlerNotFound(ExecutionError):
    """The task's function cannot be imported where it should run."""

    code = "handler_not_found"

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(
            f"handler {path!r} cannot be imported: {problem}; "
            "a process task must be a module-level function of an importable module"
        )
        self.path = path
        self.problem = problem


class ResultNotSerialisable(ExecutionError):
    """The task returned something that cannot be written as JSON."""

    code = "result_not_serialisable"

    def __init__(self, task: str, problem: str) -> None:
        super().__init__(
            f"the result of task {task!r} cannot be written as JSON: {problem}; "
            "return JSON values, a dataclass, or None"
        )
        self.task = task
        self.problem = problem
