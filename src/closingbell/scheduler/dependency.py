"""Dependencies: a task that runs after others have succeeded.

A task with `after=[a, b]` is fired when every one of them has a success that is
newer than the task's own last firing and not older than `within`. The firing's
instant is the end of the newest of these successes: each success is used once,
and two schedulers that see the same successes make the same firing.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from closingbell.core.task import TaskDefinition


class Success(NamedTuple):
    """The latest success of a task."""

    run_id: str
    finished_at: datetime


def ready_at(
    task: TaskDefinition,
    successes: Mapping[str, Success | None],
    last_fire_at: datetime | None,
    now: datetime,
) -> datetime | None:
    """Return the instant for which a dependent task should fire, or None.

    Args:
        task: the dependent task.
        successes: the latest success of each task that it waits for.
        last_fire_at: its own last firing.
        now: the desk's time.
    """
    newest: datetime | None = None
    for name in task.after:
        success = successes.get(name)
        if success is None or now - success.finished_at > task.within:
            return None
        if last_fire_at is not None and success.finished_at <= last_fire_at:
            return None
        if newest is None or success.finished_at > newest:
            newest = success.finished_at
    return newest


def waiting_for(
    task: TaskDefinition,
    successes: Mapping[str, Success | None],
    last_fire_at: datetime | None,
    now: datetime,
) -> list[str]:
    """Say, one line each, which dependencies keep a task from firing."""
    lines: list[str] = []
    for name in task.after:
        success = successes.get(name)
        if success is None:
            lines.append(f"{name} has not succeeded yet")
        elif now - success.finished_at > task.within:
            lines.append(f"{name} succeeded {_ago(now - success.finished_at)} ago: too old")
        elif last_fire_at is not None and success.finished_at <= last_fire_at:
            lines.append(f"{name} has not succeeded again since the last firing")
    return lines


def _ago(length: timedelta) -> str:
    return str(timedelta(seconds=round(length.total_seconds())))
