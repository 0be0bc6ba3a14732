"""EventTrigger: a task that runs when a named fact happens, as it was declared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class EventTrigger:
    """What starts when an event happens.

    Attributes:
        id: stable; the same declaration has the same one.
        event_type: which events.
        task: the task's name.
        where: a condition on the event's data, as text; None = every event.
        payload: what its runs are given; the event's data leads, as far as the handler takes it.
        priority: of its runs; None = the task's.
        source: "task" when declared with the task, "app" when made by a call, "api" by hand.
    """

    id: str
    event_type: str
    task: str
    where: str | None = None
    payload: Mapping[str, Any] = field(default_factory=dict)
    priority: int | None = None
    source: str = "app"
