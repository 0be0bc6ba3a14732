"""ScheduleHandle: a schedule in the caller's hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from closingbell.core.clock import from_micros, to_micros
from closingbell.core.error import TriggerError
from closingbell.core.schedule import Schedule
from closingbell.core.task import TaskDefinition
from closingbell.core.trigger import Trigger
from closingbell.definition import definition_id, read_schedule, write_definition
from closingbell.task import ScheduleOptions, read_policy, read_trigger

if TYPE_CHECKING:
    from closingbell.app import App

_WORDS = frozenset(ScheduleOptions.__annotations__)


class ScheduleHandle:
    """One stored schedule.

    Attributes:
        id: the schedule's id.
    """

    __slots__ = ("_app", "id")

    def __init__(self, schedule_id: str, app: App) -> None:
        self.id = schedule_id
        self._app = app

    def __repr__(self) -> str:
        return f"<ScheduleHandle {self.id}>"

    @property
    def schedule(self) -> Schedule:
        """The schedule as it is stored now."""
        return read_schedule(self._app.store.schedules.get(self.id))

    def next(self, count: int = 1) -> list[datetime]:
        """Return the next instants that the trigger names, from the next stored one on."""
        schedule = self.schedule
        instants: list[datetime] = []
        at = schedule.next_fire_at
        while at is not None and len(instants) < count:
            instants.append(at)
            at = schedule.trigger.next_after(at)
        return instants

    def pause(self, reason: str, until: datetime | None = None) -> None:
        """Stop firing, until an instant or until `resume`.

        Args:
            reason: shown to everybody who asks why nothing runs.
            until: aware; None = until it is resumed.

        Raises:
            TriggerError: `until` is naive.
        """
        if until is not None and until.tzinfo is None:
            raise TriggerError("until", str(until), "an aware datetime")
        machinery = self._app.machinery
        end = None if until is None else to_micros(until)
        machinery.store.schedules.pause(self.id, reason, end, machinery.clock.micros())
        machinery.wake_scheduler()

    def resume(self, *, catch_up: bool = False) -> None:
        """Fire again.

        Args:
            catch_up: whether firings that the pause kept back count as missed, and so
                follow the schedule's catch-up policy; default they are left out.
        """
        machinery = self._app.machinery
        row = machinery.store.schedules.get(self.id)
        at = row["next_fire_at"]
        if not catch_up and at is not None:
            following = machinery.agenda.first_firing(read_schedule(row))
            at = None if following is None else to_micros(following)
        machinery.store.schedules.resume(self.id, at)
        machinery.wake_scheduler()

    def remove(self) -> bool:
        """Delete the schedule; its runs and firings stay. Returns whether it was there.

        This app does not store it again. A task's own schedule is back when its app next starts,
        as is one whose `app.schedule` call is made again: change the code, or pause it.
        """
        self._app.take_back(self.id)
        return self._app.store.schedules.remove(self.id)

    def firings(self, limit: int = 100) -> list[dict[str, Any]]:
        """Return stored ticks, newest first: `fire_at`, `outcome`, `reason`, `run_id`, `count`."""
        rows = self._app.store.schedules.firings(self.id, limit)
        return [
            {
                **row,
                "fire_at": from_micros(row["fire_at"]),
                "noted_at": from_micros(row["noted_at"]),
            }
            for row in rows
        ]


def declare_schedule(
    app: App,
    task: TaskDefinition,
    trigger: Trigger | None,
    schedule_id: str | None,
    payload: Mapping[str, Any] | None,
    priority: int | None,
    tags: Sequence[str],
    options: Mapping[str, Any],
) -> ScheduleHandle:
    """Make a schedule known to an app: now, and whenever its store is opened."""
    from closingbell.submission import check_payload, check_priority, encode_tags

    unknown = sorted(set(options) - _WORDS)
    if unknown:
        raise TriggerError("schedule option", unknown[0], "one of " + ", ".join(sorted(_WORDS)))
    zone = app.settings.timezone
    given = dict(options) if trigger is None else {**options, "trigger": trigger}
    rule = read_trigger(given, zone)
    if rule is None:
        raise TriggerError("schedule", None, "a trigger, such as Every('5m') or cron='0 9 * * MON'")
    check_priority(priority, task.priority)
    encode_tags((), tags)
    schedule = Schedule(
        id="",
        task=task.name,
        trigger=rule,
        payload=task.payload if payload is None else payload,
        policy=read_policy(options, zone),
        priority=priority,
        tags=tuple(tags),
    )
    check_payload(task, schedule.payload, app.settings.payload_limit_bytes)
    definition = write_definition(
        rule, schedule.policy, schedule.payload, schedule.priority, schedule.tags
    )
    chosen = schedule_id or definition_id(task.name, definition)
    stored = replace(schedule, id=chosen)
    app.declare_schedule(stored)
    return ScheduleHandle(chosen, app)
