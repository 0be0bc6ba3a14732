"""Coroutines: the async handlers of a simulation, each in a loop that nobody shares with it."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from closingbell.core.outcome import Outcome
from closingbell.executor.ending import raised
from closingbell.simulation.attempt import Attempt
from closingbell.simulation.baton import Dismissed
from closingbell.simulation.clock import SimulationClock
from closingbell.simulation.coroutine import SimulationEventLoop


class Coroutines:
    """Begins, resumes and cancels coroutines; loops that are free again are used again."""

    def __init__(self, clock: SimulationClock) -> None:
        self._clock = clock
        self._free: list[SimulationEventLoop] = []
        self._suspended: dict[Attempt, SimulationEventLoop] = {}

    def begin(self, attempt: Attempt, awaitable: Awaitable[Any]) -> Outcome | None:
        """Run a coroutine until it ends or waits; return how it ended, or None."""
        loop = self._free.pop() if self._free else SimulationEventLoop(self._clock)
        attempt.loop = loop
        attempt.coroutine = loop.create_task(_awaited(awaitable))
        return self.go_on(attempt)

    def go_on(self, attempt: Attempt) -> Outcome | None:
        """Run a coroutine whose time has come, as `begin`."""
        loop, task = attempt.loop, attempt.coroutine
        assert loop is not None  # noqa: S101
        self._suspended[attempt] = loop
        loop.run_until_idle()
        if not task.done():
            return None
        attempt.loop = attempt.coroutine = None
        self._suspended.pop(attempt, None)
        if loop.tidy_up():
            self._free.append(loop)
        try:
            return attempt.state.encode(attempt, task.result())
        except Dismissed:
            raise
        except BaseException as error:
            return described(error)

    def cancel(self, attempt: Attempt) -> bool:
        """Ask a coroutine to end; return whether it must be resumed to hear of it."""
        if attempt.coroutine is None or attempt.loop is None:
            return False
        attempt.loop.call_soon_threadsafe(attempt.coroutine.cancel)
        # One that sleeps without awaiting holds its thread, and hears of it when it wakes.
        return attempt.driver is None

    def unwind(self) -> None:
        """Cancel all that is suspended, and close the loops."""
        for attempt, loop in list(self._suspended.items()):
            if attempt.driver is None and not attempt.is_revoked:
                del self._suspended[attempt]
                loop.abandon()
        while self._free:
            self._free.pop().close()


def described(error: BaseException) -> Outcome:
    """Return the outcome of an exception, also of one that cannot say what it is."""
    try:
        return raised(error)
    except Exception as problem:
        # It must not end the simulation.
        return raised(problem.with_traceback(None))


async def _awaited(awaitable: Awaitable[Any]) -> Any:
    return await awaitable
