"""SimulationCapture: what tasks print in a simulation is kept with their runs, and not shown."""

from __future__ import annotations

import logging

from closingbell.core.call import Call, current_call
from closingbell.executor.capture import Capture
from closingbell.simulation.attempt import Attempt
from closingbell.simulation.clock import SimulationClock


class SimulationCapture(Capture):
    """A capture whose log lines carry the simulated time."""

    def __init__(self, limit: int, clock: SimulationClock) -> None:
        super().__init__(limit)
        self._clock = clock

    def shows(self, call: Call) -> bool:
        """Whether what a run prints also reaches the real streams."""
        # Runs of a live app in this process are shown as ever.
        return not isinstance(call, Attempt)

    def instant(self, record: logging.LogRecord) -> float:
        """Return when a record was made, in seconds since the epoch."""
        if isinstance(current_call.get(), Attempt):
            return self._clock.at / 1_000_000
        return super().instant(record)
