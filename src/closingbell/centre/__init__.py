"""The scheduler centre: the classes of the scheduler-centre document, over the one engine.

    app.registry          TaskRegistry      what can run
    app.scheduler         TaskScheduler     when: now, later, by cron, by event
    app.executor          TaskExecutor      run it and wait; what runs now
    app.retry_controller  RetryController   how failures are retried
    app.monitor           TaskMonitor       history, metrics, alerts

Nothing is kept in these objects: every call reads or writes the store, so that two
processes on one store see the same, and a restart forgets nothing. `task_id` is a run's id.
Datetimes that come back are aware, in UTC; naive ones that go in mean the app's zone.
"""

from __future__ import annotations

from closingbell.centre.alert import AlertManager
from closingbell.centre.awaitable import AwaitableList, AwaitableText
from closingbell.centre.executor import TaskExecutor
from closingbell.centre.monitor import TaskMonitor
from closingbell.centre.performance import PerformanceTracker
from closingbell.centre.retry_controller import RetryController
from closingbell.centre.scheduled_task import ScheduledTask, TaskStatus
from closingbell.centre.scheduler import TaskScheduler
from closingbell.core.registry import TaskRegistry
from closingbell.core.task import TaskDefinition

__all__ = [
    "AlertManager",
    "AwaitableList",
    "AwaitableText",
    "PerformanceTracker",
    "RetryController",
    "ScheduledTask",
    "TaskDefinition",
    "TaskExecutor",
    "TaskMonitor",
    "TaskRegistry",
    "TaskScheduler",
    "TaskStatus",
]
