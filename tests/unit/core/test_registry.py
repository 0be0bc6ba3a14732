"""The registry: unique names, no cycles, and nothing half registered."""

from __future__ import annotations

from typing import Any

import pytest

from closingbell.core.error import CyclicDependency, DuplicateTask, UnknownTask
from closingbell.core.registry import TaskRegistry
from closingbell.core.task import TaskDefinition


def task(name: str, *after: str) -> TaskDefinition:
    return TaskDefinition(name=name, handler=print, after=after)


@pytest.fixture
def registry() -> TaskRegistry:
    return TaskRegistry(lambda handler, **options: TaskDefinition(handler=handler, **options), _nod)


def _nod(_task: TaskDefinition) -> None:
    pass


def test_unknown_task_carries_the_nearest_name(registry: TaskRegistry) -> None:
    registry.add(task("risk_scan"))
    with pytest.raises(UnknownTask, match="did you mean 'risk_scan'") as refused:
        registry.resolve("risk_scam")

    assert (refused.value.task, refused.value.near) == ("risk_scam", "risk_scan")
    assert registry.get_task("risk_scam") is None


def test_duplicate_name_leaves_the_first(registry: TaskRegistry) -> None:
    first = task("a")
    registry.add(first)
    with pytest.raises(DuplicateTask):
        registry.add(task("a"))

    assert registry.resolve("a") is first


@pytest.mark.parametrize(
    ("tasks", "path"),
    [
        ([task("a", "b"), task("b", "a")], ["b", "a", "b"]),
        ([task("a", "b"), task("b", "c"), task("c", "a")], ["c", "a", "b", "c"]),
        ([task("a", "x", "b"), task("x"), task("b", "x", "a")], ["b", "a", "b"]),
    ],
)
def test_cycle_is_refused_with_its_path(
    registry: TaskRegistry, tasks: list[TaskDefinition], path: list[str]
) -> None:
    *fine, closing = tasks
    for one in fine:
        registry.add(one)
    with pytest.raises(CyclicDependency) as refused:
        registry.add(closing)

    assert refused.value.path == path
    assert closing.name not in registry


def test_diamond_is_no_cycle(registry: TaskRegistry) -> None:
    for one in (task("d", "b", "c"), task("b", "a"), task("c", "a"), task("a")):
        registry.add(one)

    assert len(registry) == 4


def test_refusal_of_the_app_leaves_nothing_registered() -> None:
    def refuse(_task: TaskDefinition) -> None:
        raise RuntimeError("the store is gone")

    registry = TaskRegistry(TaskDefinition, refuse)
    with pytest.raises(RuntimeError):
        registry.add(task("a"))

    assert "a" not in registry


def test_list_is_a_copy_in_order_of_registration(registry: TaskRegistry) -> None:
    for name in "cab":
        registry.add(task(name))
    listed: dict[str, Any] = registry.list_tasks()
    listed.clear()

    assert [one.name for one in registry] == ["c", "a", "b"]
