"""SimulationClock: it stands while code runs, and goes on when the simulation does."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime

from closingbell.core.clock import SystemClock, from_micros


class SimulationClock:
    """The clock of one simulation.

    Attributes:
        at: the present instant, in microseconds; only the simulation's loop moves it.
    """

    speed = 0.0

    def __init__(self, start: int, sleep_until: Callable[[int], None]) -> None:
        """Begin at an instant.

        Args:
            start: microseconds since the epoch.
            sleep_until: blocks the calling task until an instant.
        """
        self.at = start
        self._sleep_until = sleep_until
        self._machine = SystemClock()
        self.monotonic = self._machine.monotonic
        self._named: tuple[int, datetime] = (start, from_micros(start))

    def micros(self) -> int:
        return self.at

    def now(self) -> datetime:
        at, named = self._named
        if at != self.at:
            named = from_micros(self.at)
            self._named = (self.at, named)
        return named

    def machine_micros(self) -> int:
        return self._machine.machine_micros()

    def sleep(self, seconds: float) -> None:
        self._sleep_until(self.at + max(0, round(seconds * 1_000_000)))

    async def sleep_async(self, seconds: float) -> None:
        import asyncio

        await asyncio.sleep(seconds)

    def wait(self, condition: threading.Condition, until: int | None) -> None:
        # Whoever would notify is another task, and none goes on while this one keeps its turn.
        if until is None:
            raise RuntimeError("a task cannot wait without an end for what only another task does")
        condition.release()
        try:
            self._sleep_until(until)
        finally:
            condition.acquire()
