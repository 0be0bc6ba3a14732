"""How each task stands, from what is stored."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from closingbell.core.clock import from_micros
from closingbell.core.registry import TaskRegistry
from closingbell.store.codec import from_json, instant
from closingbell.store.history import Standing

if TYPE_CHECKING:
    from sqlalchemy import Row

    from closingbell.store.store import Store


_NEVER = Standing(None, None)


def task_status(store: Store, registry: TaskRegistry, now: int) -> dict[str, dict[str, Any]]:
    """Return, by task, `last_run`, `last_status`, `last_error`, `last_success`, `next_run`, `running`.

    Times are aware, in UTC; a task that never ran has None for them.
    """
    return status_of(store, [task.name for task in registry], now)


def status_of(store: Store, names: Iterable[str], now: int) -> dict[str, dict[str, Any]]:
    """Return the same for tasks by name, also where they are not registered."""
    wanted = list(names)
    running = store.runs.running_counts()
    standing = store.history.standing(wanted)
    following: dict[str, int] = {}
    for row in store.schedules.list_all():
        at = row["next_fire_at"]
        until = row["paused_until"]
        paused = row["paused_at"] is not None and (until is None or until > now)
        if at is not None and not paused:
            following[row["task"]] = min(at, following.get(row["task"], at))
    status: dict[str, dict[str, Any]] = {}
    for name in wanted:
        ended = standing.get(name, _NEVER)
        last = ended.last
        run_at = None if last is None else last.started_at or last.finished_at
        next_at = following.get(name)
        status[name] = {
            "last_run": None if run_at is None else from_micros(run_at),
            "last_status": None if last is None else last.state,
            "last_error": _error_line(last),
            "last_success": instant(ended.succeeded_at),
            "next_run": None if next_at is None else from_micros(next_at),
            "running": running.get(name, 0),
        }
    return status


def _error_line(row: Row[Any] | None) -> str | None:
    if row is None or row.state != "failed":
        return None
    error = from_json(row.error) or {}
    return f"{error.get('type', 'Error')}: {error.get('message', '')}"
