"""SimulationEventLoop: an asyncio loop whose time is the simulated clock.

Each async run has a loop to itself, so that one that hangs takes no other with it. The
loop runs until nothing is ready and then returns, having noted when its next timer is due:
a coroutine that sleeps holds no thread. Calls in other threads (`asyncio.to_thread`) are
waited for while the clock stands.
"""

from __future__ import annotations

import asyncio
import selectors
import threading
from collections.abc import Callable, Mapping
from typing import Any

from closingbell.simulation.clock import SimulationClock

#: How long real sockets are listened to before simulated time goes on, in machine seconds.
_SOCKET_PATIENCE_S = 1.0
_SOCKET_STEP_S = 0.01


class _IdleSelector(selectors.BaseSelector):
    """Waits for what happens outside of the simulation, and otherwise says that the loop is idle.

    A real selector is only made for a real socket: a suspended run costs no descriptor.
    """

    def __init__(self, went_idle: Callable[[float | None], None]) -> None:
        self._went_idle = went_idle
        self._real: selectors.BaseSelector | None = None
        self.rung = threading.Event()
        self.outside = 0

    def _selector(self) -> selectors.BaseSelector:
        if self._real is None:
            self._real = selectors.DefaultSelector()
        return self._real

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._selector().register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._selector().unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._selector().modify(fileobj, events, data)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return {} if self._real is None else self._real.get_map()

    def close(self) -> None:
        if self._real is not None:
            self._real.close()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is not None and timeout <= 0:
            return [] if self._real is None else self._real.select(0)
        ready = self._wait_outside(timeout)
        if not ready and not self.rung.is_set():
            self._went_idle(timeout)
        self.rung.clear()
        return ready

    def _wait_outside(self, timeout: float | None) -> list[tuple[selectors.SelectorKey, int]]:
        patience = min(_SOCKET_PATIENCE_S, timeout or _SOCKET_PATIENCE_S)
        while self.outside or (self.get_map() and patience > 0):
            if self.rung.wait(None if not self.get_map() else _SOCKET_STEP_S):
                break
            patience -= _SOCKET_STEP_S
            if self._real is not None and (ready := self._real.select(0)):
                return ready
        return []


class SimulationEventLoop(asyncio.SelectorEventLoop):
    """The loop of one async run at a time.

    Attributes:
        idle_s: once it is idle, seconds until its next timer; None without one.
    """

    def __init__(self, clock: SimulationClock) -> None:
        self._idle = _IdleSelector(self._went_idle)
        super().__init__(self._idle)
        self._simulated = clock
        self._zero = clock.at
        # Timers fall due to the microsecond: the clock knows no less.
        self._clock_resolution = 1e-6
        self._is_idle = False
        self.idle_s: float | None = None
        self.used_threads = False

    def run_until_idle(self) -> None:
        """Run all that is ready, and what that makes ready."""
        self._is_idle = False
        while not self._is_idle:
            try:
                self.run_forever()
            except (SystemExit, KeyboardInterrupt):
                # asyncio lets these through a loop, having given them to the task as well.
                continue

    def tidy_up(self) -> bool:
        """End what a run left behind; return whether another run may have the loop."""
        left = asyncio.all_tasks(self)
        for task in left:
            task.cancel()
        if left:
            self.run_until_idle()
        if self.used_threads or self.idle_s is not None or self._idle.get_map():
            self.close()
            return False
        return True

    def abandon(self) -> None:
        """End everything that is suspended in the loop, and close it."""
        for task in asyncio.all_tasks(self):
            task.cancel()
        self.run_until_idle()
        self.close()

    def time(self) -> float:
        """Return simulated seconds since the loop was made."""
        return (self._simulated.at - self._zero) / 1_000_000

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Any, *args: Any
    ) -> Any:
        """Run a function in a thread; simulated time stands until it has returned."""
        future = super().run_in_executor(executor, func, *args)
        self.used_threads = True
        self._idle.outside += 1
        future.add_done_callback(self._came_back)
        return future

    def _came_back(self, _future: Any) -> None:
        self._idle.outside -= 1

    def _went_idle(self, timeout: float | None) -> None:
        self._is_idle = True
        self.idle_s = timeout
        self.stop()

    def __del__(self) -> None:
        # It holds no descriptor, so nobody needs to be warned of one that a run left behind.
        if not self.is_closed() and not self.is_running():
            self.close()

    # A pipe to wake the selector is what asyncio uses; an event does the same without descriptors.

    def _make_self_pipe(self) -> None:
        self._ssock = self._csock = None

    def _close_self_pipe(self) -> None:
        """There is nothing to close."""

    def _write_to_self(self) -> None:
        self._idle.rung.set()
