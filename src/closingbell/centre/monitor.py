"""TaskMonitor: what happened. Reached as `app.monitor`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from closingbell.centre.alert import AlertManager
from closingbell.centre.performance import PerformanceTracker
from closingbell.centre.scheduled_task import error_text
from closingbell.core.clock import to_micros
from closingbell.core.error import PayloadNotJson, SubmitError
from closingbell.core.run import FINAL_STATES, Run, RunState
from closingbell.machinery import Machinery
from closingbell.monitor.figures import merge_encoded
from closingbell.monitor.recorder import rows_elsewhere
from closingbell.submission import check_priority, check_text

_FINAL_WORDS = tuple(sorted(FINAL_STATES))


class TaskMonitor:
    """History, metrics and alerts, from the store.

    Attributes:
        alerts: the open alerts.
        performance: how long tasks take.
    """

    def __init__(self, machinery: Callable[[], Machinery], timezone: str) -> None:
        """Make the face; use `app.monitor`."""
        self._machinery = machinery
        self.alerts = AlertManager(machinery, timezone)
        self.performance = PerformanceTracker(machinery)

    async def track_task_execution(self, task_result: Mapping[str, Any]) -> None:
        """Make a result part of the history.

        The engine tracks its own runs: a result with the id of a stored run changes
        nothing. One of work that ran elsewhere is stored as a run, raises the alerts that
        a run of this engine would, and counts in the metrics.

        Args:
            task_result: `status` ("success", "failed", "cancelled" or "skipped"); and
                if known `task_id`, `task_name`, `result`, `error`, `payload`,
                `execution_time` (seconds), `completed_at` or `timestamp`.

        Raises:
            PayloadError: the status, the id or a value is impossible; nothing was stored.
        """
        await asyncio.to_thread(record_result, self._machinery(), dict(task_result))

    def get_task_history(
        self, task_name: str | None = None, status: str | None = None, limit: int = 100
    ) -> list[dict[str, Any]]:
        """Return the last runs that ended, in the order in which they ended.

        Args:
            task_name: only this task's.
            status: only those that ended like this.
            limit: the latest so many; the latest of all comes last.

        Returns:
            Dicts with `task_id`, `task_name`, `status`, `result`, `error`, `reason`,
            `execution_time` (seconds, None when it never started), `completed_at` and
            `timestamp` (aware), `retry_count`, `priority`, `payload`, `tags`.

        Raises:
            SubmitError: the limit is negative.
        """
        if limit < 0:
            raise SubmitError("limit", limit, "0 or more")
        latest = self._machinery().store.history.ended(
            task=task_name or None, state=status or None, limit=limit
        )
        return [ended_row(run) for run in reversed(latest)]

    def get_performance_metrics(self, task_name: str | None = None) -> dict[str, Any]:
        """Return how runs went since ever; see `PerformanceTracker.get_performance_metrics`."""
        return self.performance.get_performance_metrics(task_name)

    def get_alerts(
        self, alert_type: str | None = None, since: datetime | None = None
    ) -> list[dict[str, Any]]:
        """Return open alerts; see `AlertManager.get_alerts`."""
        return self.alerts.get_alerts(alert_type, since)

    def clear_alerts(self, alert_type: str | None = None) -> int:
        """Clear open alerts; see `AlertManager.clear_alerts`."""
        return self.alerts.clear_alerts(alert_type)


def ended_row(run: Run) -> dict[str, Any]:
    """Return a run that ended, in the document's words."""
    failed = run.state is RunState.FAILED
    return {
        "task_id": run.id,
        "task_name": run.task,
        "status": run.state.value,
        "result": run.result,
        "error": error_text(run.error) if failed else None,
        "reason": run.reason,
        "execution_time": None if run.duration is None else run.duration.total_seconds(),
        "completed_at": run.finished_at,
        "timestamp": run.finished_at,
        "retry_count": max(run.attempt - 1, 0),
        "priority": run.priority,
        "payload": run.payload,
        "tags": list(run.tags),
    }


# --- results from elsewhere ----------------------------------------------------------------


def record_result(machinery: Machinery, task_result: Mapping[str, Any]) -> str:
    """Store a result of work that ran elsewhere, unless its run is known; return the run's id.

    Raises:
        PayloadError: a value is impossible; nothing was stored.
    """
    task_id = task_result.get("task_id")
    if task_id is None:
        task_id = machinery.new_id()
    check_text("task_id", task_id, 200)
    if machinery.store.runs.states([task_id]):
        return str(task_id)
    name = task_result.get("task_name", "unknown")
    check_text("task_name", name, 200)
    state = task_result.get("status")
    if state not in _FINAL_WORDS:
        raise SubmitError("status", state, "one of " + ", ".join(_FINAL_WORDS))
    seconds = task_result.get("execution_time", 0.0)
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 <= seconds < 1e9:
        raise SubmitError("execution_time", seconds, "seconds, 0 or more")
    finished_at = _instant(
        task_result.get("completed_at") or task_result.get("timestamp"), machinery
    )
    error = None
    if state == RunState.FAILED:
        message = str(task_result.get("error", "Unknown error"))
        error = {"code": "raised", "type": "Error", "message": message}
    priority = check_priority(task_result.get("priority"), 5)
    task = machinery.registry.get_task(name)
    try:
        stored = machinery.store.foreign.record(
            task_id,
            name,
            RunState(state),
            executor="elsewhere" if task is None else task.executor,
            timeout_s=300.0 if task is None else task.timeout_s,
            payload=dict(task_result.get("payload") or {}),
            priority=priority,
            tags=list(task_result.get("tags") or ()),
            started_at=finished_at - round(seconds * 1_000_000),
            finished_at=finished_at,
            result=task_result.get("result"),
            error=error,
        )
    except (TypeError, ValueError) as problem:
        raise PayloadNotJson(name, str(problem)) from problem
    if stored:
        rows = rows_elsewhere(name, state, finished_at - round(seconds * 1_000_000), finished_at)
        machinery.store.performance.add(rows, 0, merge_encoded)
        _raise_alerts(machinery, task_id, name, error, float(seconds))
    return str(task_id)


def _raise_alerts(
    machinery: Machinery, task_id: str, name: str, error: dict[str, Any] | None, seconds: float
) -> None:
    alerts, now = machinery.store.alerts, machinery.clock.micros()
    if error is not None:
        message = f"task {name!r} failed elsewhere"
        alerts.put(
            f"{task_id}:1:task_failure", "task_failure", message, now,
            severity="ERROR", task=name, run_id=task_id, data=error, about=name,
        )  # fmt: skip
    if seconds > machinery.settings.long_execution_s:
        message = f"task {name!r} took {seconds:.1f} s"
        alerts.put(
            f"{task_id}:1:long_execution", "long_execution", message, now,
            task=name, run_id=task_id, data={"execution_time": seconds}, about=name,
        )  # fmt: skip


def _instant(given: Any, machinery: Machinery) -> int:
    if given is None:
        return machinery.clock.micros()
    if isinstance(given, str):
        try:
            given = datetime.fromisoformat(given)
        except ValueError as problem:
            raise SubmitError("completed_at", given, "a datetime, or ISO text") from problem
    if not isinstance(given, datetime):
        raise SubmitError("completed_at", given, "a datetime, or ISO text")
    if given.tzinfo is None:
        given = given.replace(tzinfo=ZoneInfo(machinery.settings.timezone))
    return to_micros(given)
