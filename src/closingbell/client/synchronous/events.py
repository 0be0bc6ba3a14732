"""Events of a service, and what they start."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from closingbell.client.request import Request, path
from closingbell.client.synchronous.transport import Transport
from closingbell.wire.event import (
    EventInfo,
    EventPosted,
    EventTriggerGiven,
    EventTriggerInfo,
)
from closingbell.wire.page import Page


class Events:
    """Named facts that start runs."""

    def __init__(self, transport: Transport) -> None:
        """Make it; use `client.events`."""
        self._transport = transport

    def post(
        self, event_type: str, data: Mapping[str, Any] | None = None, *, id: str | None = None
    ) -> EventPosted:
        """Store an event and the runs that it starts.

        Args:
            event_type: which event.
            data: JSON values; it is laid over the payloads of what listens.
            id: an event with this id that is stored already is not stored again.
        """
        values = {"type": event_type, "data": dict(data or {}), "id": id}
        return self._transport.post(("events",), EventPosted, values)

    def page(
        self, event_type: str | None = None, *, limit: int = 100, after: str | None = None
    ) -> Page[EventInfo]:
        """Return a page of events, the newest first."""
        values = {"type": event_type, "limit": limit, "after": after}
        return self._transport.get(("events",), Page[EventInfo], values)

    def triggers(self, event_type: str | None = None) -> Iterator[EventTriggerInfo]:
        """Yield what events start."""
        return self._transport.walk(("event-triggers",), EventTriggerInfo, {"type": event_type})

    def create_trigger(self, trigger: EventTriggerGiven) -> EventTriggerInfo:
        """Let a task run when an event happens."""
        return self._transport.post(("event-triggers",), EventTriggerInfo, trigger)

    def remove_trigger(self, trigger_id: str, reason: str | None = None) -> None:
        """Remove an event trigger that was made by hand."""
        content = None if reason is None else {"reason": reason}
        self._transport.send(Request("DELETE", path("event-triggers", trigger_id), body=content))
