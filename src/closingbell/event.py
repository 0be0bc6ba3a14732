"""Event triggers: what starts when a named fact happens."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from closingbell.core.condition import read_condition
from closingbell.core.error import (
    ClosingbellError,
    DefinitionError,
    PayloadError,
    PayloadNotJson,
)
from closingbell.core.event_trigger import EventTrigger
from closingbell.core.registry import TaskRegistry
from closingbell.core.run import RunItem, RunTemplate
from closingbell.core.task import TaskDefinition
from closingbell.runtime import error_json
from closingbell.submission import Door, Options, check_priority, check_text

if TYPE_CHECKING:
    from closingbell.store.store import Store

_log = logging.getLogger("closingbell")


def started_by(
    triggers: Sequence[Mapping[str, Any]],
    data: Mapping[str, Any],
    event_id: str,
    registry: TaskRegistry,
    door: Door,
    *,
    at: datetime | None = None,
    refused: Callable[[str, ClosingbellError], None] | None = None,
) -> list[tuple[RunTemplate, RunItem]]:
    """Return the runs that an event starts.

    The event's data is merged over a copy of each trigger's payload, as far as the
    handler takes its fields.

    Args:
        triggers: the stored triggers of the event's type.
        data: the event's data.
        event_id: the event's id.
        registry: the tasks that are known here; others are left out, with a warning.
        door: checks the payloads.
        at: when the event happened, and its runs are due; None = now.
        refused: told of a task whose payload does not fit, which is then left out.

    Raises:
        PayloadMismatch: a merged payload does not fit its task; nothing is started.
    """
    submissions: list[tuple[RunTemplate, RunItem]] = []
    for trigger in triggers:
        task = registry.get_task(trigger["task"])
        if task is None:
            _log.warning(
                "event %s starts task %r, which is not registered here",
                event_id,
                trigger["task"],
            )
            continue
        if trigger["condition"] and not read_condition(trigger["condition"]).matches(data):
            continue
        try:
            payload = {**trigger["payload"], **door.binding(task).select(data)}
            options = Options(at=at, priority=trigger["priority"])
            template = door.template(task, options, cause="event", event_id=event_id)
            submissions.append((template, door.item(task, payload)))
        except (PayloadError, DefinitionError) as problem:
            if refused is None:
                raise
            refused(task.name, problem)
    return submissions


def read_event_trigger(
    task: TaskDefinition,
    event_type: str,
    where: str | None,
    payload: Mapping[str, Any] | None,
    priority: int | None,
) -> EventTrigger:
    """Return an event trigger; the same one has the same id.

    Raises:
        ConditionError: `where` cannot be read.
        SubmitError: the priority or the event type is impossible.
        PayloadNotJson: the payload cannot be stored.
    """
    check_text("event type", event_type, 200)
    if where is not None:
        read_condition(where)
    check_priority(priority, 5)
    given = dict(payload or {})
    try:
        text = error_json(given)
    except (TypeError, ValueError) as problem:
        raise PayloadNotJson(task.name, str(problem)) from problem
    digest = hashlib.blake2b(f"{where}\0{text}\0{priority}".encode(), digest_size=4).hexdigest()
    return EventTrigger(
        id=f"{task.name}@{event_type}/{digest}",
        event_type=event_type,
        task=task.name,
        where=where,
        payload=given,
        priority=priority,
    )


def own_event_triggers(task: TaskDefinition) -> list[EventTrigger]:
    """Return the event triggers that a task declares itself."""
    return [
        EventTrigger(
            id=f"{task.name}@{event_type}",
            event_type=event_type,
            task=task.name,
            where=None if task.where is None else task.where.text,
            payload=task.payload,
            source="task",
        )
        for event_type in task.on_event
    ]


def put_event_trigger(store: Store, trigger: EventTrigger, now: int) -> None:
    """Store an event trigger, or change the one of its id."""
    store.events.put_trigger(
        trigger.id,
        trigger.event_type,
        trigger.task,
        trigger.where,
        error_json(dict(trigger.payload)),
        trigger.priority,
        trigger.source,
        now,
    )
