"""AsyncExecutor: coroutines on one event loop, a few microseconds each.

A call's first step runs at once, inside a task that serves the whole batch; only
a coroutine that really waits keeps that task, and another one goes on with the
rest. Most short runs therefore cost no task of their own. Every call has its own
copy of the context variables.

The ladder: `context.cancelled`, then `task.cancel()`, and when the coroutine
swallows the cancellation for a second, the record says that it runs on. A handler
that blocks the loop blocks its neighbours: plain functions belong into threads.
A watchdog thread reports a blocker as timed out, but nothing can stop it.
"""

from __future__ import annotations

import asyncio
import threading
import types
from collections import deque
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextvars import Context as Variables
from contextvars import copy_context
from types import CoroutineType
from typing import Any

from closingbell.core.call import Call, current_call
from closingbell.core.clock import Clock
from closingbell.core.outcome import Cancelled, GivenBack, Outcome, TimedOut
from closingbell.executor.capture import Capture
from closingbell.executor.ending import end, lost, raised, timed_out
from closingbell.executor.loop import LoopThread

#: After so many seconds of calls without a pause the loop looks after everything else.
SLICE_S = 0.005
#: A coroutine that goes on for so long after its cancellation is reported as running on.
SWALLOW_S = 1.0
#: How often the watchdog looks whether a call blocks the loop.
WATCH_S = 0.5

_NEVER = float("inf")
_RUNS_ON = "its coroutine ignores its cancellation and runs on"
_BLOCKS = "it blocks the event loop, cannot be stopped and runs on"
_BLOCKED = "it blocked the event loop until it returned"


