"""Processes: tasks with executor="process" run in real children, while the clock stands."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from closingbell.core.call import Call
from closingbell.core.clock import SystemClock
from closingbell.core.outcome import Outcome
from closingbell.executor.capture import Capture

if TYPE_CHECKING:
    from closingbell.executor.process import ProcessExecutor
    from closingbell.simulation.attempt import Attempt


class Processes:
    """One child at a time; started by the first run that needs it.

    Timeouts are machine seconds, as live: a child that hangs is killed, and one that is
    killed by somebody else makes its run lost.
    """

    def __init__(self, capture: Capture) -> None:
        self._capture = capture
        self._executor: ProcessExecutor | None = None
        self._now = SystemClock().monotonic

    def run(self, attempt: Attempt) -> Outcome:
        """Return how an attempt ended in a child."""
        executor = self._started()
        ended = threading.Event()
        outcomes: list[Outcome] = []

        def done(_call: Call, outcome: Outcome) -> None:
            outcomes.append(outcome)
            ended.set()

        attempt.done = done
        began = self._now()
        executor.submit([attempt])
        ended.wait()
        attempt.state.machine_s += self._now() - began
        return outcomes[0]

    def close(self) -> None:
        """End the children; what runs in them is given back."""
        if self._executor is not None:
            self._executor.stop(0.0)

    def _started(self) -> ProcessExecutor:
        if self._executor is None:
            from closingbell.executor.process import ProcessExecutor

            self._executor = ProcessExecutor(1, SystemClock(), self._capture)
            self._executor.start()
        return self._executor
