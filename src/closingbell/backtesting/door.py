"""SimulatedDoor: the app's own door, on the clock of a simulation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from closingbell.core.clock import Clock
from closingbell.core.error import PayloadNotJson, SubmitError
from closingbell.core.event_trigger import EventTrigger
from closingbell.core.registry import TaskRegistry
from closingbell.core.run import RunItem, RunTemplate
from closingbell.core.schedule import Schedule
from closingbell.core.task import TaskDefinition
from closingbell.event import started_by
from closingbell.runtime import error_json
from closingbell.submission import Door, Options, check_text


class _NoIds:
    """Stands where ids are made live: a simulation names its runs itself."""

    def take(self, count: int) -> list[str]:
        return [""] * count


class SimulatedDoor:
    """Makes the runs of a simulation by the live rules."""

    def __init__(
        self,
        clock: Clock,
        registry: TaskRegistry,
        triggers: Iterable[EventTrigger],
        timezone: str,
        payload_limit: int,
    ) -> None:
        self._clock = clock
        self._registry = registry
        self._door = Door(
            clock=clock,
            ids=_NoIds(),  # type: ignore[arg-type]
            timezone=timezone,
            payload_limit=payload_limit,
        )
        self._triggers: dict[str, list[Mapping[str, Any]]] = {}
        for trigger in sorted(triggers, key=lambda one: one.id):
            self._triggers.setdefault(trigger.event_type, []).append(
                {
                    "task": trigger.task,
                    "condition": trigger.where,
                    "payload": trigger.payload,
                    "priority": trigger.priority,
                }
            )

    def wants(self, event_type: str) -> bool:
        return event_type in self._triggers

    def firing(
        self, schedule: Schedule, fire_at: datetime, gate: bool
    ) -> tuple[RunTemplate, RunItem]:
        task = self._registry.resolve(schedule.task)
        template = self._door.scheduled(
            task,
            schedule_id=schedule.id,
            trigger=schedule.trigger,
            fire_at=fire_at,
            due_at=fire_at,
            until=fire_at,
            priority=schedule.priority,
            tags=schedule.tags,
        )
        return template, self._door.item(task, schedule.payload, schedule.id if gate else None)

    def dependent(
        self, task: TaskDefinition, schedule_id: str, fire_at: datetime
    ) -> tuple[RunTemplate, RunItem]:
        now = self._clock.now()
        template = self._door.scheduled(
            task,
            schedule_id=schedule_id,
            trigger=None,
            fire_at=fire_at,
            due_at=now,
            until=now,
            priority=None,
            tags=(),
            cause="after",
        )
        return template, self._door.item(task, task.payload)

    def started_by(
        self, event_type: str, data: Mapping[str, Any]
    ) -> Sequence[tuple[RunTemplate, RunItem]]:
        triggers = self._triggers.get(event_type)
        if triggers is None:
            return ()
        return started_by(triggers, data, "", self._registry, self._door)

    # --- what tasks submit ---------------------------------------------------------------

    def submitted(
        self,
        task: TaskDefinition,
        payloads: Sequence[Mapping[str, Any] | None],
        options: Options,
        connection: Any,
    ) -> tuple[RunTemplate, list[RunItem]]:
        """Return runs that a task submits.

        Raises:
            PayloadError: a payload or an option is refused.
        """
        if connection is not None:
            raise SubmitError("connection", repr(connection), "none: a backtest has no database")
        return self._door.template(task, options), self._door.items(task, payloads)

    def event_data(self, event_type: str, data: dict[str, Any]) -> dict[str, Any]:
        """Return the data of an event that a task triggers, checked as live.

        Raises:
            SubmitError: the type is no text of 1 to 200 characters.
            PayloadNotJson: the data cannot be stored.
        """
        check_text("event type", event_type, 200)
        try:
            error_json(data)
        except (TypeError, ValueError, RecursionError) as problem:
            raise PayloadNotJson(f"event {event_type}", str(problem)) from problem
        return data
