"""The only place that reads a clock, sleeps, or waits.

A clock tells two times. `now()` is the desk's time: schedules, firings and
histories live on it, and in a rehearsal it may run fast or stand still.
`monotonic()` is the machine's time: timeouts, leases and durations are
measured on it, because a hung process hangs in real seconds.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_micros(instant: datetime) -> int:
    """Return microseconds since the Unix epoch; `instant` must be aware."""
    return (instant - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """Return the aware UTC datetime of `micros` microseconds since the Unix epoch."""
    return _EPOCH + timedelta(microseconds=micros)


class Clock(Protocol):
    """Where time comes from."""

    @property
    def speed(self) -> float:
        """How many desk seconds pass by themselves in one machine second; 0 = none do."""
        ...

    def micros(self) -> int:
        """Return the desk's time as microseconds since the Unix epoch."""
        ...

    def now(self) -> datetime:
        """Return the desk's time, aware, in UTC."""
        ...

    def machine_micros(self) -> int:
        """Return the machine's wall time in microseconds: what leases are written in."""
        ...

    def monotonic(self) -> float:
        """Return the machine's seconds, from an arbitrary zero, never going back."""
        ...

    def sleep(self, seconds: float) -> None:
        """Block the calling thread for `seconds` of the desk's time."""
        ...

    async def sleep_async(self, seconds: float) -> None:
        """Suspend the calling coroutine for `seconds` of the desk's time."""
        ...

    def wait(self, condition: threading.Condition, until: int | None) -> None:
        """Wait, holding `condition`, until notified or until `until` (desk microseconds).

        May return early; the caller checks its own truth again, as with any condition.
        """
        ...


class SystemClock:
    """The machine's own clock."""

    speed = 1.0

    def micros(self) -> int:
        return time.time_ns() // 1000

    def now(self) -> datetime:
        return datetime.now(UTC)

    def machine_micros(self) -> int:
        return time.time_ns() // 1000

    #: The machine's own function: it is asked several times for each run.
    monotonic = staticmethod(time.monotonic)

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    async def sleep_async(self, seconds: float) -> None:
        import asyncio

        await asyncio.sleep(seconds)

    def wait(self, condition: threading.Condition, until: int | None) -> None:
        if until is None:
            condition.wait()
            return
        seconds = (until - time.time_ns() // 1000) / 1_000_000
        if seconds > 0:
            # Waking at least daily keeps a wait right across a step of the wall clock.
            condition.wait(min(seconds, 86_400.0))


class ScaledClock:
    """A clock that starts at a chosen instant and runs `speed` times as fast.

    The desk's time is scaled; the machine's is real, so that a timeout of two
    seconds still stops a hung process after two real seconds.
    """

    def __init__(self, start: datetime, speed: float) -> None:
        if start.tzinfo is None:
            raise ValueError(f"start must be an aware datetime, was {start!r}")
        if speed <= 0:
            raise ValueError(f"speed must be positive, was {speed!r}")
        self._start = to_micros(start)
        self._speed = speed
        self._zero = time.monotonic_ns()

    @property
    def speed(self) -> float:
        """How many desk seconds pass in one real second."""
        return self._speed

    def micros(self) -> int:
        return self._start + int((time.monotonic_ns() - self._zero) * self._speed) // 1000

    def now(self) -> datetime:
        return from_micros(self.micros())

    def machine_micros(self) -> int:
        return time.time_ns() // 1000

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds / self._speed)

    async def sleep_async(self, seconds: float) -> None:
        import asyncio

        await asyncio.sleep(seconds / self._speed)

    def wait(self, condition: threading.Condition, until: int | None) -> None:
        if until is None:
            condition.wait()
            return
        seconds = (until - self.micros()) / 1_000_000 / self._speed
        if seconds > 0:
            condition.wait(seconds)


class SimulatedClock:
    """A clock that stands still until `advance` moves it.

    Threads and coroutines that sleep on it wake when it passes their instant.
    The machine's time moves with the desk's.
    """

    speed = 0.0

    def __init__(self, start: datetime) -> None:
        if start.tzinfo is None:
            raise ValueError(f"start must be an aware datetime, was {start!r}")
        self._micros = to_micros(start)
        self._zero = self._micros
        self._changed = threading.Condition()
        self._watched: set[threading.Condition] = set()
        self._listeners: list[Callable[[], None]] = []

    def micros(self) -> int:
        return self._micros

    def now(self) -> datetime:
        return from_micros(self._micros)

    def machine_micros(self) -> int:
        return self._micros

    def monotonic(self) -> float:
        return (self._micros - self._zero) / 1_000_000

    def advance(self, to: datetime | timedelta) -> None:
        """Move to an instant, or by a duration, and wake who waits for it.

        Raises:
            ValueError: the move would go backwards.
        """
        target = self._micros + to // _MICROSECOND if isinstance(to, timedelta) else to_micros(to)
        if target < self._micros:
            raise ValueError(f"time cannot go back from {self.now()} to {from_micros(target)}")
        with self._changed:
            self._micros = target
            self._changed.notify_all()
            watched, listeners = list(self._watched), list(self._listeners)
        for condition in watched:
            with condition:
                condition.notify_all()
        for listener in listeners:
            listener()

    def sleep(self, seconds: float) -> None:
        until = self._micros + round(seconds * 1_000_000)
        with self._changed:
            while self._micros < until:
                self._changed.wait()

    async def sleep_async(self, seconds: float) -> None:
        import asyncio

        until = self._micros + round(seconds * 1_000_000)
        loop = asyncio.get_running_loop()
        moved = asyncio.Event()

        def listener() -> None:
            loop.call_soon_threadsafe(moved.set)

        self._listeners.append(listener)
        try:
            while self._micros < until:
                moved.clear()
                if self._micros < until:
                    await moved.wait()
        finally:
            self._listeners.remove(listener)

    def wait(self, condition: threading.Condition, until: int | None) -> None:
        if until is not None and until <= self._micros:
            return
        self._watched.add(condition)
        # advance() may have passed `until` between the test above and this line.
        if until is not None and until <= self._micros:
            return
        condition.wait()
