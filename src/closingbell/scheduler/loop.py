"""The scheduler's loop: wait precisely, then carry plans out.

Any number of these loops may be alive on one store. No leader is needed: a firing
is one transaction under a unique key, and the loop that comes second changes
nothing. Waiting is done on a condition, not on an event loop, whose timers are
milliseconds coarse.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from itertools import chain
from typing import Any, Protocol

from closingbell.core.clock import Clock, from_micros, to_micros
from closingbell.core.error import ClosingbellError, DefinitionError, PayloadError, StoreError
from closingbell.core.port import Firing, LeftOut, Move, Queue, Schedules
from closingbell.core.run import RunItem, RunTemplate
from closingbell.core.schedule import Schedule
from closingbell.scheduler.planner import Tick, jitter_of, plan

_log = logging.getLogger("closingbell.scheduler")


class Submission(Protocol):
    """Makes the run of a firing; supplied by the app, which knows tasks and payloads."""

    def __call__(
        self, schedule: Schedule, fire_at: datetime, due_at: datetime, until: datetime, gate: bool
    ) -> tuple[RunTemplate, RunItem]:
        """Return what to store for one firing; what is due by `until` is pending at once."""
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
        fires: bool = True,
        on_idle_s: float = 1.0,
        lead_s: float = 0.025,
        every_idle: Callable[[], None] | None = None,
        on_fired: Callable[[Iterable[str]], None] | None = None,
    ) -> None:
        """Make the loop; `start` runs it.

        Args:
            clock: the desk's time, and how to wait for it.
            queue: where due runs are promoted.
            schedules: where firings are stored.
            read: turns a stored row into a schedule; None for a task that is unknown here.
            submission: makes the run of a firing.
            fires: whether to fire schedules; a worker alone only promotes what is due, so
                that its retries and delayed runs come without a scheduler.
            on_idle_s: look at the store at least this often, in machine seconds.
            lead_s: work ahead by this much, in machine seconds, so that a run starts on
                its instant and not a commit later.
            every_idle: called at each look, for dependencies that no instant announces.
            on_fired: told, after the commit, of the runs that were made of what was planned.
        """
        self._clock = clock
        self._queue = queue
        self._schedules = schedules
        self._read = read
        self._submission = submission
        self._fires = fires
        self._idle_s = on_idle_s
        self._idle_us = round(on_idle_s * clock.speed * 1_000_000)
        self._lead_us = round(lead_s * clock.speed * 1_000_000)
        self._every_idle = every_idle
        self._on_fired = on_fired
        self._left_out = LeftOut()
        self._left_out_until = 0.0
        self._changed = threading.Condition()
        self._until: int | None = 0
        self._look = True
        self._stopped = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin."""
        self._thread = threading.Thread(target=self._run, name="closingbell-scheduler", daemon=True)
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether it was started and goes on."""
        return self._thread is not None and self._thread.is_alive()

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
            # What falls due while the step looks must not be measured by the last one's answer.
            self._until = None
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

    def step(self) -> int | None:
        """Do all that is due, and what will be in a moment.

        Returns:
            When to look again, in desk microseconds; None = when woken.
        """
        now = self._clock.micros()
        horizon = now + self._lead_us
        due = self._queue.next_due()
        if due is not None and due <= horizon:
            while self._queue.promote(horizon) and not self._stopped:
                pass
        instants = [self._fire_due(now, horizon)] if self._fires else []
        instants.append(self._queue.next_due())
        ahead = [max(at - self._lead_us, now + 1) for at in instants if at is not None]
        if self._idle_us:
            ahead.append(now + self._idle_us)
        return min(ahead, default=None)

    def _fire_due(self, now: int, horizon: int) -> int | None:
        """Fire what is due by `horizon`; return when the next schedule fires."""
        self._look_at_all_again()
        while rows := self._schedules.due(now, horizon, without=self._left_out):
            before = self._left_out
            moved = self.fire(rows, from_micros(horizon))
            if self._stopped or not (moved or self._left_out != before):
                break
        if self._every_idle is not None:
            self._every_idle()
        return self._schedules.next_due(now, self._left_out)

    def fire(self, rows: Sequence[Mapping[str, Any]], until: datetime) -> bool:
        """Plan and store the firings of schedules up to `until`; return whether any moved."""
        schedules = [(schedule, row) for row in rows if (schedule := self._known(row)) is not None]
        active = self._schedules.active_runs([schedule.id for schedule, _ in schedules])
        moves: list[Move] = []
        for schedule, row in schedules:
            fire_at = schedule.next_fire_at
            if fire_at is None:
                continue
            try:
                waiting = active.get(schedule.id, ())
                move = self._plan(schedule, fire_at, row["version"], until, waiting)
            except StoreError:
                raise
            except Exception:
                # One schedule that cannot be planned must not hold up all others.
                _log.exception("schedule %r cannot be planned", schedule.id)
                self._leave_out(schedule_id=schedule.id)
            else:
                moves.append(move)
        if not moves:
            return False
        made = self._schedules.fire_all(moves, self._clock.micros())
        if self._on_fired is not None:
            self._on_fired(chain.from_iterable(made.values()))
        if any(made.values()):
            self._queue.exchange()
        return bool(made)

    def _plan(
        self,
        schedule: Schedule,
        fire_at: datetime,
        version: int,
        until: datetime,
        active: Sequence[tuple[str, str]],
    ) -> Move:
        planned = plan(schedule.trigger, schedule.policy, fire_at, until, active)
        following = None if planned.next_fire_at is None else to_micros(planned.next_fire_at)
        ticks = [self._firing(schedule, tick, until) for tick in planned.ticks]
        return Move(schedule.id, version, ticks, following)

    def _known(self, row: Mapping[str, Any]) -> Schedule | None:
        try:
            schedule = self._read(row)
        except ClosingbellError as problem:
            _log.error("schedule %r cannot be read: %s", row["id"], problem)
            self._leave_out(schedule_id=row["id"])
            return None
        if schedule is None:
            self._leave_out(task=row["task"])
        return schedule

    def _leave_out(self, *, task: str | None = None, schedule_id: str | None = None) -> None:
        """Do not look at these again for a while: what cannot fire here stays due for ever."""
        tasks, ids = self._left_out
        self._left_out = LeftOut(
            tasks if task is None else tasks | {task},
            ids if schedule_id is None else ids | {schedule_id},
        )

    def _look_at_all_again(self) -> None:
        now = self._clock.monotonic()
        if now >= self._left_out_until:
            self._left_out = LeftOut()
            self._left_out_until = now + self._idle_s

    def _firing(self, schedule: Schedule, tick: Tick, until: datetime) -> Firing:
        fire_at = to_micros(tick.fire_at)
        if not tick.runs:
            last = None if tick.until is None else to_micros(tick.until)
            return Firing(fire_at, "skipped", tick.reason, tick.instants, last)
        due_at = tick.fire_at + jitter_of(schedule.id, tick.fire_at, schedule.policy.jitter)
        try:
            template, item = self._submission(schedule, tick.fire_at, due_at, until, tick.gate)
        except (PayloadError, DefinitionError) as problem:
            # The task has changed since the schedule was made.
            _log.error("schedule %r makes no run: %s", schedule.id, problem)
            return Firing(fire_at, "skipped", f"refused: {problem}")
        return Firing(fire_at, "ran", template=template, item=item, cancel_other=tick.cancel_other)
