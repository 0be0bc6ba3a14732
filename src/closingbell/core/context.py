"""What a run knows about itself while it runs."""

from __future__ import annotations

import logging
import threading
from datetime import date, datetime


class Context:
    """The run's view of itself; ask for it with a parameter named `context`.

    Attributes:
        run_id: the run.
        task: the task's name.
        attempt: the number of this attempt, from 1.
        max_attempts: after so many the run fails.
        fence: grows with every claim of this run; hand it to outside systems that
            can refuse writes with an older number.
        due_at: when the run became claimable.
        fire_at: the instant that the trigger named, or None for a submitted run.
        session_date: the trading session that the firing belongs to, or None.
    """

    def __init__(
        self,
        *,
        run_id: str,
        task: str,
        attempt: int,
        max_attempts: int,
        fence: int,
        due_at: datetime,
        fire_at: datetime | None = None,
        session_date: date | None = None,
    ) -> None:
        self.run_id = run_id
        self.task = task
        self.attempt = attempt
        self.max_attempts = max_attempts
        self.fence = fence
        self.due_at = due_at
        self.fire_at = fire_at
        self.session_date = session_date
        self._cancelled = threading.Event()
        self._cancel_reason: str | None = None

    def __repr__(self) -> str:
        return f"<Context run {self.run_id} of {self.task!r}, attempt {self.attempt}>"

    @property
    def as_of(self) -> datetime:
        """The instant whose knowledge the run may use: `fire_at`, or else `due_at`."""
        return self.fire_at or self.due_at

    @property
    def cancelled(self) -> bool:
        """Whether the run should end: it was cancelled, timed out, or its worker stops.

        A thread cannot be stopped from outside; long loops in threads ask this.
        """
        return self._cancelled.is_set()

    @property
    def cancel_reason(self) -> str | None:
        """Why, or None."""
        return self._cancel_reason

    def wait_cancelled(self, timeout_s: float | None = None) -> bool:
        """Block until the run should end, or until `timeout_s` machine seconds have passed.

        Returns:
            Whether the run should end.
        """
        return self._cancelled.wait(timeout_s)

    def request_cancel(self, reason: str) -> None:
        """Tell the running code to end; called by the engine."""
        self._cancel_reason = reason
        self._cancelled.set()

    @property
    def log(self) -> logging.LoggerAdapter[logging.Logger]:
        """A logger whose lines are kept with the run."""
        extra = {"run_id": self.run_id, "task": self.task, "attempt": self.attempt}
        return logging.LoggerAdapter(logging.getLogger(f"closingbell.task.{self.task}"), extra)
