"""Agenda: what tasks declare and people schedule, and the runs that firings make."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from closingbell.core.clock import Clock, from_micros, to_micros
from closingbell.core.error import UnknownSchedule
from closingbell.core.port import Firing
from closingbell.core.registry import TaskRegistry
from closingbell.core.run import RunItem, RunTemplate
from closingbell.core.schedule import Schedule
from closingbell.core.task import TaskDefinition
from closingbell.definition import read_schedule, write_definition
from closingbell.event import own_event_triggers, put_event_trigger
from closingbell.monitor.tracing import FiringSpans
from closingbell.runtime import error_json
from closingbell.scheduler.dependency import Success, ready_at
from closingbell.store.store import Store
from closingbell.submission import Door

_log = logging.getLogger("closingbell")

#: Before the id of the schedule that stands for a task's `after=`.
DEPENDENCY = "after:"

#: Why what a task declared once is taken away.
_NO_MORE = "the task declares it no more"


def is_dependency(schedule_id: str) -> bool:
    """Whether a stored schedule stands for `after=`, which no trigger fires."""
    return schedule_id.startswith(DEPENDENCY)


class Agenda:
    """The schedules, event triggers and dependencies of an open store.

    Attributes:
        upstream: tasks whose success may start another.
    """

    def __init__(
        self,
        *,
        store: Store,
        registry: TaskRegistry,
        door: Door,
        clock: Clock,
        wake: Callable[[], None],
    ) -> None:
        """Look after an open store's agenda.

        Args:
            store: where it is kept.
            registry: the tasks that are known here.
            door: checks payloads, and makes what the store keeps.
            clock: the desk's time.
            wake: tells the scheduler that something changed.
        """
        self._store = store
        self._registry = registry
        self._door = door
        self._clock = clock
        self._wake = wake
        self._spans = FiringSpans(clock)
        self.upstream: frozenset[str] = frozenset()

    def adopt(self, task: TaskDefinition) -> None:
        """Store what a task declares: its schedule, event triggers and dependencies."""
        for warning in getattr(task.trigger, "warnings", ()):
            _log.warning("task %r: %s", task.name, warning)
        if task.trigger is not None:
            self.put_schedule(
                Schedule(
                    id=task.name,
                    task=task.name,
                    trigger=task.trigger,
                    payload=task.payload,
                    policy=task.policy,
                    source="task",
                )
            )
        for trigger in own_event_triggers(task):
            put_event_trigger(self._store, trigger, self._clock.micros())
        if task.after:
            self._store.schedules.put(
                DEPENDENCY + task.name,
                task.name,
                error_json({"after": list(task.after), "within_s": task.within.total_seconds()}),
                "task",
                None,
                self._clock.micros(),
            )
            self.upstream |= frozenset(task.after)

    def adopt_all(self, tasks: Iterable[TaskDefinition]) -> None:
        """Store what tasks declare, and take away what they declared once and do no more."""
        known = list(tasks)
        # First, so that no audit record of what follows shows what is masked.
        self._store.masks.put_all({task.name: task.masked for task in known})
        names = {task.name for task in known}
        declared = {task.name for task in known if task.trigger is not None}
        declared |= {DEPENDENCY + task.name for task in known if task.after}
        listening = {trigger.id for task in known for trigger in own_event_triggers(task)}
        for schedule_id, task_name in self._store.schedules.declared():
            if task_name in names and schedule_id not in declared:
                self._store.schedules.remove(schedule_id, _NO_MORE)
        for trigger_id, task_name in self._store.events.declared():
            if task_name in names and trigger_id not in listening:
                self._store.events.remove_trigger(trigger_id, _NO_MORE)
        for task in known:
            self.adopt(task)

    def put_schedule(self, schedule: Schedule) -> bool:
        """Store a schedule, or change it; returns whether anything changed."""
        task = self._registry.resolve(schedule.task)
        self._door.item(task, schedule.payload)
        definition = write_definition(
            schedule.trigger, schedule.policy, schedule.payload, schedule.priority, schedule.tags
        )
        following = self.first_firing(schedule)
        changed = self._store.schedules.put(
            schedule.id,
            schedule.task,
            definition,
            schedule.source,
            None if following is None else to_micros(following),
            self._clock.micros(),
        )
        if changed:
            self._wake()
        return changed

    def first_firing(self, schedule: Schedule) -> datetime | None:
        """Return the first instant of a schedule from now on, within its start and end."""
        after = self._clock.now()
        start, end = schedule.policy.start, schedule.policy.end
        if start is not None and start > after:
            # Strictly after, so a firing at the start itself still counts.
            after = from_micros(to_micros(start) - 1)
        following = schedule.trigger.next_after(after)
        return None if following is None or (end is not None and following > end) else following

    def read_known(self, row: Mapping[str, Any]) -> Schedule | None:
        """Return the schedule of a stored row, or None when its task is unknown here."""
        return read_schedule(row) if row["task"] in self._registry else None

    def scheduled_run(
        self, schedule: Schedule, fire_at: datetime, due_at: datetime, until: datetime, gate: bool
    ) -> tuple[RunTemplate, RunItem]:
        """Return what to store for one firing; what is due by `until` is pending at once."""
        task = self._registry.resolve(schedule.task)
        template = self._door.scheduled(
            task,
            schedule_id=schedule.id,
            trigger=schedule.trigger,
            fire_at=fire_at,
            due_at=due_at,
            until=until,
            priority=schedule.priority,
            tags=schedule.tags,
        )
        item = self._door.item(task, schedule.payload, schedule.id if gate else None)
        trace = self._spans.plan(item.id, schedule.id, task.name, to_micros(fire_at))
        return (template if trace is None else template._replace(trace=trace)), item

    def scheduled_runs_made(self, run_ids: Iterable[str]) -> None:
        """Tell the tracer which of the runs of `scheduled_run` were stored; no others will be."""
        self._spans.made(run_ids)

    def fire_dependencies(self) -> None:
        """Fire dependent tasks whose dependencies have all succeeded anew."""
        for task in self._registry:
            if task.after:
                self._fire_dependent(task)

    def _fire_dependent(self, task: TaskDefinition) -> None:
        try:
            row = self._store.schedules.get(DEPENDENCY + task.name)
        except UnknownSchedule:
            return
        now = self._clock.now()
        if row["paused_at"] is not None and not (
            row["paused_until"] is not None and row["paused_until"] <= to_micros(now)
        ):
            return
        last = None if row["last_fire_at"] is None else from_micros(row["last_fire_at"])
        instant = ready_at(task, self.successes(task), last, now)
        if instant is None:
            return
        template = self._door.scheduled(
            task,
            schedule_id=row["id"],
            trigger=None,
            fire_at=instant,
            due_at=now,
            until=now,
            priority=None,
            tags=(),
            cause="after",
        )
        item = self._door.item(task, task.payload)
        trace = self._spans.plan(item.id, row["id"], task.name, to_micros(instant))
        if trace is not None:
            template = template._replace(trace=trace)
        firing = Firing(to_micros(instant), "ran", template=template, item=item)
        made = self._store.schedules.fire(row["id"], row["version"], [firing], None, to_micros(now))
        self._spans.made([item.id] if made else [])
        if made:
            self._store.queue.exchange()

    def successes(self, task: TaskDefinition) -> dict[str, Success | None]:
        """Return the latest success of each task that `task` waits for."""
        found: dict[str, Success | None] = {}
        for name in task.after:
            row = self._store.runs.last_ended(name, "success")
            found[name] = (
                None if row is None else Success(row["id"], from_micros(row["finished_at"]))
            )
        return found
