"""Worker: claims what it has places for, hands it to executors, settles what ended.

Threads: an exchange thread settles and claims, in one transaction at a time; it
sleeps until something ended, something was submitted, or the poll is due. Calls
end on whatever thread their executor ends them. A place is free again when the
transaction that settles its run has committed, not before.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence

from closingbell.core.call import Call, describe_error
from closingbell.core.clock import Clock
from closingbell.core.error import StoreError, WorkerLost
from closingbell.core.limit import Room
from closingbell.core.outcome import Cancelled, GivenBack, Lost, Outcome
from closingbell.core.port import Executor, Queue, Want
from closingbell.core.run import Claim, Settlement
from closingbell.engine.attempt import Attempts
from closingbell.engine.punctual import PunctualStart

_log = logging.getLogger("closingbell.worker")

#: With no hint at all, look for runs this often, in seconds.
_LOOK_S = 0.25
#: Waits between tries while the store does not answer, in seconds.
_BACKOFF_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0)


class Worker:
    """One worker of one process; the `Claimer` of its queue."""

    def __init__(
        self,
        worker_id: str,
        *,
        queue: Queue,
        executors: Mapping[str, Executor],
        attempts: Attempts,
        clock: Clock,
        room: Callable[[Iterable[Call]], Room],
        on_settled: Callable[[Sequence[Settlement]], None],
        on_ended: Callable[[Sequence[tuple[Claim, Settlement]]], None],
        on_due: Callable[[int], None],
        on_hint: Callable[[], None],
    ) -> None:
        """Make a worker; `start` sets it to work.

        Args:
            worker_id: unique for ever.
            queue: the store's hot verbs.
            executors: where code runs, by kind.
            attempts: from claims to settlements.
            clock: time.
            room: free resources beside the calls given.
            on_settled: told of what was settled and accepted, after the commit.
            on_ended: told of the same, with the claims; it only takes note.
            on_due: told when something falls due later.
            on_hint: told that another process wrote.
        """
        self.worker_id = worker_id
        self._queue = queue
        self._executors = dict(executors)
        self._attempts = attempts
        self._clock = clock
        self._room = room
        self._on_settled = on_settled
        self._on_ended = on_ended
        self._on_due = on_due
        self._on_hint = on_hint
        self._inside: dict[str, Call] = {}
        self._taken = dict.fromkeys(self._executors, 0)
        self._ended: deque[Settlement] = deque()
        self._cancels: dict[str, str] = {}
        self._rescued = False
        self._foreign: dict[tuple[str, int], Claim] = {}
        self._unknown: dict[str, float] = {}
        self._wake = threading.Event()
        self._signalled = False
        self._claiming = False
        self._stopping = False
        self._abandoned: Lost | None = None
        self._thread: threading.Thread | None = None
        self._next_look = 0.0
        self._idle = threading.Condition()
        self._punctual = PunctualStart(clock, self._begin)
        #: Settlements that the store refused because the lease was lost.
        self.stale_count = 0
        #: The last failure of the store, while it lasts.
        self.trouble: StoreError | None = None

    # --- life ------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to claim."""
        self._claiming = True
        self._queue.attach(self)
        self._queue.listen(self.wake)
        self._thread = threading.Thread(
            target=self._exchange_until_stopped, name="closingbell-exchange", daemon=True
        )
        self._thread.start()

    def stop(self, grace_s: float) -> None:
        """Stop claiming, let runs finish within `grace_s`, give the rest back."""
        self._claiming = False
        waiting = self._punctual.take_back()
        for executor in self._executors.values():
            waiting += executor.drain()
        for call in waiting:
            self.done(call, GivenBack("the worker stopped before it started"))
        left = grace_s
        with self._idle:
            while self._inside and left > 0:
                before = self._clock.monotonic()
                self._idle.wait(min(left, 0.5))
                # A clock that stands still must not keep a worker from stopping.
                passed = self._clock.monotonic() - before
                left -= passed if self._clock.speed else min(left, 0.5)
        for executor in self._executors.values():
            executor.stop(0.0)
        self._stopping = True
        self.wake()
        if self._thread is not None:
            self._thread.join(timeout=10)
        self._queue.detach(self)

    def wake(self) -> None:
        """Say that there may be something to do; from any thread."""
        if not self._signalled:
            self._signalled = True
            self._wake.set()

    @property
    def is_alive(self) -> bool:
        """Whether it was started, goes on, and holds its lease."""
        return self._thread is not None and self._thread.is_alive() and self._abandoned is None

    @property
    def calls(self) -> list[Call]:
        """The calls that are inside, running or waiting for their executor."""
        return list(self._inside.values())

    # --- the claimer's side of the exchange ------------------------------------------

    def take_settlements(self) -> list[Settlement]:
        ended: list[Settlement] = []
        rescued, self._rescued = self._rescued, False
        pop = self._ended.popleft
        try:
            while True:
                ended.append(pop())
        except IndexError:
            return self._one_each(ended) if rescued else ended

    def _one_each(self, ended: list[Settlement]) -> list[Settlement]:
        """Leave what is settled a second time for the next transaction.

        A run that was rescued may end here, too; in one transaction the refusal of the one
        could not be told from the other's.
        """
        first: dict[str, Settlement] = {}
        later = [s for s in ended if first.setdefault(s.id, s) is not s]
        if later:
            self.put_back(later)
            self.wake()
        return list(first.values())

    def put_back(self, settlements: list[Settlement]) -> None:
        self._rescued = True
        self._ended.extendleft(reversed(settlements))

    def want(self, settled: Sequence[Settlement]) -> Want | None:
        if not self._claiming:
            return None
        returning: dict[str, int] = {}
        for settlement in settled:
            call = self._inside.get(settlement.id)
            if call is not None and call.claim.fence == settlement.fence:
                kind = call.claim.executor
                returning[kind] = returning.get(kind, 0) + 1
        free: dict[str, int] = {}
        for kind, executor in self._executors.items():
            slots = executor.slots
            places = slots - self._taken[kind] + returning.get(kind, 0)
            if places > 0:
                # Half at a time: the loop works on one half while the store serves the other.
                free[kind] = min(places, max(slots // 2, 1))
        if not free:
            return None
        return Want(free, frozenset(self._unknown), self._room(self._inside.values()))

    def deliver(self, claims: list[Claim], settled: Sequence[Settlement], stale: set[str]) -> None:
        inside, taken = self._inside, self._taken
        ended: list[tuple[Claim, Settlement]] = []
        for settlement in settled:
            call = inside.get(settlement.id)
            if call is not None and call.claim.fence == settlement.fence:
                del inside[settlement.id]
                taken[call.claim.executor] -= 1
                claim = call.claim
            elif (foreign := self._foreign.pop(settlement[:2], None)) is not None:
                claim = foreign
            else:
                continue
            if settlement.id not in stale:
                ended.append((claim, settlement))
        starting: list[Call] = []
        early: list[Call] = []
        now = self._clock.micros() if claims else 0
        for claim in claims:
            call = self._attempts.call(claim, self.done)
            taken[claim.executor] = taken.get(claim.executor, 0) + 1
            if call is None:
                self._give_back_unknown(claim)
                continue
            inside[claim.id] = call
            (starting if claim.due_at <= now else early).append(call)
        if starting:
            self._begin(starting)
        if early:
            self._punctual.hold(early)
        if stale:
            self.stale_count += len(stale)
            _log.warning("%d results came too late and were dropped: %s", len(stale), sorted(stale))
        if settled:
            for settlement in settled:
                if settlement.due_at is not None and settlement.id not in stale:
                    self._on_due(settlement.due_at)
            self._on_ended(ended)
            self._on_settled([s for s in settled if s.id not in stale] if stale else settled)
            if not inside:
                with self._idle:
                    self._idle.notify_all()

    def _begin(self, calls: Sequence[Call]) -> None:
        batches: dict[str, list[Call]] = {}
        for call in calls:
            batches.setdefault(call.claim.executor, []).append(call)
        for kind, batch in batches.items():
            self._executors[kind].submit(batch)

    def _give_back_unknown(self, claim: Claim) -> None:
        # Not a failure: another worker on this store may know the task.
        self._taken[claim.executor] -= 1
        self._unknown[claim.task] = self._clock.monotonic()
        self._ended.append(
            self._attempts.settle_claim(
                claim, None, GivenBack(f"worker {self.worker_id} does not know the task"), None
            )
        )
        _log.warning("task %r is not registered here: its runs are left to others", claim.task)
        self.wake()

    def forget_unknown(self) -> None:
        """Look again at tasks that were unknown, as they may be registered by now."""
        self._unknown.clear()

    # --- what ended --------------------------------------------------------------------

    def done(self, call: Call, outcome: Outcome) -> None:
        """Take an outcome, from any thread; each call ends once."""
        claim = call.claim
        if self._inside.get(claim.id) is not call:
            return
        reason = self._cancels.pop(claim.id, None) if self._cancels else None
        if self._abandoned is not None and reason is None and isinstance(outcome, Cancelled):
            outcome = self._abandoned
        self._ended.append(self._attempts.settle(call, outcome, reason))
        if not self._signalled and not self._queue.rides_along():
            self._signalled = True
            self._wake.set()

    def settle_foreign(self, rescued: Iterable[tuple[Claim, Settlement]]) -> None:
        """Settle runs of workers that are gone; the fence they held decides."""
        settlements = []
        for claim, settlement in rescued:
            self._foreign[settlement.id, settlement.fence] = claim
            settlements.append(settlement)
        if settlements:
            self._rescued = True
            self._ended.extend(settlements)
            self.wake()

    def cancel(self, run_id: str, fence: int | None, reason: str) -> bool:
        """Ask a run that is inside to end; returns whether it is."""
        call = self._inside.get(run_id)
        if call is None or (fence is not None and call.claim.fence != fence):
            return False
        if run_id not in self._cancels:
            self._cancels[run_id] = reason
            if self._punctual.drop(call):
                self.done(call, Cancelled(reason))
                return True
            self._executors[call.claim.executor].stop_call(call, reason)
        return True

    def abandon(self, reason: str) -> None:
        """Stop everything that is inside, because the lease ends: another may take it.

        What is stopped so is lost, not cancelled: it is due another attempt.
        """
        self._abandoned = Lost(describe_error(WorkerLost(self.worker_id, None, reason)))
        for call in self.calls:
            self._executors[call.claim.executor].stop_call(call, reason)

    # --- the exchange thread -------------------------------------------------------------

    def _exchange_until_stopped(self) -> None:
        queue, wake = self._queue, self._wake
        failures = 0
        while True:
            woken = wake.wait(self._patience())
            wake.clear()
            self._signalled = False
            try:
                if not woken and not self._something_new():
                    continue
                while queue.exchange():
                    failures = 0
                failures = self._store_answers()
                if self._stopping and not self._ended:
                    return
            except StoreError as problem:
                failures = self._store_fails(problem, failures)
                if self._stopping and failures > len(_BACKOFF_S):
                    return
            except Exception:
                _log.exception("the exchange failed; it will be tried again")
                wake.wait(_BACKOFF_S[-1])

    def _something_new(self) -> bool:
        """Whether the poll found a reason to look for runs."""
        now = self._clock.monotonic()
        if self._queue.changed():
            self._on_hint()
        elif self._ended and not self._stopping and self._queue.rides_along():
            return False
        elif now < self._next_look and not (self._ended or self._stopping):
            blocked_until = self._queue.blocked_until
            return blocked_until is not None and blocked_until <= self._clock.micros()
        self._next_look = now + _LOOK_S
        return True

    def _patience(self) -> float:
        patience = self._queue.poll_s
        if self._queue.blocked_until is not None:
            left = (self._queue.blocked_until - self._clock.micros()) / 1_000_000
            patience = min(patience, max(left, 0.001))
        return patience

    def _store_answers(self) -> int:
        if self.trouble is not None:
            _log.warning("the store answers again")
            self.trouble = None
        return 0

    def _store_fails(self, problem: StoreError, failures: int) -> int:
        if self.trouble is None:
            _log.error("%s; the worker waits and tries again", problem)
        self.trouble = problem
        self._clock_wait(_BACKOFF_S[min(failures, len(_BACKOFF_S) - 1)])
        self._signalled = False
        self.wake()
        return failures + 1

    def _clock_wait(self, seconds: float) -> None:
        self._wake.clear()
        self._wake.wait(seconds)
