"""Declarations: the schedules and event triggers that an app makes beside its tasks' own.

They are values: a store is given them when it is opened, and a backtest reads them as they are.
"""

from __future__ import annotations

from collections.abc import Iterable

from closingbell.core.event_trigger import EventTrigger
from closingbell.core.schedule import Schedule
from closingbell.core.task import TaskDefinition


class Declarations:
    """What was declared by calls of the app, by id."""

    def __init__(self) -> None:
        self._schedules: dict[str, Schedule] = {}
        self._event_triggers: dict[str, EventTrigger] = {}

    def add(self, declared: Schedule | EventTrigger) -> None:
        """Keep a declaration; one of the same id is replaced."""
        if isinstance(declared, Schedule):
            self._schedules[declared.id] = declared
        else:
            self._event_triggers[declared.id] = declared

    def forget(self, declared_id: str) -> None:
        """Take a declaration back, if it is there."""
        self._schedules.pop(declared_id, None)
        self._event_triggers.pop(declared_id, None)

    def holds(self, declared: Schedule | EventTrigger) -> bool:
        """Whether a declaration stands: nobody took it back, or replaced it by another."""
        kept = self._schedules if isinstance(declared, Schedule) else self._event_triggers
        return kept.get(declared.id) is declared

    def schedules(self, tasks: Iterable[TaskDefinition]) -> dict[str, Schedule]:
        """Return the tasks' own schedules and these, by id."""
        own = {
            task.name: Schedule(
                id=task.name,
                task=task.name,
                trigger=task.trigger,
                payload=task.payload,
                policy=task.policy,
                source="task",
            )
            for task in tasks
            if task.trigger is not None
        }
        return {**own, **self._schedules}

    def event_triggers(self, tasks: Iterable[TaskDefinition]) -> dict[str, EventTrigger]:
        """Return the tasks' own event triggers and these, by id."""
        from closingbell.event import own_event_triggers

        own = {trigger.id: trigger for task in tasks for trigger in own_event_triggers(task)}
        return {**own, **self._event_triggers}
