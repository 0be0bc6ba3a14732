"""TaskWatch: failed and overdue tasks are told once for each time."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from closingbell.tasks.task_watch import TaskWatch
from tests.unit.tasks.desk_rig import DeskRig


def status(rig: DeskRig, **values: Any) -> dict[str, Any]:
    now = rig.clock.now()
    given = {name: value if name in ("last_error", "running") else now + value if value is not None
             else None for name, value in values.items()}  # fmt: skip
    return {
        "last_run": None, "last_status": None, "last_error": None, "last_success": None,
        "next_run": None, "running": 0, **given,
    }  # fmt: skip


def test_task_that_fails_is_told_once_until_it_succeeds_again() -> None:
    rig, task = DeskRig(), TaskWatch()
    for error in ("ValueError: no", "ValueError: no", None, "KeyError: x"):
        rig.status = {"sync": status(rig, last_error=error)}
        rig.run(task)

    assert [(alert.severity, alert.message) for alert in rig.alerts] == [
        ("ERROR", "task sync failed: ValueError: no"),
        ("ERROR", "task sync failed: KeyError: x"),
    ]


@pytest.mark.parametrize(
    ("values", "overdue"),
    [
        ({"next_run": timedelta(minutes=5)}, False),
        ({"next_run": timedelta(minutes=-10)}, False),
        ({"next_run": timedelta(minutes=-11)}, True),
        ({"next_run": timedelta(minutes=-11), "running": 1}, False),
        ({"next_run": None, "last_success": timedelta(hours=-3)}, True),
        ({"next_run": None, "last_success": timedelta(hours=-2)}, False),
        ({}, False),
    ],
)
def test_task_is_overdue_when_it_did_not_begin_or_succeed_in_time(
    values: dict[str, Any], overdue: bool
) -> None:
    rig = DeskRig()
    rig.status = {"sync": status(rig, **values)}
    found = rig.run(TaskWatch(max_age="2h"))

    assert found == {"failed": [], "overdue": ["sync"] if overdue else []}
    assert len(rig.alerts) == overdue


def test_overdue_task_is_told_since_when_in_the_desks_zone() -> None:
    rig = DeskRig(zone="America/New_York")
    rig.status = {"sync": status(rig, next_run=timedelta(hours=-1))}
    rig.run(TaskWatch())

    assert rig.alerts[0].message == "task sync is overdue since 2026-03-02 15:00:00"


def test_watch_looks_neither_at_itself_nor_at_tasks_that_are_not_named() -> None:
    rig = DeskRig()
    failed = status(rig, last_error="ValueError: no")
    rig.status = {"task_watch": failed, "a": failed, "b": failed}

    assert rig.run(TaskWatch(only=["b"]))["failed"] == ["b"]
    assert rig.run(TaskWatch())["failed"] == ["a", "b"]
