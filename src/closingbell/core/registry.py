"""TaskRegistry: the tasks that an app knows, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from closingbell.core.error import CyclicDependency, DuplicateTask, UnknownTask
from closingbell.core.task import TaskDefinition

#: Makes a definition from the scheduler-centre form; supplied by the app.
Define = Callable[..., TaskDefinition]


class TaskRegistry:
    """Names to definitions. Reached as `app.registry`."""

    def __init__(self, define: Define, added: Callable[[TaskDefinition], None]) -> None:
        """Make an empty registry.

        Args:
            define: turns a handler and its options into a definition.
            added: called with each new definition; when it raises, the task is not registered.
        """
        self._define = define
        self._added = added
        self._tasks: dict[str, TaskDefinition] = {}

    def register_task(
        self,
        task_name: str,
        handler: Callable[..., Any],
        description: str = "",
        timeout: float = 300,
        retry_count: int = 3,
        priority: int = 5,
        tags: list[str] | tuple[str, ...] | None = None,
        **options: Any,
    ) -> None:
        """Register a handler under a name.

        Args:
            task_name: unique in this app.
            handler: a function, plain or async. One parameter named `payload`, or
                the only parameter, receives the payload as a dict.
            description: one line for people.
            timeout: seconds after which an attempt is stopped.
            retry_count: how many attempts may follow the first.
            priority: 1 runs first, 9 last.
            tags: labels to filter by.
            options: any further option of `Task`.

        Raises:
            DuplicateTask: the name is taken.
            TaskDefinitionError: an option is wrong.
        """
        self.add(
            self._define(
                handler,
                name=task_name,
                description=description,
                timeout=timeout,
                retries=retry_count,
                priority=priority,
                tags=tuple(tags or ()),
                **options,
            )
        )

    def add(self, task: TaskDefinition) -> None:
        """Register a definition.

        Raises:
            DuplicateTask: the name is taken.
            CyclicDependency: its `after=` leads back to itself.
        """
        if task.name in self._tasks:
            raise DuplicateTask(task.name)
        self._refuse_cycle(task)
        self._tasks[task.name] = task
        try:
            self._added(task)
        except BaseException:
            del self._tasks[task.name]
            raise

    def get_task(self, task_name: str) -> TaskDefinition | None:
        """Return a definition, or None when the name is not registered."""
        return self._tasks.get(task_name)

    def resolve(self, task_name: str) -> TaskDefinition:
        """Return a definition.

        Raises:
            UnknownTask: the name is not registered; it carries the nearest one.
        """
        task = self._tasks.get(task_name)
        if task is None:
            raise UnknownTask(task_name, self._tasks)
        return task

    def list_tasks(self) -> dict[str, TaskDefinition]:
        """Return all definitions by name, in the order of registration."""
        return dict(self._tasks)

    def unregister_task(self, task_name: str) -> bool:
        """Forget a task; its stored runs stay. Returns whether it was registered."""
        return self._tasks.pop(task_name, None) is not None

    def __contains__(self, task_name: object) -> bool:
        return task_name in self._tasks

    def __iter__(self) -> Iterator[TaskDefinition]:
        return iter(list(self._tasks.values()))

    def __len__(self) -> int:
        return len(self._tasks)

    def _refuse_cycle(self, task: TaskDefinition) -> None:
        graph = {name: known.after for name, known in self._tasks.items()}
        graph[task.name] = task.after

        def walk(name: str, path: list[str]) -> None:
            for before in graph.get(name, ()):
                if before == task.name:
                    raise CyclicDependency([*path, before])
                if before not in path:
                    walk(before, [*path, before])

        walk(task.name, [task.name])
