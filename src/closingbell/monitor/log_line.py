"""JsonLine: one log record as one JSON object on one line.

The standard library's logging with this formatter, and no logging library: every line of ours,
of uvicorn's and of a task goes through `logging` already, and one object a line is what collectors read.

A record's own fields and nothing else are written. What somebody hands to a logger in `extra` stays
out, so that a payload cannot get into the logs by the way.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from closingbell.core.call import current_call
from closingbell.monitor.tracing import current_trace_id


def _no_worker() -> str | None:
    return None


class JsonLine(logging.Formatter):
    """Formats a record as `ts`, `level`, `logger`, `message`, and what it is about.

    `run_id`, `task`, `attempt`, `worker_id`, `trace_id` and `exception` are there where they are known: a
    line that a task's code logs names its run by itself. `ts` is in UTC, with microseconds.

    Args:
        worker_id: returns the id of this process's worker, or None.
    """

    def __init__(self, worker_id: Callable[[], str | None] = _no_worker) -> None:
        super().__init__()
        self._worker_id = worker_id

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its end."""
        at = datetime.fromtimestamp(record.created, UTC)
        line: dict[str, Any] = {
            "ts": at.isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        call = current_call.get()
        claim = None if call is None else call.claim
        about = {
            # The engine's own lines about a run name it; those of a task's code are found by the call.
            "run_id": getattr(record, "run_id", None) or (claim and claim.id),
            "task": getattr(record, "task", None) or (claim and claim.task),
            "attempt": getattr(record, "attempt", None) or (claim and claim.attempt),
            "worker_id": self._worker_id(),
            "trace_id": current_trace_id(),
            "exception": self._exception(record),
        }
        line.update({name: value for name, value in about.items() if value is not None})
        return json.dumps(line, ensure_ascii=False, default=str)

    def _exception(self, record: logging.LogRecord) -> str | None:
        if record.exc_info and record.exc_info[0] is not None:
            return self.formatException(record.exc_info)
        return record.exc_text
