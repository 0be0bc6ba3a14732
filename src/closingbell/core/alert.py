"""Alert: a fact that a person must see; one cause that is open, or was."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

#: How urgent an alert is, the least urgent first.
SEVERITIES = ("INFO", "WARNING", "ERROR", "CRITICAL")
#: Who clears an alert whose cause has ended by itself.
SYSTEM = "closingbell"
#: A subject is a key: what is longer is cut, and told apart by its hash.
_LONGEST_SUBJECT = 300


class AlertState(StrEnum):
    """How an alert stands."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    CLEARED = "cleared"


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert. Times are microseconds.

    Attributes:
        type: the kind of its cause; see `closingbell.core.alert_rule.KINDS`.
        subject: what makes two facts the same alert; unique while it is open.
        rule_id: the rule that it follows; None before it is routed, and when none matches.
        data: what else a person needs, as JSON values.
        count: how often it happened while open.
        note: the fact that was counted last.
        raised_at: when it happened first; `last_at`: when it happened last.
        routed_at: when it was decided whom to tell.
        next_step_at: when to look whether it must be told again; None = never.
    """

    id: str
    type: str
    severity: str
    subject: str
    rule_id: str | None
    task: str | None
    run_id: str | None
    message: str
    data: dict[str, Any]
    count: int
    note: str
    raised_at: int
    last_at: int
    routed_at: int | None = None
    next_step_at: int | None = None
    acknowledged_at: int | None = None
    acknowledged_by: str | None = None
    cleared_at: int | None = None
    cleared_by: str | None = None

    @property
    def state(self) -> AlertState:
        """Whether it is open, acknowledged or cleared."""
        if self.cleared_at is not None:
            return AlertState.CLEARED
        if self.acknowledged_at is not None:
            return AlertState.ACKNOWLEDGED
        return AlertState.OPEN


def subject_of(*parts: str) -> str:
    """Return the subject of what an alert is about, short enough for a key."""
    subject = ":".join(parts)
    if len(subject) <= _LONGEST_SUBJECT:
        return subject
    digest = hashlib.sha256(subject.encode(errors="replace")).hexdigest()
    return f"{subject[: _LONGEST_SUBJECT - 66]}:{digest}"


def alert_id(subject: str, at: int) -> str:
    """Return the id of an alert that a rule raises: two watchers at once make the same."""
    digest = hashlib.sha256(f"{at}\n{subject}".encode(errors="replace")).hexdigest()
    return f"a-{digest[:32]}"
