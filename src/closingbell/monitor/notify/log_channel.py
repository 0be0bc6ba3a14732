"""LogChannel: one JSON line for each message, in the process's log."""

from __future__ import annotations

import json
import logging
from datetime import datetime
from typing import Any

from closingbell.core.notification import Notification

_log = logging.getLogger("closingbell.notification")


class LogChannel:
    """Writes messages to the logger `closingbell.notification`, in the severity's level."""

    kind = "log"

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"LogChannel({self.name!r})"

    def describe(self) -> dict[str, Any]:
        return {"logger": _log.name}

    def send(self, message: Notification, at: datetime) -> None:
        told = {
            "notification": message.id,
            "at": at.isoformat(),
            "channel": self.name,
            "occasion": message.occasion,
            **message.body,
        }
        level = logging.getLevelNamesMapping().get(message.body.get("severity", ""), logging.INFO)
        _log.log(level, "%s", json.dumps(told, ensure_ascii=False, default=str))
