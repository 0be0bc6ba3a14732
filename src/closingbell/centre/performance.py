"""PerformanceTracker: how long tasks take. Reached as `app.monitor.performance`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from closingbell.machinery import Machinery


class PerformanceTracker:
    """Durations of successful runs, from the store."""

    def __init__(self, machinery: Callable[[], Machinery]) -> None:
        """Make the face; use `app.monitor.performance`."""
        self._machinery = machinery

    def get_performance_metrics(self, task_name: str | None = None) -> dict[str, Any]:
        """Return `count` and `avg_`, `min_` and `max_execution_time` in seconds.

        Args:
            task_name: only this task's.

        Returns:
            For one task its metrics; without a name a dict of them by task; empty when
            nothing has succeeded yet.
        """
        metrics = {
            row["task"]: {
                "count": int(row["count"]),
                "avg_execution_time": float(row["mean"]),
                "min_execution_time": float(row["least"]),
                "max_execution_time": float(row["greatest"]),
            }
            for row in self._machinery().store.history.durations(task_name)
        }
        return metrics if task_name is None else metrics.get(task_name, {})