class AsyncExecutor:
    """Runs coroutine functions on an event loop.

    A plain function is called on the loop, too, and blocks it while it runs.
    """

    kind = "async"

    def __init__(
        self,
        slots: int,
        clock: Clock,
        capture: Capture | None = None,
        loop_getter: Callable[[], asyncio.AbstractEventLoop] | None = None,
    ) -> None:
        """Make an executor.

        Args:
            slots: how many calls may be inside at once.
            clock: tells machine seconds.
            capture: keeps what runs print; installed from `start` to `stop`.
            loop_getter: returns the running loop, asked by `start`; without it the executor
                has a loop on a thread of its own.
        """
        self._slots = slots
        self._clock = clock
        self._capture = capture
        self._loop_getter = loop_getter
        self._own_loop: LoopThread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._variables = copy_context()
        self._pending: deque[Call] = deque()
        self._serving = False
        # The call whose code is executing now: taken out by whoever answers for it.
        self._current: dict[Call, None] = {}
        self._waiting: dict[Call, asyncio.Task[None]] = {}
        self._sweep_at = _NEVER
        self._sweep_timer: asyncio.TimerHandle | None = None
        self._stopping = threading.Event()
        self._stopped = False

    @property
    def slots(self) -> int:
        """How many calls may be inside at once."""
        return self._slots

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop that calls run on."""
        if self._loop is None:
            raise RuntimeError("the async executor was not started: call start() first")
        return self._loop

    def start(self) -> None:
        """Take the loop that was named, or start one."""
        if self._loop_getter is None:
            self._own_loop = LoopThread("closingbell-async")
            self._own_loop.start()
            self._loop = self._own_loop.loop
        else:
            self._loop = self._loop_getter()
        if self._capture is not None:
            self._capture.install()
        threading.Thread(target=self._watch, name="closingbell-async-watch", daemon=True).start()

    def submit(self, calls: Sequence[Call]) -> None:
        """Take calls; may be called from any thread."""
        self._pending.extend(calls)
        # Whoever serves clears the flag before it looks a last time, so nothing is missed.
        if not self._serving:
            self._serving = True
            self.loop.call_soon_threadsafe(self._begin_serving)

    def drain(self) -> list[Call]:
        """Return calls that were taken and have not started."""
        drained = []
        while True:
            try:
                drained.append(self._pending.popleft())
            except IndexError:
                return drained

    def stop_call(self, call: Call, reason: str) -> None:
        """Cancel a call; an unknown or finished one is left alone."""
        self.loop.call_soon_threadsafe(self._stop_call, call, reason)

    def stop(self, grace_s: float) -> None:
        """Wait for what runs, cancel the rest and give it back; blocks, not on the loop's thread.

        Calls that a blocked loop or a swallowed cancellation keeps are reported as lost.
        """
        loop = self._loop
        if loop is None or self._stopped:
            return
        self._stopped = True
        for call in self.drain():
            end(call, GivenBack("the worker stops"))
        ended = threading.Event()

        async def wind_up() -> None:
            try:
                await self._end(grace_s)
            finally:
                ended.set()

        if loop.is_running():
            asyncio.run_coroutine_threadsafe(wind_up(), loop)
            ended.wait(grace_s + SWALLOW_S + 0.5)
        self._stopping.set()
        for call in {**self._current, **self._waiting}:
            if self._claim(call):
                end(call, lost("event loop", "its coroutine could not be stopped in time"))
        if self._own_loop is not None:
            self._own_loop.stop()
        if self._capture is not None:
            self._capture.remove()

    # --- on the loop -------------------------------------------------------------------

    def _begin_serving(self) -> None:
        self.loop.create_task(self._serve()).add_done_callback(self._served)

    def _served(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is None:
            return
        # A handler cancelled the task that it found itself in, or an outcome was not taken: the
        # calls that wait are not to blame.
        if not task.cancelled():
            self.loop.call_exception_handler(
                {"message": "closingbell: a run's outcome was not taken", "task": task}
            )
        if self._pending:
            self._begin_serving()
        else:
            self._serving = False

    async def _serve(self) -> None:
        pending, current = self._pending, self._current
        monotonic, copy = self._clock.monotonic, self._variables.copy
        now = monotonic()
        pause_at = now + SLICE_S
        while True:
            try:
                call = pending.popleft()
            except IndexError:
                if self._rest():
                    return
                continue
            call.deadline = now + call.claim.timeout_s
            variables = copy()
            current[call] = None
            waits = False
            try:
                value = variables.run(_invoke, call)
                if type(value) is not CoroutineType and isinstance(value, Awaitable):
                    value = _wait_for(value)
                if type(value) is CoroutineType:
                    future = variables.run(value.send, None)
                    waits = True
                else:
                    outcome = call.encode(call, value)
            except StopIteration as stop:
                outcome = call.encode(call, stop.value)
            except BaseException as error:
                outcome = raised(error)
            if waits:
                await self._keep(call, self._follow(call, variables, value, future))
                return
            now = monotonic()
            try:
                del current[call]
            except KeyError:
                continue
            if now > call.deadline:
                outcome = timed_out(call, stopped=True, detail=_BLOCKED)
            call.outcome = outcome
            call.done(call, outcome)
            if now > pause_at:
                await asyncio.sleep(0)
                now = monotonic()
                pause_at = now + SLICE_S

    def _rest(self) -> bool:
        """Say that nobody serves any more; False when something came in meanwhile."""
        self._serving = False
        if not self._pending or self._serving:
            return True
        self._serving = True
        return False

    async def _keep(self, call: Call, following: Awaitable[Any]) -> None:
        """See a call through that waits, in the task that began it."""
        task = asyncio.current_task()
        if task is not None and self._current.pop(call, _GONE) is not _GONE:
            self._waiting[call] = task
            self._sweep_by(call.deadline)
        if self._pending or not self._rest():
            self._begin_serving()
        try:
            outcome = call.encode(call, await following)
        except GeneratorExit:
            raise
        except BaseException as error:
            outcome = raised(error)
        if self._waiting.pop(call, None) is None:
            return
        if call.stopping is not None:
            outcome = call.stopping
        elif self._clock.monotonic() > call.deadline:
            outcome = timed_out(call, stopped=True)
        end(call, outcome)

    @types.coroutine
    def _follow(
        self, call: Call, variables: Variables, coroutine: Any, future: Any
    ) -> Generator[Any, Any, Any]:
        """Go on with a coroutine, each step in its own context variables."""
        current = self._current
        while True:
            try:
                sent = yield future
            except BaseException as error:
                step, argument = coroutine.throw, error
            else:
                step, argument = coroutine.send, sent
            current[call] = None
            try:
                future = variables.run(step, argument)
            except StopIteration as stop:
                return stop.value
            finally:
                current.pop(call, None)

    # --- the ladder --------------------------------------------------------------------

    def _sweep_by(self, deadline: float) -> None:
        """See to it that deadlines are looked at when this one comes: one timer for all."""
        if deadline < self._sweep_at:
            if self._sweep_timer is not None:
                self._sweep_timer.cancel()
            self._sweep_at = deadline
            delay = max(deadline - self._clock.monotonic(), 0.001)
            self._sweep_timer = self.loop.call_later(delay, self._sweep)

    def _sweep(self) -> None:
        now = self._clock.monotonic()
        self._sweep_at = earliest = _NEVER
        for call in list(self._waiting):
            if call.stopping is not None:
                continue
            if call.deadline <= now:
                self._cancel(
                    call, timed_out(call, stopped=True), f"timeout of {call.claim.timeout_s:g} s"
                )
            else:
                earliest = min(earliest, call.deadline)
        if earliest < _NEVER:
            self._sweep_by(earliest)

    def _stop_call(self, call: Call, reason: str) -> None:
        if call in self._waiting:
            if call.stopping is None:
                self._cancel(call, Cancelled(reason), reason)
            return
        try:
            self._pending.remove(call)
        except ValueError:
            return
        end(call, Cancelled(reason))

    def _cancel(self, call: Call, outcome: Outcome, reason: str) -> None:
        call.stopping = outcome
        call.context.request_cancel(reason)
        self._waiting[call].cancel()
        self.loop.call_later(SWALLOW_S, self._give_up, call)

    def _give_up(self, call: Call) -> None:
        if self._waiting.pop(call, None) is None:
            return
        outcome = call.stopping
        if isinstance(outcome, TimedOut):
            outcome = timed_out(call, stopped=False, detail=_RUNS_ON)
        elif isinstance(outcome, Cancelled):
            outcome = Cancelled(f"{outcome.reason}; {_RUNS_ON}")
        else:
            outcome = lost("event loop", _RUNS_ON)
        end(call, outcome)

    async def _end(self, grace_s: float) -> None:
        tasks = list(self._waiting.values())
        if tasks:
            await asyncio.wait(tasks, timeout=grace_s)
        tasks = list(self._waiting.values())
        for call in list(self._waiting):
            if call.stopping is None:
                self._cancel(call, GivenBack("the worker stops"), "the worker stops")
        if tasks:
            await asyncio.wait(tasks, timeout=SWALLOW_S + 0.1)

    # --- beside the loop ---------------------------------------------------------------

    def _claim(self, call: Call) -> bool:
        """Take over the answer for a call; False when it was answered meanwhile."""
        running = self._current.pop(call, _GONE) is not _GONE
        return self._waiting.pop(call, None) is not None or running

    def _watch(self) -> None:
        while not self._stopping.wait(WATCH_S):
            for call in list(self._current):
                if self._clock.monotonic() > call.deadline + SWALLOW_S and self._claim(call):
                    call.context.request_cancel(f"timeout of {call.claim.timeout_s:g} s")
                    end(call, timed_out(call, stopped=False, detail=_BLOCKS))


_GONE: Any = object()


def _invoke(call: Call) -> Any:
    current_call.set(call)
    try:
        return call.invoke(call)
    except StopIteration as problem:
        # It would be taken for the end of a coroutine.
        raise RuntimeError("the handler raised StopIteration") from problem


async def _wait_for(awaitable: Awaitable[Any]) -> Any:
    return await awaitable
