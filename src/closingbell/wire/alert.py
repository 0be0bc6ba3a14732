"""Alerts: what a person must see, and who was told."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from closingbell.core.alert import Alert, AlertState
from closingbell.core.clock import from_micros
from closingbell.wire.notification import NotificationInfo


class AlertInfo(BaseModel):
    """One alert."""

    id: str
    type: str
    severity: str = Field(description="INFO, WARNING, ERROR or CRITICAL")
    state: AlertState
    message: str
    task: str | None
    run_id: str | None
    rule_id: str | None = Field(description="the rule that it follows")
    count: int = Field(description="how often it happened while open")
    raised_at: datetime
    last_at: datetime = Field(description="when it happened last")
    next_step_at: datetime | None = Field(description="when somebody is told again")
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    cleared_at: datetime | None
    cleared_by: str | None = Field(description="closingbell = its cause was gone")
    data: dict[str, Any]


class AlertDetail(AlertInfo):
    """One alert with what was, or will be, told of it."""

    notifications: list[NotificationInfo]


def alert_values(alert: Alert) -> dict[str, Any]:
    """Return the fields of `AlertInfo`."""
    return {
        "id": alert.id,
        "type": alert.type,
        "severity": alert.severity,
        "state": alert.state,
        "message": alert.message,
        "task": alert.task,
        "run_id": alert.run_id,
        "rule_id": alert.rule_id,
        "count": alert.count,
        "raised_at": from_micros(alert.raised_at),
        "last_at": from_micros(alert.last_at),
        "next_step_at": _at(alert.next_step_at),
        "acknowledged_at": _at(alert.acknowledged_at),
        "acknowledged_by": alert.acknowledged_by,
        "cleared_at": _at(alert.cleared_at),
        "cleared_by": alert.cleared_by,
        "data": alert.data,
    }


def _at(micros: int | None) -> datetime | None:
    return None if micros is None else from_micros(micros)
