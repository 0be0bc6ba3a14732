"""AlertManager: what a person must see. Reached as `app.monitor.alerts`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from closingbell.core.alert import SEVERITIES
from closingbell.core.call import current_call
from closingbell.core.clock import to_micros
from closingbell.core.error import ArgumentRefused
from closingbell.core.stand_in import current_stand_in
from closingbell.machinery import Machinery
from closingbell.trading.money import as_json


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
            Dicts with `id`, `type`, `task_id`, `task_name`, `timestamp` (aware), `severity`,
            `message`, `count` (how often it happened while open) and `acknowledged_by`; with
            `error` for a failure, and `execution_time` (seconds) for a long execution.
        """
        if since is not None and since.tzinfo is None:
            since = since.replace(tzinfo=ZoneInfo(self._timezone))
        store = self._machinery().store
        return [
            _alert_of(row)
            for row in store.alerts.open(alert_type, None if since is None else to_micros(since))
        ]

    def send_alert(self, message: str, severity: str = "WARNING", **data: Any) -> None:
        """Raise an alert that a person must see, as `algorithm.send_alert` does.

        Inside a run it is the run's; in a backtest it goes into the report.

        Args:
            message: one sentence.
            severity: "INFO", "WARNING", "ERROR" or "CRITICAL", in any case.
            data: what else a person needs to know, as JSON values.

        Raises:
            ArgumentRefused: the severity is none of these.
        """
        level = str(severity).upper()
        if level not in SEVERITIES:
            raise ArgumentRefused("severity", severity, "one of " + ", ".join(SEVERITIES))
        call, told, inside = current_call.get(), as_json(data), current_stand_in.get()
        if inside is not None:
            inside.send_alert(str(message), level, call, told)
        else:
            self._machinery().raise_alert(str(message), level, call, told)

    def acknowledge(self, alert_id: str, reason: str | None = None) -> None:
        """Say that somebody looks after an alert: it neither repeats nor escalates any more.

        Raises:
            UnknownAlert: there is none of that id.
            InvalidTransition: it is cleared.
        """
        machinery = self._machinery()
        machinery.store.alerts.acknowledge(alert_id, machinery.clock.micros(), reason)

    def clear_alerts(self, alert_type: str | None = None) -> int:
        """Clear open alerts, all or of one type; return how many there were."""
        machinery = self._machinery()
        return machinery.store.alerts.clear(machinery.clock.micros(), alert_type)


def _alert_of(row: dict[str, Any]) -> dict[str, Any]:
    alert = {
        "id": row["id"],
        "type": row["type"],
        "task_id": row["run_id"],
        "task_name": row["task"],
        "timestamp": row["raised_at"],
        "severity": row["severity"],
        "message": row["message"],
        "count": row["count"],
        "acknowledged_by": row["acknowledged_by"],
    }
    data: dict[str, Any] = row["data"]
    if row["type"] in ("task_failure", "poison_run"):
        alert["error"] = str(data.get("message") or data.get("type") or "Unknown error")
    elif row["type"] == "long_execution":
        alert["execution_time"] = data.get("execution_time")
    return alert
