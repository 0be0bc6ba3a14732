"""What the stream of changes tells, read."""

from __future__ import annotations

from typing import NamedTuple

from closingbell.client.event_stream import SentEvent
from closingbell.wire.stream import Changes, Ready, Summary


class Reset(NamedTuple):
    """The place to resume is too old, or another store's: read the lists again."""

    reason: str


class Told(NamedTuple):
    """One thing that the stream told.

    Attributes:
        id: where to resume after it.
        what: changes to apply; a summary when there were too many to tell; a reset, after
            which everything is to be read again; or that from here on nothing is left out.
    """

    id: str | None
    what: Changes | Summary | Ready | Reset


def read_change(event: SentEvent) -> Told | None:
    """Return what an event of the stream tells; None for what this version does not know."""
    if event.event == "changes":
        return Told(event.id, Changes.model_validate_json(event.data))
    if event.event == "summary":
        return Told(event.id, Summary.model_validate_json(event.data))
    if event.event == "ready":
        return Told(event.id, Ready.model_validate_json(event.data))
    if event.event == "reset":
        return Told(event.id, Reset(event.data))
    return None
