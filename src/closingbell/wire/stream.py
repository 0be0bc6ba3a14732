"""What the stream of changes sends."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, Field


class Topic(StrEnum):
    """What a client may follow."""

    RUNS = "runs"
    APPROVALS = "approvals"
    ALERTS = "alerts"
    SCHEDULES = "schedules"
    EVENT_TRIGGERS = "event_triggers"
    EVENTS = "events"
    WORKERS = "workers"
    AUDIT = "audit"


class Change(BaseModel):
    """How something stands now; told at least once, so apply it as often as it comes."""

    noun: Topic
    id: str
    gone: bool = Field(default=False, description="it is no more; `state` is null")
    state: dict[str, Any] | None = Field(
        default=None, description="its whole small state, as the lists show it"
    )


class Changes(BaseModel):
    """The data of an event `changes`."""

    at: datetime = Field(description="when the store was looked at")
    changes: list[Change]


class Summary(BaseModel):
    """The data of an event `summary`: too much changed to tell; read the lists again."""

    at: datetime
    counts: dict[Topic, int] = Field(description="how much changed at least, by noun")


class Ready(BaseModel):
    """The data of an event `ready`: from here on, nothing that changes is left out."""

    at: datetime
    running: list[str] | None = Field(
        description="ids of the runs at work; any other that is shown as running is not. "
        "null = too many to tell"
    )
