"""ThreadExecutor: plain functions and live objects, one thread for each running call.

A thread cannot be stopped from outside. At its deadline a call's
`context.cancelled` becomes true; code that ends within a short courtesy time is
reported as stopped, and everything else as `TimedOut(stopped=False)`: the record
then says that its thread runs on. Such a thread is stuck. It is replaced by a
spare one, until as many are stuck as there are spares; then each further one costs a
slot until it returns, and what it returns is dropped.

Coroutine functions run in a loop of their own in the thread, and those can be cancelled.
"""

from __future__ import annotations

import asyncio
import inspect
import queue
import threading
from collections.abc import Awaitable, Sequence
from contextvars import copy_context
from typing import Any

from closingbell.core.call import Call, current_call
from closingbell.core.clock import Clock
from closingbell.core.outcome import Cancelled, GivenBack, Outcome
from closingbell.executor.capture import Capture
from closingbell.executor.ending import end, lost, raised, timed_out

#: Seconds between `context.cancelled` and the report that plain code runs on.
COURTESY_S = 0.1
#: The same for a coroutine, whose cancellation may take a moment of cleaning up.
SWALLOW_S = 1.0

_NEVER = float("inf")
_STOPS = "the worker stops"


class _Seat:
    """A running call, and how its code can be reached."""

    __slots__ = ("call", "give_up_at", "loop", "task", "unaware")

    def __init__(self, call: Call) -> None:
        self.call = call
        self.give_up_at = _NEVER
        self.loop: asyncio.AbstractEventLoop | None = None
        self.task: asyncio.Task[Any] | None = None
        # Plain code that never asked for its context cannot have ended early: when its
        # worker stops, what it returns is its result.
        self.unaware = False


