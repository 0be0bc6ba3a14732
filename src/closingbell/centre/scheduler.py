"""TaskScheduler: when tasks run. Reached as `app.scheduler`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from closingbell.agenda import is_dependency
from closingbell.centre.awaitable import AwaitableList, AwaitableText
from closingbell.centre.scheduled_task import ScheduledTask, scheduled_task_of
from closingbell.core.clock import from_micros
from closingbell.core.error import InvalidTransition, UnknownRun
from closingbell.core.schedule import BY_HAND, Schedule
from closingbell.declarations import Declarations
from closingbell.definition import definition_id, read_schedule, write_definition
from closingbell.event import put_event_trigger, read_event_trigger
from closingbell.machinery import Machinery
from closingbell.submission import Options, check_priority


class TaskScheduler:
    """Submits runs, schedules and event triggers; every call may be awaited, and need not be."""

    def __init__(
        self, machinery: Callable[[], Machinery], timezone: str, declarations: Declarations | None
    ) -> None:
        """Make the face; use `app.scheduler`.

        Args:
            machinery: returns what works behind the app.
            timezone: of times that name none.
            declarations: where the app's code keeps what it declares; None for somebody at the
                door, who declares nothing and has it stored alone.
        """
        self._machinery = machinery
        self._timezone = timezone
        self._declarations = declarations

    def schedule_task(
        self,
        task_name: str,
        payload: Mapping[str, Any] | None,
        trigger_time: datetime | None = None,
        priority: int = 5,
        tags: Sequence[str] | None = None,
    ) -> AwaitableText:
        """Store a run, for now or for later; return its id.

        Args:
            task_name: a registered task.
            payload: what the handler is given.
            trigger_time: not before this instant; naive means the app's zone; None = now.
            priority: 1 runs first, 9 last; it leads over the task's own.
            tags: labels beside the task's.

        Raises:
            UnknownTask: the task is not registered.
            PayloadError: the payload or an option is refused; nothing was stored.
        """
        machinery = self._machinery()
        task = machinery.registry.resolve(task_name)
        options = Options(at=trigger_time, priority=priority, tags=tags or ())
        return AwaitableText(machinery.intake.submit(task, payload, options, None))

    def schedule_cron_task(
        self,
        task_name: str,
        cron_expression: str,
        payload: Mapping[str, Any] | None,
        priority: int = 5,
    ) -> AwaitableText:
        """Store a recurring schedule; return its id.

        The same call again is the same schedule, so that a script may make it at each start.

        Args:
            task_name: a registered task.
            cron_expression: five fields, in the app's zone.
            payload: what each run is given.
            priority: of its runs.

        Raises:
            UnknownTask: the task is not registered.
            TriggerError: the expression cannot be read.
            PayloadError: the payload or the priority is refused; nothing was stored.
        """
        from closingbell.triggers import Cron

        machinery = self._machinery()
        task = machinery.registry.resolve(task_name)
        check_priority(priority, 5)
        schedule = Schedule(
            id="",
            task=task.name,
            trigger=Cron(cron_expression, timezone=self._timezone),
            payload=payload or {},
            priority=priority,
            source=self._source,
        )
        machinery.door.item(task, schedule.payload)
        definition = write_definition(
            schedule.trigger, schedule.policy, schedule.payload, priority, schedule.tags
        )
        chosen = definition_id(task.name, definition)
        schedule = replace(schedule, id=chosen)
        machinery.agenda.put_schedule(schedule)
        if self._declarations is not None:
            self._declarations.add(schedule)
        return AwaitableText(chosen)

    def schedule_event_trigger(
        self,
        task_name: str,
        event_type: str,
        payload: Mapping[str, Any] | None,
        priority: int = 5,
    ) -> AwaitableText:
        """Run a task whenever an event happens; return the trigger's id.

        It only registers: nothing runs before `trigger_event`. The same call again is
        the same trigger.

        Args:
            task_name: a registered task.
            event_type: which events.
            payload: each run gets a copy of it, with the event's data over it.
            priority: of its runs.

        Raises:
            UnknownTask: the task is not registered.
            PayloadError: the payload, the event type or the priority is refused.
        """
        machinery = self._machinery()
        task = machinery.registry.resolve(task_name)
        trigger = read_event_trigger(task, event_type, None, payload, priority)
        trigger = replace(trigger, source=self._source)
        put_event_trigger(machinery.store, trigger, machinery.clock.micros())
        if self._declarations is not None:
            self._declarations.add(trigger)
        return AwaitableText(trigger.id)

    @property
    def _source(self) -> str:
        return BY_HAND if self._declarations is None else "app"

    def trigger_event(
        self, event_type: str, event_data: Mapping[str, Any] | None = None
    ) -> AwaitableList:
        """Store an event and the runs that it starts, in one transaction; return their ids.

        Raises:
            PayloadError: the data is refused, or does not fit a task that it starts;
                nothing was stored.
        """
        machinery = self._machinery()
        return AwaitableList(
            machinery.intake.trigger_event(event_type, dict(event_data or {}), None)
        )

    def get_next_task(self) -> ScheduledTask | None:
        """Return the run that would be claimed next, or None when nothing is due.

        It only looks: the run stays where it is, a worker takes it, and a second call
        may return the same one.
        """
        machinery = self._machinery()
        waiting = machinery.store.runs.waiting(limit=1, until=machinery.clock.micros())
        return scheduled_task_of(waiting[0]) if waiting else None

    @property
    def scheduled_tasks(self) -> list[ScheduledTask]:
        """What waits, soonest first: runs (at most 1,000), and each schedule's next firing."""
        store = self._machinery().store
        waiting = [scheduled_task_of(run) for run in store.runs.waiting(limit=1_000)]
        for row in store.schedules.list_all():
            if row["next_fire_at"] is None or is_dependency(row["id"]):
                continue
            schedule = read_schedule(row)
            waiting.append(
                ScheduledTask(
                    task_name=schedule.task,
                    payload=dict(schedule.payload),
                    trigger_time=from_micros(row["next_fire_at"]),
                    priority=schedule.priority or 5,
                    task_id=schedule.id,
                    tags=list(schedule.tags),
                )
            )
        return sorted(waiting)

    def cancel_task(self, task_id: str) -> bool:
        """Cancel a run, remove a schedule, or remove an event trigger, by its id.

        A run that waits ends at once; one that runs is asked to end.

        Returns:
            False when there is nothing of that id to cancel: it is unknown, or has ended.
        """
        machinery = self._machinery()
        try:
            machinery.cancel_run(task_id, "cancelled through the scheduler")
        except UnknownRun:
            pass
        except InvalidTransition:
            return False
        else:
            return True
        if is_dependency(task_id):
            return False
        store = machinery.store
        if self._declarations is not None:
            self._declarations.forget(task_id)
        return store.schedules.remove(task_id) or store.events.remove_trigger(task_id)
