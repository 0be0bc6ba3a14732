"""Frame: one event of the stream, written once for all who follow the same topics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from closingbell.api.stream.cursor import Cursor
from closingbell.core.clock import from_micros
from closingbell.wire.stream import Topic

_encode = msgspec.json.Encoder().encode

#: How long a client waits before it comes again, in milliseconds.
RETRY_MS = 2_000
#: Says that the connection lives, and nothing else.
HEARTBEAT = b": here\n\n"


class Told(NamedTuple):
    """One change: how something stands; `state` is None for what is gone."""

    noun: Topic
    id: str
    state: dict[str, Any] | None


class Frame:
    """Changes of one look, or how many there were when they are too many."""

    def __init__(
        self, cursor: Cursor, changes: Sequence[Told] = (), counts: Counter[Topic] | None = None
    ) -> None:
        """Make an event.

        Args:
            cursor: until where a client knows all when it has this.
            changes: what changed.
            counts: how much changed, instead of what.
        """
        self.cursor = cursor
        self._changes = changes
        self._counts = counts
        self._written: dict[frozenset[Topic], bytes | None] = {}

    def written(self, topics: frozenset[Topic]) -> bytes | None:
        """Return the event for those who follow some topics; None when it has nothing for them."""
        if topics not in self._written:
            self._written[topics] = self._write(topics)
        return self._written[topics]

    def _write(self, topics: frozenset[Topic]) -> bytes | None:
        at = instant(self.cursor.at)
        if self._counts is not None:
            counts = {noun: count for noun, count in self._counts.items() if noun in topics}
            if not counts:
                return None
            return event("summary", self.cursor, {"at": at, "counts": counts})
        changes = [_told(change) for change in self._changes if change.noun in topics]
        if not changes:
            return None
        return event("changes", self.cursor, {"at": at, "changes": changes})


def event(name: str, cursor: Cursor | None, data: dict[str, Any]) -> bytes:
    """Return a server-sent event."""
    place = f"id: {cursor}\n" if cursor is not None else ""
    return f"event: {name}\n{place}data: ".encode() + _encode(data) + b"\n\n"


def heartbeat(cursor: Cursor) -> bytes:
    """Return what keeps a connection alive, and its client's place up to date."""
    return f": here\nid: {cursor}\n\n".encode()


def instant(micros: int) -> str:
    """Return an instant as the API writes it."""
    return from_micros(micros).isoformat().replace("+00:00", "Z")


def _told(change: Told) -> dict[str, Any]:
    return {
        "noun": change.noun,
        "id": change.id,
        "gone": change.state is None,
        "state": None if change.state is None else _readable(change.state),
    }


def _readable(state: dict[str, Any]) -> dict[str, Any]:
    return {
        name: instant(value)
        if isinstance(value, int) and name.endswith(("_at", "_until"))
        else value.isoformat()
        if isinstance(value, datetime)
        else value
        for name, value in state.items()
    }
