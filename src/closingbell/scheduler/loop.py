"""The scheduler's loop: wait precisely, then carry plans out.

Any number of these loops may be alive on one store. No leader is needed: a firing
is one transaction under a unique key, and the loop that comes second changes
nothing. Waiting is done on a condition, not on an event loop, whose timers are
milliseconds coarse.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from closingbell.core.clock import Clock, to_micros
from closingbell.core.error import ClosingbellError, StoreError
from closingbell.core.port import Firing, Queue, Schedules
from closingbell.core.run import RunItem, RunTemplate
from closingbell.core.schedule import Schedule
from closingbell.scheduler.planner import Tick, jitter_of, plan

_log = logging.getLogger("closingbell.scheduler")


class Submission(Protocol):
    """Makes the run of a firing; supplied by the app, which knows tasks and payloads."""

    def __call__(
        self, schedule: Schedule, fire_at: datetime, due_at: datetime, gate: bool
    ) -> tuple[RunTemplate, RunItem]:
        """Return what to store for one firing."""
        ...


class SchedulerLoop:
    """Promotes due runs and fires due schedules, on a thread of its own."""

    def __init__(
        self,
        *,
        clock: Clock,
        queue: Queue,
        schedules: Schedules,
        read: Callable[[Mapping[str, Any]], Schedule | None],
        submission: Submission,
        on_idle_s: float = 5.0,
        every_idle: Callable[[], None] | None = None,
    ) -> None:
        """Make the loop; `start` runs it.

        Args:
            clock: the desk's time, and how to wait for it.
            queue: where due runs are promoted.
            schedules: where firings are stored.
            read: turns a stored row into a schedule; None for a task that is unknown here.
            submission: makes the run of a firing.
            on_idle_s: look at the store at least this often, in machine seconds.
            every_idle: called at each look, for dependencies that no instant announces.
        """
        self._clock = clock
        self._queue = queue
        self._schedules = schedules
        self._read = read
        self._submission = submission
        self._idle_us = round(on_idle_s * clock.speed * 1_000_000)
        self._every_idle = every_idle
        self._changed = threading.Condition()
        self._until: int | None = 0
        self._look = True
        self._stopped = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin."""
        self._thread = threading.Thread(
            target=self._run, name="closingbell-scheduler", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """End after the step in hand, and wait for it."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(timeout=10)

    def wake(self) -> None:
        """Say that schedules or due times changed; from any thread."""
        with self._changed:
            self._look = True
            self._changed.notify_all()

    def due(self, at: int) -> None:
        """Say that something falls due at `at` (desk microseconds); from any thread."""
        if self._until is None or at < self._until:
            self.wake()

    def _run(self) -> None:
        pause_s = 0.0
        while not self._stopped:
            try:
                self._until = self.step()
                pause_s = 0.0
            except StoreError as problem:
                pause_s = min(max(pause_s * 2, 0.05), 2.0)
                _log.debug("the scheduler waits for the store: %s", problem)
            except Exception:
                pause_s = 1.0
                _log.exception("the scheduler's step failed; it will be tried again")
            with self._changed:
                if pause_s:
                    self._changed.wait(pause_s)
                elif not self._look and not self._stopped:
                    self._clock.wait(self._changed, self._until)
                self._look = False

    def step(self) -> int:
        """Do all that is due now; return when to look again, in desk microseconds."""
        now = self._clock.micros()
        due = self._queue.next_due()
        if due is not None and due <= now:
            while self._queue.promote(now) and not self._stopped:
                pass
        while rows := self._schedules.due(now):
            if not any([self.fire(row) for row in rows]) or self._stopped:
                break
        if self._every_idle is not None:
            self._every_idle()
        instants = (self._queue.next_due(), self._schedules.next_due(now))
        ahead = [at for at in instants if at is not None and at > now]
        return min([now + self._idle_us, *ahead])

    def fire(self, row: Mapping[str, Any]) -> bool:
        """Plan and store the due firings of one schedule; return whether it moved."""
        try:
            schedule = self._read(row)
        except ClosingbellError as problem:
            _log.error("schedule %r cannot be read: %s", row["id"], problem)
            return False
        if schedule is None or schedule.next_fire_at is None:
            return False
        now = self._clock.now()
        active = self._schedules.active_runs(schedule.id)
        planned = plan(schedule.trigger, schedule.policy, schedule.next_fire_at, now, active)
        ticks = [self._firing(schedule, tick) for tick in planned.ticks]
        following = None if planned.next_fire_at is None else to_micros(planned.next_fire_at)
        made = self._schedules.fire(
            schedule.id, row["version"], ticks, following, to_micros(now)
        )
        if made is None:
            return False
        if made:
            self._promote_made(ticks)
        return True

    def _promote_made(self, ticks: Sequence[Firing]) -> None:
        now = self._clock.micros()
        if any(t.template is not None and t.template.due_at <= now for t in ticks):
            self._queue.exchange()

    def _firing(self, schedule: Schedule, tick: Tick) -> Firing:
        fire_at = to_micros(tick.fire_at)
        if not tick.runs:
            until = None if tick.until is None else to_micros(tick.until)
            return Firing(fire_at, "skipped", tick.reason, tick.count, until)
        due_at = tick.fire_at + jitter_of(schedule.id, tick.fire_at, schedule.policy.jitter)
        template, item = self._submission(schedule, tick.fire_at, due_at, tick.gate)
        return Firing(
            fire_at, "ran", template=template, item=item, cancel_other=tick.cancel_other
        )

