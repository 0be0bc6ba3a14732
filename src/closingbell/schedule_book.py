"""Schedules that people keep: made, changed, paused and removed while the app works."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from closingbell.agenda import is_dependency
from closingbell.core.clock import to_micros
from closingbell.core.error import (
    ClosingbellError,
    DeclaredInCode,
    PayloadMismatch,
    SubmitError,
    TriggerError,
    UnknownSchedule,
)
from closingbell.core.event_trigger import EventTrigger
from closingbell.core.mask import unmask
from closingbell.core.schedule import BY_HAND, Schedule
from closingbell.core.task import TaskDefinition
from closingbell.definition import definition_id, read_schedule, write_definition
from closingbell.event import put_event_trigger, read_event_trigger
from closingbell.outlook import held_back
from closingbell.scheduler.planner import takes_turns
from closingbell.store.schedule_book import version_of
from closingbell.submission import Options, check_priority, check_text, encode_tags
from closingbell.task import read_policy, read_trigger

if TYPE_CHECKING:
    from closingbell.app import App

_INSTEAD = "pause it, or change the code and start the app again"


class ScheduleBook:
    """The schedules and event triggers of an app's store, as people change them.

    Make one for one request: what code declares is looked at once.
    """

    def __init__(self, app: App) -> None:
        self._app = app

    # --- looking ---------------------------------------------------------------------------

    def get(self, schedule_id: str) -> tuple[Schedule, str]:
        """Return a schedule and its version.

        Raises:
            UnknownSchedule: there is none of that id.
            DefinitionError: what is stored cannot be read by this version.
        """
        row = self._row(schedule_id)
        return read_schedule(row), version_of(row)

    def others(self, schedule_id: str, most: int) -> Iterator[Schedule]:
        """Yield up to `most` other schedules that can be read."""
        now = self._app.clock.micros()
        for row in self._app.store.schedule_book.page(now=now, limit=most):
            if row["id"] == schedule_id:
                continue
            try:
                yield read_schedule(row)
            except ClosingbellError:
                continue

    def is_declared(self, kind: str, which: str, source: str, task: str) -> bool:
        """Whether code makes a schedule or an event trigger, and would make it again.

        What comes from an app whose tasks are not known here may be declared there.
        """
        if source == BY_HAND:
            return False
        declared = self._declared if kind == "schedule" else self._declared_triggers
        return which in declared or task not in self._app.registry

    def holds(self, schedule: Schedule) -> bool:
        """Whether exactly this schedule is stored."""
        row = self._row(schedule.id)
        return (row["task"], row["definition"]) == (schedule.task, _text(schedule))

    # --- making ----------------------------------------------------------------------------

    def draft(
        self,
        task: str,
        options: Mapping[str, Any],
        *,
        payload: Mapping[str, Any] | None = None,
        priority: int | None = None,
        tags: Sequence[str] = (),
        schedule_id: str | None = None,
        stored: Schedule | None = None,
    ) -> Schedule:
        """Return a schedule that could be stored; nothing is.

        Args:
            task: a registered task's name.
            options: those of `ScheduleOptions`, or `trigger`.
            payload: what its runs are given; None = what the task's own schedule gives.
            priority: of its runs; None = the task's.
            tags: of its runs, beside the task's.
            schedule_id: default made from the task and the definition.
            stored: as it was read before the change: masked fields keep its values.

        Raises:
            UnknownTask: the task is not registered here.
            DefinitionError: an option cannot be read.
            PayloadError: the payload does not fit the task.
        """
        app = self._app
        definition = app.registry.resolve(task)
        zone = app.settings.timezone
        trigger = read_trigger(options, zone)
        if trigger is None:
            raise TriggerError(
                "trigger", "none", "one of interval, time, cron, session and at, such as cron"
            )
        check_priority(priority, definition.priority)
        encode_tags((), tags)
        given = dict(definition.payload if payload is None else payload)
        schedule = Schedule(
            id="",
            task=task,
            trigger=trigger,
            payload=unmask(given, {} if stored is None else stored.payload, definition.masked),
            policy=read_policy(options, zone),
            priority=priority,
            tags=tuple(tags),
            source=BY_HAND,
        )
        app.machinery.door.item(definition, schedule.payload)
        return replace(schedule, id=schedule_id or definition_id(task, _text(schedule)))

    def create(self, schedule: Schedule) -> None:
        """Store a schedule that `draft` returned; a running scheduler fires it from now on.

        Raises:
            AlreadyExists: the id is taken.
            TriggerError: it would never fire.
            SubmitError: the id is one that tasks' own schedules and dependencies have.
        """
        app = self._app
        if schedule.id in app.registry:
            raise SubmitError("id", schedule.id, "another one: it is a task's name")
        if is_dependency(schedule.id):
            raise SubmitError("id", schedule.id, "another one: so begin ids of dependencies")
        first = self._first_firing(schedule)
        app.store.schedule_book.create(
            schedule.id, schedule.task, _text(schedule), BY_HAND, first, app.clock.micros()
        )
        app.machinery.wake_scheduler()

    def change(self, schedule: Schedule, version: str, reason: str | None = None) -> None:
        """Give a stored schedule another rule, payload or policy; its pause stays.

        Raises:
            UnknownSchedule: there is none of that id.
            DeclaredInCode: code declares it.
            VersionMismatch: somebody else changed it meanwhile.
            TriggerError: it would never fire.
        """
        app = self._app
        self._refuse_declared(self._row(schedule.id), "change it there, or pause it here")
        app.store.schedule_book.change(
            schedule.id,
            version,
            schedule.task,
            _text(schedule),
            self._first_firing(schedule),
            app.clock.micros(),
            reason,
        )
        app.machinery.wake_scheduler()

    def remove(self, schedule_id: str, reason: str | None = None) -> None:
        """Delete a schedule; its firings and runs stay.

        Raises:
            UnknownSchedule: there is none of that id.
            DeclaredInCode: code declares it.
        """
        self._refuse_declared(self._row(schedule_id), _INSTEAD)
        self._app.take_back(schedule_id)
        self._app.store.schedules.remove(schedule_id, reason)

    # --- holding back and hurrying ---------------------------------------------------------

    def pause(self, schedule_id: str, reason: str, until: datetime | None = None) -> None:
        """Stop a schedule from firing, until an aware instant or until it is resumed.

        Raises:
            UnknownSchedule: there is none of that id.
            SubmitError: the reason is empty, or the instant has passed.
        """
        app = self._app
        self._row(schedule_id)
        check_text("reason", reason, 2_000)
        if until is not None and until <= app.clock.now():
            raise SubmitError("until", until.isoformat(), "an instant that is still to come")
        end = None if until is None else to_micros(until)
        app.store.schedules.pause(schedule_id, reason, end, app.clock.micros())
        app.machinery.wake_scheduler()

    def resume(self, schedule_id: str, *, catch_up: bool, reason: str | None = None) -> None:
        """Let a paused schedule fire again; one that is not paused is left alone.

        Args:
            schedule_id: which.
            catch_up: whether firings that the pause kept back count as missed, and so follow the
                schedule's catch-up policy; else they are left out.
            reason: why.

        Raises:
            UnknownSchedule: there is none of that id.
        """
        app = self._app
        row = self._row(schedule_id)
        schedule = read_schedule(row)
        if not held_back(schedule, app.clock.now()):
            return
        at = row["next_fire_at"]
        if not catch_up and at is not None:
            following = app.machinery.agenda.first_firing(schedule)
            at = None if following is None else to_micros(following)
        app.store.schedules.resume(schedule_id, at, reason)
        app.machinery.wake_scheduler()

    def run_now(self, schedule_id: str, reason: str | None = None) -> str:
        """Store a run of a schedule for now, with its payload, priority and tags; return its id.

        Its firings go on as they were; an overlap policy counts this run like any other.

        Raises:
            UnknownSchedule: there is none of that id.
            UnknownTask: its task is not registered here.
            PayloadError: its payload does not fit the task any more.
        """
        app = self._app
        schedule, _ = self.get(schedule_id)
        machinery = app.machinery
        task = app.registry.resolve(schedule.task)
        options = Options(priority=schedule.priority, tags=schedule.tags)
        template = machinery.door.template(task, options)._replace(schedule_id=schedule_id)
        gate = schedule_id if takes_turns(schedule.policy) else None
        item = machinery.door.item(task, schedule.payload, gate)
        store = machinery.store
        if store.runs.states([item.id]):
            # The second sending of a request whose answer was lost: its ids are the same.
            return item.id
        with store.database.writing(news=True) as connection:
            store.queue.submit(template, [item], connection)
            store.schedule_book.ran_on(connection, schedule_id, item.id, reason)
        store.queue.exchange()
        return item.id

    # --- event triggers --------------------------------------------------------------------

    def add_event_trigger(
        self,
        task: str,
        event_type: str,
        where: str | None = None,
        payload: Mapping[str, Any] | None = None,
        priority: int | None = None,
    ) -> EventTrigger:
        """Run a task whenever an event happens; the same call again is the same trigger.

        Raises:
            UnknownTask: the task is not registered here.
            ConditionError: `where` cannot be read.
            PayloadError: the payload, the event type or the priority is refused.
        """
        app = self._app
        definition = app.registry.resolve(task)
        made = read_event_trigger(definition, event_type, where, payload, priority)
        self._check_part(definition, made.payload)
        trigger = replace(made, source=BY_HAND)
        put_event_trigger(app.store, trigger, app.clock.micros())
        return trigger

    def remove_event_trigger(self, trigger_id: str, reason: str | None = None) -> None:
        """Delete an event trigger.

        Raises:
            UnknownEventTrigger: there is none of that id.
            DeclaredInCode: code declares it.
        """
        app = self._app
        row = app.store.event_book.trigger(trigger_id)
        if self.is_declared("event trigger", trigger_id, row["source"], row["task"]):
            raise DeclaredInCode(
                "event trigger", trigger_id, "change the code and start the app again"
            )
        app.take_back(trigger_id)
        app.store.events.remove_trigger(trigger_id, reason)

    # --- inside ----------------------------------------------------------------------------

    @cached_property
    def _declared(self) -> frozenset[str]:
        return frozenset(self._app.declared_schedules)

    @cached_property
    def _declared_triggers(self) -> frozenset[str]:
        return frozenset(self._app.declared_event_triggers)

    def _row(self, schedule_id: str) -> dict[str, Any]:
        if is_dependency(schedule_id):
            raise UnknownSchedule(schedule_id)
        return self._app.store.schedules.get(schedule_id)

    def _refuse_declared(self, row: Mapping[str, Any], instead: str) -> None:
        if self.is_declared("schedule", row["id"], row["source"], row["task"]):
            raise DeclaredInCode("schedule", row["id"], instead)

    def _first_firing(self, schedule: Schedule) -> int:
        first = self._app.machinery.agenda.first_firing(schedule)
        if first is None:
            raise TriggerError(
                "trigger", schedule.trigger.describe(), "a rule with an instant that is to come"
            )
        return to_micros(first)

    def _check_part(self, task: TaskDefinition, payload: Mapping[str, Any]) -> None:
        """Refuse a payload that no event can complete."""
        try:
            self._app.machinery.door.binding(task).check(payload)
        except PayloadMismatch as problem:
            wrong = [what for what in problem.problems if not what.endswith("is missing")]
            if wrong:
                raise PayloadMismatch(task.name, wrong) from None


def _text(schedule: Schedule) -> str:
    return write_definition(
        schedule.trigger, schedule.policy, schedule.payload, schedule.priority, schedule.tags
    )
