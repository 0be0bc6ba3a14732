"""PerformanceTracker: how the runs of tasks went. Reached as `app.monitor.performance`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from closingbell.core.duration import parse_duration
from closingbell.machinery import Machinery
from closingbell.monitor.figures import Figures
from closingbell.monitor.sketch import Sketch
from closingbell.monitor.window import read_figures

_MICROSECOND = timedelta(microseconds=1)
_SECOND = 1_000_000


class PerformanceTracker:
    """How runs went, by task and window.

    Counts, averages, least and greatest values are exact; p50, p95 and p99 are within 1 %
    of the exact quantiles. What this process's worker has settled is included at once, what
    other workers have settled within about five seconds.
    """

    def __init__(self, machinery: Callable[[], Machinery]) -> None:
        """Make the face; use `app.monitor.performance`."""
        self._machinery = machinery

    def get_performance_metrics(
        self, task_name: str | None = None, window: str | float | timedelta | None = None
    ) -> dict[str, Any]:
        """Return how the successful runs of tasks went.

        Args:
            task_name: only this task's.
            window: how far back, such as "15m" or "7d"; None = since ever. A window begins
                with its minute, when that is at most 25 hours ago; with its hour, when it is at
                most 32 days ago; with its UTC day before that, up to 400 days ago.

        Returns:
            For one task its metrics; without a name a dict of them by task; tasks without a
            success in the window are left out. Times are seconds: `count`,
            `avg_execution_time`, `min_execution_time`, `max_execution_time`,
            `p50_execution_time`, `p95_execution_time`, `p99_execution_time` of the attempts
            that succeeded; and what `get_figures` returns for the task.

        Raises:
            TriggerError: the window cannot be read.
        """
        metrics = {
            task: {
                "count": figures.durations.count,
                **{f"{name}_execution_time": value for name, value in _times(figures.durations)},
                **_rest(figures),
            }
            for task, figures in self._read(task_name, window).items()
            if figures.durations.count
        }
        return metrics if task_name is None else metrics.get(task_name, {})

    def get_figures(
        self, task_name: str | None = None, window: str | float | timedelta | None = None
    ) -> dict[str, dict[str, Any]]:
        """Return how all runs of tasks went, whether or not any succeeded.

        Args:
            task_name: only this task's.
            window: as in `get_performance_metrics`.

        Returns:
            By task: `success`, `failed`, `cancelled`, `skipped` (runs), `retried` (attempts that
            failed and were followed by another), `failure_rate` (of the runs that succeeded or
            failed, a fraction); `lateness` (from the planned instant to the first start) and
            `queue_wait` (from the instant at which an attempt was due to its start), each with
            `count`, `avg`, `min`, `max`, `p50`, `p95`, `p99` in seconds. A run that was cancelled
            before a worker took it is in none of them.

        Raises:
            TriggerError: the window cannot be read.
        """
        return {task: _rest(figures) for task, figures in self._read(task_name, window).items()}

    def _read(self, task: str | None, window: str | float | timedelta | None) -> dict[str, Figures]:
        back = None if window is None else parse_duration(window, kind="window") // _MICROSECOND
        machinery = self._machinery()
        machinery.flush_figures()
        return read_figures(machinery.store.performance, machinery.clock.micros(), task, back)


def _rest(figures: Figures) -> dict[str, Any]:
    return {
        "success": figures.success,
        "failed": figures.failed,
        "cancelled": figures.cancelled,
        "skipped": figures.skipped,
        "retried": figures.retried,
        "failure_rate": figures.failure_rate,
        "lateness": {"count": figures.lateness.count, **dict(_times(figures.lateness))},
        "queue_wait": {"count": figures.waits.count, **dict(_times(figures.waits))},
    }


def _times(sketch: Sketch) -> list[tuple[str, float]]:
    """Return the names and values of a sketch's times, in seconds."""
    p50, p95, p99 = sketch.quantiles(0.50, 0.95, 0.99)
    return [
        ("avg", sketch.mean / _SECOND),
        ("min", sketch.least / _SECOND),
        ("max", sketch.greatest / _SECOND),
        ("p50", p50 / _SECOND),
        ("p95", p95 / _SECOND),
        ("p99", p99 / _SECOND),
    ]
