"""RunWatch: waiting for what becomes of a run."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from closingbell.core.clock import Clock
from closingbell.core.error import RunCancelled, RunNotFinished, TaskFailed
from closingbell.core.run import FINAL_STATES, Run, RunState
from closingbell.waiter import Waiters

#: How often a run that another process works on is looked at, in seconds.
_LOOK_S = 0.02
#: The same for a run that a worker of this process may have, which says when it ends.
_LOOK_HERE_S = 0.25


class RunWatch:
    """Looks at runs until something is true of them."""

    def __init__(
        self,
        waiters: Waiters,
        get: Callable[[str], Run],
        clock: Clock,
        worker: Callable[[], Callable[[], None] | None],
    ) -> None:
        """Watch the runs of an open store.

        Args:
            waiters: told when something became of a run here.
            get: returns a run as it stands.
            clock: machine seconds.
            worker: returns what wakes this process's worker, or None without one.
        """
        self._waiters = waiters
        self._get = get
        self._clock = clock
        self._worker = worker

    def wait(self, run_id: str, timeout: float | None) -> Any:
        """Wait for a run's end; return its result, or raise what it ended in."""
        return _result_of(self.watch(run_id, lambda run: run.state in FINAL_STATES, timeout))

    def watch(self, run_id: str, until: Callable[[Run], bool], timeout: float | None = None) -> Run:
        """Return a run as soon as `until` is true of it.

        Raises:
            RunNotFinished: it was not within `timeout` seconds.
        """
        ended = threading.Event()
        with self._waiters.listening(run_id, ended.set):
            deadline = self._begin(timeout)
            while True:
                run = self._get(run_id)
                if until(run):
                    return run
                ended.wait(self._next_look(run, timeout, deadline))
                ended.clear()

    async def wait_async(self, run_id: str, timeout: float | None) -> Any:  # noqa: ASYNC109
        """Wait for a run's end without holding a thread; as `wait`."""
        import asyncio

        loop, ended = asyncio.get_running_loop(), asyncio.Event()

        def wake() -> None:
            # The waiting coroutine's loop may have ended meanwhile.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(ended.set)

        with self._waiters.listening(run_id, wake):
            deadline = self._begin(timeout)
            while True:
                run = await asyncio.to_thread(self._get, run_id)
                if run.state in FINAL_STATES:
                    return _result_of(run)
                wait_s = self._next_look(run, timeout, deadline)
                with suppress(TimeoutError):
                    await asyncio.wait_for(ended.wait(), wait_s)
                ended.clear()

    def _begin(self, timeout: float | None) -> float | None:
        wake = self._worker()
        if wake is not None:
            # What ended may be waiting to ride along with the next submission.
            wake()
        return None if timeout is None else self._clock.monotonic() + timeout

    def _next_look(self, run: Run, timeout: float | None, deadline: float | None) -> float:
        """Return how long to wait before the next look, or raise when the time is over."""
        wait_s = _LOOK_S if self._worker() is None else _LOOK_HERE_S
        if deadline is None:
            return wait_s
        left = deadline - self._clock.monotonic()
        if left <= 0:
            raise RunNotFinished(run.id, run.state, timeout or 0.0)
        return min(wait_s, left)


def _result_of(run: Run) -> Any:
    if run.state is RunState.SUCCESS:
        return run.result
    if run.state is RunState.FAILED:
        raise TaskFailed(run.id, run.task, run.error or {})
    raise RunCancelled(run.id, run.state, run.reason)
