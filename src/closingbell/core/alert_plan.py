"""What a plan of alerts says: the monitor makes it, the store carries it out."""

from __future__ import annotations

from typing import Any, NamedTuple

from closingbell.core.alert import Alert
from closingbell.core.alert_rule import AlertRule
from closingbell.core.notification import Notification


class Finding(NamedTuple):
    """A cause that a rule sees at present.

    Attributes:
        subject: what it is about; one alert at a time.
        note: which fact this is: another one of the same subject is counted.
    """

    rule: AlertRule
    subject: str
    note: str
    message: str
    task: str | None
    run_id: str | None
    data: dict[str, Any]


class Count(NamedTuple):
    """Another fact of an open alert, whose last note was `was`."""

    alert_id: str
    was: str
    finding: Finding


class Step(NamedTuple):
    """Who is told of an alert now, and when to look again.

    Attributes:
        was: its `next_step_at` when this was planned; not looked at when it is routed.
        routes: whether it was not routed before.
    """

    alert: Alert
    was: int | None
    routes: bool
    rule_id: str | None
    severity: str
    next_step_at: int | None
    notifications: tuple[Notification, ...]


class Plan(NamedTuple):
    """What to do, in this order; each part is harmless when it is done twice."""

    clears: tuple[Alert, ...] = ()
    counts: tuple[Count, ...] = ()
    raises: tuple[Step, ...] = ()
    steps: tuple[Step, ...] = ()

    def __bool__(self) -> bool:
        return any(self)