class ThreadExecutor:
    """Runs handlers on daemon threads, made when they are needed."""

    kind = "thread"

    def __init__(
        self,
        slots: int,
        clock: Clock,
        capture: Capture | None = None,
        spares: int | None = None,
    ) -> None:
        """Make an executor.

        Args:
            slots: how many calls may be inside at once.
            clock: tells machine seconds.
            capture: keeps what runs print; installed from `start` to `stop`.
            spares: how many stuck threads are replaced; as many as there are slots by default.
        """
        self._size = slots
        self._spares = slots if spares is None else spares
        self._clock = clock
        self._capture = capture
        self._variables = copy_context()
        self._queue: queue.SimpleQueue[Call | None] = queue.SimpleQueue()
        # A call is in one of these until somebody has taken it out, and only who did reports it.
        self._waiting: dict[Call, None] = {}
        self._running: dict[Call, _Seat] = {}
        self._stuck: set[Call] = set()
        self._lock = threading.Lock()
        self._ended = threading.Condition(self._lock)
        self._watch = threading.Condition(self._lock)
        self._watch_until = _NEVER
        self._threads = 0
        self._idle = 0
        self._stopped = False

    @property
    def slots(self) -> int:
        """How many calls may be inside at once; fewer when more threads are stuck than spare."""
        return max(0, self._size - max(0, len(self._stuck) - self._spares))

    @property
    def stuck(self) -> int:
        """How many threads go on with calls that have been reported as timed out."""
        return len(self._stuck)

    def start(self) -> None:
        """Start the thread that watches deadlines; the others come when they are needed."""
        if self._capture is not None:
            self._capture.install()
        threading.Thread(
            target=self._watch_deadlines, name="closingbell-thread-watch", daemon=True
        ).start()

    def submit(self, calls: Sequence[Call]) -> None:
        """Take calls; may be called from any thread."""
        with self._lock:
            self._waiting.update(dict.fromkeys(calls))
            wanted = len(self._waiting) - self._idle
            for _ in range(min(wanted, self._capacity() - self._threads)):
                self._add_thread()
        for call in calls:
            self._queue.put(call)

    def drain(self) -> list[Call]:
        """Return calls that were taken and have not started."""
        with self._lock:
            drained = list(self._waiting)
            self._waiting.clear()
        return drained

    def stop_call(self, call: Call, reason: str) -> None:
        """Tell a call to end; `Cancelled` is reported once its code has returned."""
        with self._lock:
            if call in self._waiting:
                del self._waiting[call]
            else:
                seat = self._running.get(call)
                if seat is not None and call.stopping is None:
                    self._ask(seat, Cancelled(reason), reason)
                return
        end(call, Cancelled(reason))

    def stop(self, grace_s: float) -> None:
        """Wait for what runs; report as lost what cannot be ended."""
        with self._lock:
            if self._stopped:
                return
            self._stopped = True
            waiting = list(self._waiting)
            self._waiting.clear()
            self._wait_for_running(grace_s)
            for seat in self._running.values():
                if seat.call.stopping is None:
                    self._ask(seat, GivenBack(_STOPS), _STOPS)
            reachable = any(seat.task is not None for seat in self._running.values())
            if self._running:
                self._wait_for_running(SWALLOW_S if reachable else COURTESY_S)
            left = list(self._running)
            self._running.clear()
            self._watch.notify()
            for _ in range(self._threads):
                self._queue.put(None)
        for call in waiting:
            end(call, GivenBack(_STOPS))
        for call in left:
            end(call, lost("thread", "it cannot be stopped and runs on"))
        if self._capture is not None:
            self._capture.remove()

    # --- threads -----------------------------------------------------------------------

    def _capacity(self) -> int:
        return self._size + min(len(self._stuck), self._spares)

    def _add_thread(self) -> None:
        self._threads += 1
        threading.Thread(
            target=self._work, name=f"closingbell-thread-{self._threads}", daemon=True
        ).start()

    def _work(self) -> None:
        while True:
            with self._lock:
                self._idle += 1
            call = self._queue.get()
            with self._lock:
                self._idle -= 1
                if call is None or self._threads > self._capacity():
                    self._threads -= 1
                    if call is not None:
                        self._queue.put(call)
                    return
                if call not in self._waiting:
                    continue
                del self._waiting[call]
                seat = self._running[call] = _Seat(call)
                call.deadline = self._clock.monotonic() + call.claim.timeout_s
                if call.deadline < self._watch_until:
                    self._watch_until = call.deadline
                    self._watch.notify()
            outcome = self._variables.copy().run(self._run, seat)
            with self._lock:
                self._stuck.discard(call)
                reports = self._running.pop(call, None) is not None
                if not self._running:
                    self._ended.notify_all()
            if reports:
                if call.stopping is not None and not (
                    seat.unaware and isinstance(call.stopping, GivenBack)
                ):
                    outcome = call.stopping
                elif self._clock.monotonic() > call.deadline:
                    outcome = timed_out(call, stopped=True)
                end(call, outcome)

    def _run(self, seat: _Seat) -> Outcome:
        call = seat.call
        current_call.set(call)
        try:
            value = call.invoke(call)
            if inspect.isawaitable(value):
                with asyncio.Runner() as runner:
                    value = runner.run(self._await(seat, value))
            return call.encode(call, value)
        except BaseException as error:
            return raised(error)

    async def _await(self, seat: _Seat, awaitable: Awaitable[Any]) -> Any:
        with self._lock:
            seat.loop = asyncio.get_running_loop()
            seat.task = asyncio.current_task()
            asked = seat.call.stopping is not None
        if asked and seat.task is not None:
            seat.task.cancel()
        try:
            return await awaitable
        finally:
            with self._lock:
                seat.loop = seat.task = None

    # --- deadlines ---------------------------------------------------------------------

    def _ask(self, seat: _Seat, outcome: Outcome, reason: str) -> None:
        seat.unaware = seat.task is None and not seat.call.has_context
        seat.call.stopping = outcome
        seat.call.context.request_cancel(reason)
        if seat.loop is not None and seat.task is not None:
            seat.loop.call_soon_threadsafe(seat.task.cancel)

    def _wait_for_running(self, seconds: float) -> None:
        end = self._clock.monotonic() + seconds
        while self._running:
            left = end - self._clock.monotonic()
            if left <= 0:
                return
            self._ended.wait(left)

    def _watch_deadlines(self) -> None:
        while True:
            with self._lock:
                if self._stopped and not self._running:
                    return
                left = self._watch_until - self._clock.monotonic()
                if left > 0:
                    self._watch.wait(None if left == _NEVER else left)
                given_up = self._look(self._clock.monotonic())
            for call in given_up:
                end(call, timed_out(call, stopped=False))

    def _look(self, now: float) -> list[Call]:
        """Ask what ran past its deadline to end, and return what did not."""
        given_up = []
        earliest = _NEVER
        for call, seat in self._running.items():
            if now >= seat.give_up_at:
                given_up.append(call)
                continue
            if now >= call.deadline and seat.give_up_at == _NEVER:
                if call.stopping is None:
                    reason = f"timeout of {call.claim.timeout_s:g} s"
                    self._ask(seat, timed_out(call, stopped=True), reason)
                seat.give_up_at = now + (COURTESY_S if seat.task is None else SWALLOW_S)
            asked = seat.give_up_at < _NEVER
            earliest = min(earliest, seat.give_up_at if asked else call.deadline)
        for call in given_up:
            del self._running[call]
            self._stuck.add(call)
            if self._waiting and not self._idle and self._threads < self._capacity():
                self._add_thread()
        self._watch_until = earliest
        return given_up
