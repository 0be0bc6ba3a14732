"""Cursor: until where a client of the stream has been told."""

from __future__ import annotations

import base64
import json
from typing import NamedTuple

_LONGEST = 300


class Cursor(NamedTuple):
    """A place in the stream that every process on the same store understands.

    Attributes:
        store: the beginning of the store's id.
        at: when the store was looked at, in desk microseconds.
        record: the last record of the audit ledger that was told.
    """

    store: str
    at: int
    record: int

    def __str__(self) -> str:
        text = json.dumps([self.store, self.at, self.record], separators=(",", ":"))
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read_cursor(text: str) -> Cursor | None:
    """Return the cursor that a client sends back, or None for what is none."""
    if len(text) > _LONGEST:
        return None
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        parts = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (ValueError, RecursionError):
        return None
    if not isinstance(parts, list) or [type(part) for part in parts] != [str, int, int]:
        return None
    cursor = Cursor(*parts)
    sound = 0 <= cursor.at < 2**53 and 0 <= cursor.record < 2**53
    return cursor if sound else None
