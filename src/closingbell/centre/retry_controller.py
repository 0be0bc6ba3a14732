"""RetryController: how failures are retried. Reached as `app.retry_controller`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from closingbell.centre.monitor import record_result
from closingbell.centre.scheduled_task import error_text
from closingbell.core.clock import to_micros
from closingbell.core.duration import parse_duration
from closingbell.core.error import InvalidTransition, PolicyError
from closingbell.core.retry import RetryPolicy
from closingbell.core.run import RunState
from closingbell.machinery import Machinery

#: However often a run failed, it waits no longer than this.
LONGEST_DELAY = timedelta(days=1)


class RetryController:
    """Sets retry policies at run time, and lists what failed.

    The engine retries by itself: there is no need to call `handle_failed_task`.
    """

    def __init__(self, machinery: Callable[[], Machinery]) -> None:
        """Make the face; use `app.retry_controller`."""
        self._machinery = machinery

    def set_retry_policy(
        self,
        task_name: str,
        max_retries: int = 3,
        backoff_factor: float = 2.0,
        initial_delay: float | str | timedelta = 60,
    ) -> None:
        """Set how a task is retried, on every worker, until it is set again.

        It leads over what the task declares, and holds for runs that are stored already;
        workers of other processes notice within seconds. The wait after failure n is
        `initial_delay * backoff_factor ** (n - 1)`, without jitter, at most a day.

        Args:
            task_name: a registered task.
            max_retries: how many attempts may follow the first.
            backoff_factor: 1 or more.
            initial_delay: seconds, or text such as "5m".

        Raises:
            UnknownTask: the task is not registered.
            DefinitionError: a value is impossible.
        """
        machinery = self._machinery()
        task = machinery.registry.resolve(task_name)
        factor: object = backoff_factor
        if isinstance(factor, bool) or not isinstance(factor, (int, float)) or factor > 1e6:
            raise PolicyError("backoff_factor", factor, "a number from 1 to 1000000")
        policy = RetryPolicy(
            retries=max_retries,
            backoff_factor=float(factor),
            initial_delay=parse_duration(initial_delay, kind="initial_delay"),
            max_delay=LONGEST_DELAY,
            jitter=False,
        )
        machinery.set_retry_policy(task, policy)

    async def handle_failed_task(self, task_result: Mapping[str, Any]) -> bool:
        """See to it that a failed run is retried, if its policy has an attempt left.

        The run keeps its id and its payload, and each attempt counts, so this ends. A
        result of work that ran elsewhere is stored first (see `track_task_execution`);
        its retry runs here.

        Args:
            task_result: what `execute_task` returned; `task_id` and, for work that ran
                elsewhere, `task_name`, `payload` and `error`.

        Returns:
            Whether a retry is or will be scheduled.

        Raises:
            UnknownTask: the task is not registered, so that nothing can retry it.
        """
        return await asyncio.to_thread(self._handle, dict(task_result))

    def get_failed_tasks(self) -> dict[str, dict[str, Any]]:
        """Return what failed and nobody cleared, by run id, the newest first (at most 2,000).

        Returns:
            Dicts with `task_id`, `task_name`, `priority`, `retry_count`, `last_failure` and
            `timestamp` (aware), `execution_time` (seconds of the last attempt, None while it is
            tried again), `error` and `status`: "retrying" or "permanently_failed".
        """
        return {
            row["id"]: {
                "task_id": row["id"],
                "task_name": row["task"],
                "priority": row["priority"],
                "retry_count": _retries(row["state"], row["attempt"]),
                "last_failure": row["failed_at"],
                "timestamp": row["failed_at"],
                "execution_time": row["seconds"],
                "error": error_text(row["error"]),
                "status": "permanently_failed" if row["state"] == "failed" else "retrying",
            }
            for row in self._machinery().store.failures.open()
        }

    def clear_failed_task(self, task_id: str) -> bool:
        """Take a run off the list until it fails again; returns whether it was on it."""
        machinery = self._machinery()
        return machinery.store.failures.dismiss(task_id, machinery.clock.micros())

    def _handle(self, task_result: dict[str, Any]) -> bool:
        machinery = self._machinery()
        task_id = task_result.get("task_id")
        if not isinstance(task_id, str) or not machinery.store.runs.states([task_id]):
            machinery.registry.resolve(task_result.get("task_name", "unknown"))
            task_id = record_result(machinery, {"status": "failed", **task_result})
        run = machinery.store.runs.get(task_id)
        if not run.state.is_final:
            return True
        task = machinery.registry.resolve(run.task)
        if run.state is not RunState.FAILED or run.reason is not None:
            # With a reason the engine gave it up for good: parked, or not worth a retry.
            return False
        policy = machinery.retry_policy(task)
        if run.attempt > policy.retries or not policy.retries_error(run.error or {}):
            return False
        delay = policy.bound(run.attempt)
        try:
            left = policy.retries + 1 - run.attempt
            machinery.retry_later(task_id, left, to_micros(machinery.clock.now() + delay))
        except InvalidTransition:
            # Somebody else retried it between the look and the write.
            return True
        return True


def _retries(state: str, attempt: int) -> int:
    """Return how many retries a failure has had or waits for."""
    return attempt if state in ("scheduled", "pending") else max(attempt - 1, 0)
