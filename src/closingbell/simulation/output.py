"""SimulationCapture: what tasks print in a simulation is kept with their runs, and not shown."""

from __future__ import annotations

import logging

from closingbell.core.call import current_call
from closingbell.executor.capture import Capture
from closingbell.simulation.clock import SimulationClock


class SimulationCapture(Capture):
    """A capture whose log lines carry the simulated time."""

    def __init__(self, limit: int, clock: SimulationClock) -> None:
        super().__init__(limit, passthrough=False)
        self._clock = clock

    def instant(self, record: logging.LogRecord) -> float:
        """Return when a record was made, in seconds since the epoch."""
        if current_call.get() is None:
            return super().instant(record)
        return self._clock.at / 1_000_000
