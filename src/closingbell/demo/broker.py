"""What the desk asks of its broker, in child processes: functions that any process can import."""

from __future__ import annotations

import os
import threading
from datetime import date

from closingbell.core.context import Context

#: On this date the broker's gateway takes the connection and never answers.
GATEWAY_HANGS_ON = date(2012, 11, 23)


def fetch_statement(context: Context) -> dict[str, str | None]:
    """Fetch the broker's statement of a session; on one day the broker never answers."""
    day = context.session_date
    if day == GATEWAY_HANGS_ON:
        context.log.info("the gateway took the connection; waiting for its answer")
        threading.Event().wait()
    return {"statement_of": None if day is None else day.isoformat()}


def preflight(child: int) -> dict[str, int]:
    """Start a child process and load what it will need, before the market opens."""
    return {"child": child, "pid": os.getpid()}
