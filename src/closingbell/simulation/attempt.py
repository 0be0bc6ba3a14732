"""Attempt: one try of a run in a simulation, as an executor's call."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

from closingbell.core.call import Call
from closingbell.core.clock import from_micros
from closingbell.core.context import Context
from closingbell.core.outcome import Outcome
from closingbell.core.run import Claim

if TYPE_CHECKING:
    from closingbell.simulation.baton import Driver
    from closingbell.simulation.coroutine import SimulationEventLoop
    from closingbell.simulation.lineup import TaskState
    from closingbell.simulation.run import SimulatedRun
    from closingbell.simulation.timetable import Timetable


class Attempt(Call):
    """A call with what the simulation knows of it.

    Once it has an outcome its run is settled, and what its code still does counts for nothing.

    Nearly all of them return without ever having slept; so whatever only the others need is
    a class attribute until it is set.

    Attributes:
        state: of the task that is called.
        number: of the run within its task.
        timetable: the schedule that fired it, or None.
        run: what outlives the attempt; None for a plain firing's first attempt.
        resumed_at: machine seconds since when its code executes.
        used_s: machine seconds that its code executed before.
        is_registered: whether it is among those that have slept and not ended.
        is_revoked: whether its thread lost the baton.
        driver: its thread, while it sleeps.
        wake_number: of the moment that wakes it; another moment is out of date.
        waits_for_cancel: whether a request to end wakes it, too.
        loop, coroutine: of an async handler.
        algorithm: what it was given to trade with.
    """

    deadline = 0.0
    logs: list[tuple[str, str]] | None = None
    log_size = 0
    outcome: Outcome | None = None
    stopping: Outcome | None = None
    _context: Context | None = None
    used_s = 0.0
    resumed_at = 0.0
    run: SimulatedRun | None = None
    is_registered = False
    is_revoked = False
    driver: Driver | None = None
    wake_number = -1
    loop: SimulationEventLoop | None = None
    coroutine: Any = None
    algorithm: Any = None
    waits_for_cancel = False

    def __init__(
        self,
        claim: Claim,
        state: TaskState,
        number: int,
        timetable: Timetable | None,
    ) -> None:
        # Not as `Call` does: a simulation calls through the task's state, and reads what its
        # handler returned there. Only an attempt in a child process is answered by `done`.
        self.claim = claim
        self.state = state
        self.number = number
        self.timetable = timetable
        self.task = state.definition

    @property
    def context(self) -> Context:
        """The run's view of itself, made when first asked for; it waits in simulated time."""
        if self._context is None:
            claim = self.claim
            day = claim.session_date
            self._context = SimulatedContext(
                self,
                run_id=claim.id,
                task=claim.task,
                attempt=claim.attempt,
                max_attempts=claim.max_attempts,
                fence=claim.fence,
                due_at=from_micros(claim.due_at),
                fire_at=None if claim.fire_at is None else from_micros(claim.fire_at),
                session_date=None if day is None else date.fromisoformat(day),
            )
        return self._context


class SimulatedContext(Context):
    """A context whose waiting takes simulated time."""

    def __init__(self, owner: Attempt, /, **facts: Any) -> None:
        super().__init__(**facts)
        self._owner = owner

    def wait_cancelled(self, timeout_s: float | None = None) -> bool:
        """Block until the run should end, or until `timeout_s` simulated seconds have passed."""
        if not self.cancelled:
            self._owner.state.stage.wait_cancelled(self._owner, timeout_s)
        return self.cancelled

    def request_cancel(self, reason: str) -> None:
        """Tell the running code to end."""
        super().request_cancel(reason)
        if self._owner.waits_for_cancel:
            self._owner.state.stage.wake_now(self._owner)
