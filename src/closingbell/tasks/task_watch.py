"""TaskWatch: looks after the other tasks."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Unpack

from closingbell.option import Duration, read_positive
from closingbell.task import TaskOptions
from closingbell.tasks.ready_task import ReadyTask

if TYPE_CHECKING:
    from closingbell.trading.algorithm import Algorithm


def overdue_since(
    status: Mapping[str, Any], now: datetime, late: timedelta, max_age: timedelta | None = None
) -> datetime | None:
    """Return since when a task should have run, or None when it is in time.

    Args:
        status: of the task, as `algorithm.get_task_status()` gives it.
        now: naive, as the times of the status are.
        late: a run that was planned is overdue when it has not begun so long after.
        max_age: the latest success may be so old; None = any age.
    """
    planned: datetime | None = status["next_run"]
    if planned is not None and not status["running"] and now - planned > late:
        return planned
    succeeded: datetime | None = status["last_success"]
    if max_age is not None and succeeded is not None and now - succeeded > max_age:
        return succeeded + max_age
    return None


class TaskWatch(ReadyTask):
    """Raise an alert when a task fails, and when one does not run when it should.

    One alert for each time that it happens; the next one after the task has succeeded, or run,
    again. The engine raises its own alert for each run that failed for good; this one is about
    the task, and also sees what did not run at all.
    """

    def __init__(
        self,
        *,
        late: Duration = "10m",
        max_age: Duration | None = None,
        only: Collection[str] = (),
        name: str = "task_watch",
        **options: Unpack[TaskOptions],
    ) -> None:
        """Declare the task; it runs every ten minutes unless `options` say when.

        Args:
            late: a planned run that has not begun so long after its time is overdue.
            max_age: a task whose latest success is older is overdue; None = any age.
            only: look after these tasks alone; default all.
            name: unique in its app.
            options: see `TaskOptions`.

        Raises:
            DefinitionError: an option cannot be read.
        """
        super().__init__(name, {"interval": "10m", "tags": ["desk"]}, options)
        self.late = read_positive(name, "late", late)
        self.max_age = None if max_age is None else read_positive(name, "max_age", max_age)
        self.only = frozenset(only)

    def run(self, algorithm: Algorithm) -> dict[str, list[str]]:
        """Look at every task once; return which `failed` and which are `overdue`."""
        now = algorithm.now()
        found: dict[str, list[str]] = {"failed": [], "overdue": []}
        for task, status in sorted(algorithm.get_task_status().items()):
            if task == self.name or (self.only and task not in self.only):
                continue
            error = status["last_error"]
            since = overdue_since(status, now, self.late, self.max_age)
            if error is not None:
                found["failed"].append(task)
            if since is not None:
                found["overdue"].append(task)
            self.alert_once(
                algorithm,
                f"failed:{task}",
                error is not None,
                f"task {task} failed: {error}",
                "ERROR",
                task=task,
                error=error,
            )
            self.alert_once(
                algorithm,
                f"overdue:{task}",
                since is not None,
                f"task {task} is overdue since {since}",
                task=task,
                since=None if since is None else since.isoformat(),
            )
        return found
