"""Algorithm: the object that every Task's `run` receives.

At this door alone datetimes are naive and in the machine's own zone, so that they can be
compared with `datetime.now()` as trading scripts write it; aware ones are accepted.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from closingbell.core.call import Call
from closingbell.core.clock import Clock
from closingbell.core.context import Context


class Algorithm:
    """What a task may ask and do."""

    def __init__(
        self,
        *,
        clock: Clock,
        call: Call,
        task_status: Callable[[], dict[str, dict[str, Any]]],
        trigger_event: Callable[[str, dict[str, Any]], list[str]],
        put_alert: Callable[[str, str, Call, dict[str, Any]], None],
    ) -> None:
        self._clock = clock
        self._call = call
        self._task_status = task_status
        self._trigger_event = trigger_event
        self._put_alert = put_alert

    @property
    def context(self) -> Context:
        """The run's view of itself."""
        return self._call.context

    def now(self) -> datetime:
        """Return the desk's time, naive, in the machine's zone.

        Live it is `datetime.now()`; in a rehearsal or a backtest only this one is right.
        """
        return _local(self._clock.now())

    def sleep(self, seconds: float) -> None:
        """Block for `seconds` of the desk's time."""
        self._clock.sleep(seconds)

    def log(self, message: str, *args: object, level: int = logging.INFO) -> None:
        """Log a line that is kept with the run."""
        self._call.context.log.log(level, message, *args)

    def get_task_status(self) -> dict[str, dict[str, Any]]:
        """Return how each task stands, by name, from the store.

        Each value has `last_run`, `last_status`, `last_error` (None after a success),
        `last_success`, `next_run` and `running`. Times are naive, in the machine's zone.
        """
        return {
            name: {
                key: _local(value) if isinstance(value, datetime) else value
                for key, value in status.items()
            }
            for name, status in self._task_status().items()
        }

    def trigger_event(
        self, event_type: str, event_data: Mapping[str, Any] | None = None
    ) -> list[str]:
        """Store an event and the runs that it starts; return their ids."""
        return self._trigger_event(event_type, dict(event_data or {}))

    def send_alert(self, message: str, severity: str = "WARNING", **data: Any) -> None:
        """Raise an alert that a person must see.

        Args:
            message: one sentence.
            severity: "INFO", "WARNING", "ERROR" or "CRITICAL".
            data: what else a person needs to know, as JSON values.
        """
        self._put_alert(message, severity.upper(), self._call, data)


def _local(instant: datetime) -> datetime:
    return instant.astimezone().replace(tzinfo=None)
