"""AlertManager: what a person must see. Reached as `app.monitor.alerts`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from closingbell.core.clock import to_micros
from closingbell.machinery import Machinery


class AlertManager:
    """Open alerts, until somebody clears them; the engine raises them as runs end."""

    def __init__(self, machinery: Callable[[], Machinery], timezone: str) -> None:
        """Make the face; use `app.monitor.alerts`."""
        self._machinery = machinery
        self._timezone = timezone

    def get_alerts(
        self, alert_type: str | None = None, since: datetime | None = None
    ) -> list[dict[str, Any]]:
        """Return open alerts, oldest first.

        Args:
            alert_type: only this type: "task_failure", "long_execution", "task_alert", ...
            since: only those raised at or after this instant; naive means the app's zone.

        Returns:
            Dicts with `type`, `task_id`, `task_name`, `timestamp` (aware), `severity` and
            `message`; with `error` for a failure, and `execution_time` (seconds) for a
            long execution.
        """
        if since is not None and since.tzinfo is None:
            since = since.replace(tzinfo=ZoneInfo(self._timezone))
        store = self._machinery().store
        return [
            _alert_of(row)
            for row in store.alerts.open(alert_type, None if since is None else to_micros(since))
        ]

    def clear_alerts(self, alert_type: str | None = None) -> int:
        """Clear open alerts, all or of one type; return how many there were."""
        machinery = self._machinery()
        return machinery.store.alerts.clear(machinery.clock.micros(), alert_type)


def _alert_of(row: dict[str, Any]) -> dict[str, Any]:
    alert = {
        "type": row["type"],
        "task_id": row["run_id"],
        "task_name": row["task"],
        "timestamp": row["raised_at"],
        "severity": row["severity"],
        "message": row["message"],
    }
    data: dict[str, Any] = row["data"]
    if row["type"] == "task_failure":
        alert["error"] = str(data.get("message") or data.get("type") or "Unknown error")
    elif row["type"] == "long_execution":
        alert["execution_time"] = data.get("execution_time")
    return alert
