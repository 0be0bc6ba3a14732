"""Events, and the triggers that start tasks by them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field, StringConstraints

from closingbell.wire.text import Given, JsonObject, Name, NewId, Priority, Reason


class EventRequest(Given):
    """A fact that happened."""

    type: Name
    data: JsonObject = Field(default={})
    id: NewId | None = Field(
        default=None, description="yours, if you have one: the same event twice is one event"
    )


class EventPosted(BaseModel):
    """A stored event, and the runs that it started."""

    event_id: str
    run_ids: list[str]


class EventInfo(BaseModel):
    """An event that happened."""

    id: str
    type: str
    data: JsonObject
    happened_at: datetime
    runs: int = Field(description="how many runs it started")


class EventTriggerGiven(Given):
    """A task that is to run when an event happens."""

    task: Name
    event_type: Name
    where: Annotated[str, StringConstraints(strict=True, min_length=1, max_length=2_000)] | None = (
        Field(default=None, description="a condition on the data, such as 'change < -0.05'")
    )
    payload: JsonObject = Field(default={}, description="the event's data is laid over it")
    priority: Priority | None = Field(default=None, description="null = the task's own")
    reason: Reason | None = Field(default=None, description="why, for the audit ledger")


class EventTriggerInfo(BaseModel):
    """A task that runs when an event happens."""

    id: str
    task: str
    registered: bool = Field(description="whether this app knows the task")
    event_type: str
    where: str | None
    payload: JsonObject
    priority: int | None
    source: str = Field(description="'task' or 'app': declared in code; 'api': made by hand")
    declared_in_code: bool = Field(description="it cannot be removed here")
    created_at: datetime
