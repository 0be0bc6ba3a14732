"""closingbell: cron that knows the market, and a queue that never runs a settlement twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from closingbell.core.outcome import Cancel, Skip, Snooze
from closingbell.task import Task, TaskOptions

if TYPE_CHECKING:
    from closingbell.app import App, create_app
    from closingbell.core.call import current_context
    from closingbell.core.context import Context
    from closingbell.core.error import ClosingbellError
    from closingbell.core.limit import Rate
    from closingbell.core.retry import RetryPolicy
    from closingbell.core.run import Attempt, Run, RunState
    from closingbell.handle import RunHandle

__version__ = "0.1.0"

#: Names that are loaded when they are first used, and from where.
_LATER = {
    "App": "closingbell.app",
    "Attempt": "closingbell.core.run",
    "ClosingbellError": "closingbell.core.error",
    "Context": "closingbell.core.context",
    "Rate": "closingbell.core.limit",
    "RetryPolicy": "closingbell.core.retry",
    "Run": "closingbell.core.run",
    "RunHandle": "closingbell.handle",
    "RunState": "closingbell.core.run",
    "create_app": "closingbell.app",
    "current_context": "closingbell.core.call",
}

__all__ = [
    "App",
    "Attempt",
    "Cancel",
    "ClosingbellError",
    "Context",
    "Rate",
    "RetryPolicy",
    "Run",
    "RunHandle",
    "RunState",
    "Skip",
    "Snooze",
    "Task",
    "TaskOptions",
    "create_app",
    "current_context",
]


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module 'closingbell' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_LATER[name]), name)
    globals()[name] = value
    return value
