"""Notifications and channels: what was told to whom, and how people are reached."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, Field

from closingbell.core.clock import from_micros
from closingbell.core.notification import Notification


class NotificationState(StrEnum):
    """How a message stands."""

    PENDING = "pending"
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"


class NotificationInfo(BaseModel):
    """One message to one channel."""

    id: str = Field(description="the same for every attempt")
    alert_id: str
    channel: str
    occasion: str = Field(description="raised, repeated, escalated, cleared or test")
    state: NotificationState
    attempts: int
    subject: str
    next_at: datetime | None = Field(description="when it is sent, or sent again")
    created_at: datetime
    sent_at: datetime | None
    error: str | None = Field(description="what went wrong at the last attempt")


class ChannelInfo(BaseModel):
    """One way to reach people. It never holds a secret."""

    name: str
    kind: str = Field(description="webhook, smtp, apprise or log")
    about: dict[str, Any] = Field(description="where it leads")


class ChannelTest(BaseModel):
    """What became of a test message."""

    channel: str
    sent: bool
    error: str | None


def notification_info(one: Notification) -> NotificationInfo:
    """Return a message as the API shows it."""
    return NotificationInfo(
        id=one.id,
        alert_id=one.alert_id,
        channel=one.channel,
        occasion=one.occasion,
        state=NotificationState(one.state),
        attempts=one.attempts,
        subject=str(one.body.get("subject", "")),
        next_at=None if one.next_at is None else from_micros(one.next_at),
        created_at=from_micros(one.created_at),
        sent_at=None if one.sent_at is None else from_micros(one.sent_at),
        error=one.error,
    )
