"""Notification: what one channel is told about one alert, once."""

from __future__ import annotations

import hashlib
from enum import StrEnum
from random import Random
from typing import Any, NamedTuple

#: So often a message is tried; with the waits between them that takes about a day.
MOST_ATTEMPTS = 18
_FIRST_WAIT_S = 5.0
_LONGEST_WAIT_S = 10_800.0
#: A wait is longer or shorter by up to this part of itself.
_JITTER = 0.2


class Occasion(StrEnum):
    """Why somebody is told."""

    RAISED = "raised"
    REPEATED = "repeated"
    ESCALATED = "escalated"
    CLEARED = "cleared"
    TEST = "test"


class Notification(NamedTuple):
    """A message on its way, or that was sent. Times are microseconds.

    Attributes:
        id: the same for every attempt, also after a crash, so that a receiver can tell a
            message that came twice.
        body: what is said, as JSON values.
        state: "pending", "sending", "sent" or "failed".
        fence: grows with every claim; what a sender writes later must carry it.
        next_at: when to send it; while it is being sent, when another may take it over.
        error: what went wrong at the last attempt.
    """

    id: str
    alert_id: str
    channel: str
    occasion: str
    body: dict[str, Any]
    state: str
    attempts: int
    fence: int
    next_at: int | None
    created_at: int
    sent_at: int | None
    error: str | None


def notification_id(alert_id: str, occasion: str, ordinal: int, channel: str) -> str:
    """Return the id of a message, which says nothing but is the same for the same message."""
    text = "\n".join((alert_id, occasion, str(ordinal), channel))
    return "n-" + hashlib.sha256(text.encode(errors="replace")).hexdigest()[:32]


def wait_after(attempts: int, rng: Random) -> float | None:
    """Return the seconds to wait after so many attempts; None when there have been enough."""
    if attempts >= MOST_ATTEMPTS:
        return None
    wait = min(_FIRST_WAIT_S * 2.0 ** (attempts - 1), _LONGEST_WAIT_S)
    return wait * rng.uniform(1 - _JITTER, 1 + _JITTER)
