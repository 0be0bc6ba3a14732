"""Stage: where attempts are performed, one at a time, on the simulated clock.

Plain functions run in the thread that holds the baton. One that sleeps keeps its thread
and hands the baton on. Coroutines are suspended without a thread. Tasks for processes run
in real child processes while the clock stands. What hangs in machine seconds loses the
baton, and everything that it could still do with it.
"""

from __future__ import annotations

import contextvars
import inspect
from collections.abc import Callable
from typing import Any

from closingbell.core.call import current_call
from closingbell.core.error import BacktestError, FenceLost
from closingbell.core.ledger import Holder
from closingbell.core.outcome import Cancelled, Outcome, Returned
from closingbell.executor.ending import timed_out
from closingbell.simulation.attempt import Attempt
from closingbell.simulation.baton import Baton, Dismissed, Driver
from closingbell.simulation.clock import SimulationClock
from closingbell.simulation.coroutines import Coroutines, described
from closingbell.simulation.moment import Moment
from closingbell.simulation.processes import Processes
from closingbell.simulation.timeline import Timeline

#: A coroutine that goes on for so long after its cancellation is reported as running on.
SWALLOW_US = 1_000_000
_LAST = 10
_NOTHING = Returned(None)


class Stage:
    """Performs attempts.

    Attributes:
        held: attempts that have slept and have not ended, by run id.
        wakeups: how often a sleeper woke.
    """

    def __init__(
        self,
        clock: SimulationClock,
        timeline: Timeline,
        baton: Baton,
        processes: Processes,
        ended: Callable[[Attempt, Outcome], None],
        returned: Callable[[Attempt, Returned], None],
        opened: Callable[[Attempt], None],
        revoke: Callable[[Any, Callable[[], Exception]], None],
        variables: contextvars.Context,
    ) -> None:
        """Make a stage.

        Args:
            clock: the simulation's.
            timeline: where wake-ups are put.
            baton: the simulation's threads.
            processes: where process tasks run.
            ended: told once of how each attempt ended; settles its run.
            returned: told in its place of a plain firing's attempt that returned at once.
            opened: told of an attempt before whose end others have their turn; notes its run.
            revoke: makes every further use of an algorithm raise.
            variables: the context variables that each attempt gets a copy of.
        """
        self.clock = clock
        self.held: dict[str, Attempt] = {}
        self.wakeups = 0
        self._timeline = timeline
        self._baton = baton
        self._processes = processes
        self._ended = ended
        self._returned = returned
        self._opened = opened
        self._revoke = revoke
        self._variables = variables
        self._monotonic = clock.monotonic
        # The attempt whose code executes. Whoever takes it out, its own thread or the watch,
        # answers for it: taking it out is one step that no other thread can interrupt.
        self._executing: dict[Attempt, bool] = {}
        self._asleep: dict[Attempt, Driver] = {}
        self._coroutines = Coroutines(clock)

    # --- performing --------------------------------------------------------------------

    def perform(self, attempt: Attempt) -> None:
        """Run an attempt's code until it ends or sleeps.

        Raises:
            Dismissed: it hung, and this thread has no more business here.
        """
        if attempt.state.in_process:
            self._settle(attempt, self._processes.run(attempt))
            return
        executing = self._executing
        attempt.resumed_at = began = self._monotonic()
        executing[attempt] = True
        outcome = self._variables.copy().run(self._call, attempt)
        took_s = self._monotonic() - began
        if (
            type(outcome) is Returned
            and attempt.run is None
            and took_s <= attempt.claim.timeout_s
            and executing.pop(attempt, None) is not None
        ):
            attempt.state.machine_s += took_s
            # It knows the attempt in its turn: a circle for each run would wait for the collector.
            attempt.algorithm = None
            attempt.outcome = outcome
            self._returned(attempt, outcome)
            return
        self._leave(attempt, outcome)

    def _call(self, attempt: Attempt) -> Outcome | None:
        current_call.set(attempt)
        try:
            state = attempt.state
            value = state.invoke(attempt)
            if value is None:
                return _NOTHING
            if inspect.isawaitable(value):
                return self._coroutines.begin(attempt, value)
            return state.encode(attempt, value)
        except Dismissed:
            raise
        except BaseException as error:
            return described(error)

    def _leave(self, attempt: Attempt, outcome: Outcome | None) -> None:
        if self._executing.pop(attempt, None) is None:
            raise Dismissed
        took_s = self._monotonic() - attempt.resumed_at
        attempt.state.machine_s += took_s
        if outcome is None:
            attempt.used_s += took_s
            self._suspend_coroutine(attempt)
            return
        attempt.algorithm = None
        if attempt.outcome is not None:
            return
        if attempt.stopping is not None:
            outcome = attempt.stopping
        elif attempt.used_s + took_s > attempt.claim.timeout_s:
            outcome = timed_out(attempt, stopped=True)
        self._settle(attempt, outcome)

    def _settle(self, attempt: Attempt, outcome: Outcome) -> None:
        if attempt.is_registered:
            self.held.pop(attempt.claim.id, None)
        attempt.outcome = outcome
        self._ended(attempt, outcome)

    def _register(self, attempt: Attempt) -> None:
        """Let the run be seen as active: from now on others have their turn before it ends."""
        if not attempt.is_registered:
            attempt.is_registered = True
            self._opened(attempt)
            self.held[attempt.claim.id] = attempt
            deadline = attempt.claim.started_at + round(attempt.claim.timeout_s * 1_000_000)
            # After everything else of its instant: who ends just in time has ended.
            self._add(attempt, deadline, lambda _moment: self._run_out(attempt), _LAST)

    def _add(
        self,
        attempt: Attempt,
        at: int,
        what: Callable[[Moment], None],
        priority: int | None = None,
    ) -> int:
        if priority is None:
            priority = attempt.state.priority if attempt.run is None else attempt.run.priority
        return self._timeline.add_task(at, what, priority, attempt.state.name, attempt.claim.id)

    # --- sleeping ----------------------------------------------------------------------

    def sleep_until(self, until: int) -> None:
        """Let the calling task sleep until a simulated instant.

        Raises:
            BacktestError: the caller is no task of this simulation, or another thread.
            FenceLost: the run has been settled without this attempt.
        """
        call = current_call.get()
        if not isinstance(call, Attempt) or call.state.stage is not self:
            raise BacktestError(
                "a sleep on the simulated clock", "outside of its tasks", "one inside a task"
            )
        self._sleep(call, until)

    def wait_cancelled(self, attempt: Attempt, timeout_s: float | None) -> None:
        """Let a task sleep until it should end, or until so many seconds have passed."""
        attempt.waits_for_cancel = True
        try:
            # Without an end the attempt's own deadline is one: it asks the attempt to end.
            seconds = attempt.claim.timeout_s + 1 if timeout_s is None else timeout_s
            self._sleep(attempt, self.clock.at + max(0, round(seconds * 1_000_000)))
        finally:
            attempt.waits_for_cancel = False

    def wake_now(self, attempt: Attempt) -> None:
        """Wake a sleeper before its time."""
        if attempt.driver is not None or attempt.coroutine is not None:
            attempt.wake_number = self._add(attempt, self.clock.at, self._waker(attempt))

    def _sleep(self, attempt: Attempt, until: int) -> None:
        baton = self._baton
        if baton.is_over:
            raise Dismissed
        if attempt.outcome is not None or attempt.is_revoked:
            raise FenceLost(attempt.claim.id, attempt.claim.fence)
        if not baton.is_mine:
            raise BacktestError(
                "a sleep on the simulated clock",
                "in a thread that the task started by itself",
                "a sleep in the task's own thread",
            )
        if self._executing.pop(attempt, None) is None:
            raise FenceLost(attempt.claim.id, attempt.claim.fence)
        took_s = self._monotonic() - attempt.resumed_at
        attempt.state.machine_s += took_s
        attempt.used_s += took_s
        if attempt.used_s > attempt.claim.timeout_s:
            self._executing[attempt] = True
            attempt.resumed_at = self._monotonic()
            self._give_up(attempt)
            raise FenceLost(attempt.claim.id, attempt.claim.fence)
        self._register(attempt)
        parked_at, parked_s = self.clock.at, self._monotonic()
        attempt.wake_number = self._add(attempt, until, self._waker(attempt))
        attempt.driver = self._asleep[attempt] = baton.holder
        baton.hand_on().park()
        attempt.driver = None
        self._asleep.pop(attempt, None)
        if baton.is_over:
            raise Dismissed
        attempt.resumed_at = self._monotonic()
        if parked_at == self.clock.at:
            # Otherwise sleeps that take no time would go on for ever.
            attempt.used_s += attempt.resumed_at - parked_s
        self._executing[attempt] = True

    def _waker(self, attempt: Attempt) -> Callable[[Moment], None]:
        def wake(moment: Moment) -> None:
            if attempt.wake_number != moment[5]:
                return
            self.wakeups += 1
            if attempt.driver is not None:
                self._baton.hand_back(attempt.driver)
            elif attempt.coroutine is not None:
                self._resume_coroutine(attempt)

        return wake

    # --- coroutines --------------------------------------------------------------------

    def _resume_coroutine(self, attempt: Attempt) -> None:
        attempt.resumed_at = self._monotonic()
        self._executing[attempt] = True
        outcome = self._variables.copy().run(self._call_again, attempt)
        self._leave(attempt, outcome)

    def _call_again(self, attempt: Attempt) -> Outcome | None:
        current_call.set(attempt)
        return self._coroutines.go_on(attempt)

    def _suspend_coroutine(self, attempt: Attempt) -> None:
        self._register(attempt)
        assert attempt.loop is not None  # noqa: S101
        wait_s = attempt.loop.idle_s
        if wait_s is not None:
            until = self.clock.at + max(1, round(wait_s * 1_000_000))
            attempt.wake_number = self._add(attempt, until, self._waker(attempt))

    # --- ending what does not end ------------------------------------------------------

    def cancel(self, attempt: Attempt, reason: str) -> None:
        """Ask an attempt that sleeps to end; a plain function is seen to end when it wakes."""
        if attempt.stopping is None:
            attempt.stopping = Cancelled(reason)
            attempt.context.request_cancel(reason)
            self._cancel_coroutine(attempt)

    def _cancel_coroutine(self, attempt: Attempt) -> None:
        if self._coroutines.cancel(attempt):
            self.wake_now(attempt)

    def _run_out(self, attempt: Attempt) -> None:
        """The attempt has slept past its timeout."""
        if attempt.outcome is not None:
            return
        reason = f"timeout of {attempt.claim.timeout_s:g} s"
        if attempt.coroutine is None:
            self._give_up(attempt)
            return
        if attempt.stopping is None:
            attempt.stopping = timed_out(attempt, stopped=True)
            attempt.context.request_cancel(reason)
        self._cancel_coroutine(attempt)
        self._add(
            attempt,
            self.clock.at + SWALLOW_US,
            lambda _moment: self._ran_on(attempt),
        )

    def _ran_on(self, attempt: Attempt) -> None:
        if attempt.outcome is None:
            self._give_up(attempt, "its coroutine ignores its cancellation and runs on")

    def overdue(self) -> Attempt | None:
        """Return the attempt that has executed longer than its timeout, if there is one."""
        now = self._monotonic()
        for attempt in list(self._executing):
            if attempt.used_s + now - attempt.resumed_at > attempt.claim.timeout_s:
                return attempt
        return None

    def take_away(self, attempt: Attempt) -> bool:
        """Let the simulation go on without an attempt that hangs; return whether it still does."""
        if self._executing.pop(attempt, None) is None:
            return False
        attempt.is_revoked = True
        self._baton.take_away(lambda: self._abandon(attempt))
        return True

    def _abandon(self, attempt: Attempt) -> None:
        attempt.state.machine_s += self._monotonic() - attempt.resumed_at
        self._give_up(attempt)

    def _give_up(self, attempt: Attempt, detail: str = "") -> None:
        claim = attempt.claim
        self._revoke(attempt.algorithm, lambda: FenceLost(claim.id, claim.fence))
        if attempt.outcome is None:
            attempt.context.request_cancel(f"timeout of {claim.timeout_s:g} s")
            self._settle(attempt, timed_out(attempt, stopped=False, detail=detail))

    # --- questions ---------------------------------------------------------------------

    def holds(self, holder: Holder) -> bool:
        """Whether an attempt still holds its run, and so may trade."""
        attempt = self.held.get(holder.run_id)
        if attempt is None:
            attempt = next((a for a in list(self._executing) if a.claim.id == holder.run_id), None)
        return (
            attempt is not None
            and attempt.claim.fence == holder.fence
            and attempt.outcome is None
            and not attempt.is_revoked
        )

    def running(self) -> dict[str, int]:
        """Return how many runs of each task are running."""
        found: dict[str, int] = {}
        for attempt in {*self.held.values(), *self._executing}:
            if attempt.outcome is None:
                found[attempt.state.name] = found.get(attempt.state.name, 0) + 1
        return found

    def unwind(self) -> None:
        """Let what is suspended end, once the baton is over: threads wake, coroutines are cancelled."""
        asleep = list(self._asleep.values())
        self._asleep.clear()
        for driver in asleep:
            driver.wake()
        self._coroutines.unwind()
