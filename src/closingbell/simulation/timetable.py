"""Timetable: one schedule on the simulated clock, fired by the live planner."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from heapq import heappush
from typing import TYPE_CHECKING

from closingbell.core.clock import from_micros, to_micros
from closingbell.core.error import DefinitionError, PayloadError
from closingbell.core.run import Claim, RunItem, RunTemplate
from closingbell.core.schedule import Schedule
from closingbell.core.trigger import Trigger
from closingbell.scheduler.planner import jitter_of, plan, takes_turns
from closingbell.simulation.attempt import Attempt
from closingbell.simulation.door import Door
from closingbell.simulation.moment import TASKS, Moment
from closingbell.simulation.run import SimulatedRun
from closingbell.simulation.timeline import Timeline

if TYPE_CHECKING:
    from closingbell.simulation.lineup import TaskState

_MICROSECOND = timedelta(microseconds=1)
_new = tuple.__new__
Fired = Callable[["Timetable", int, datetime, str | None, bool], None]


class Remembered:
    """A trigger that remembers its last answer: rules are pure, and tasks share them.

    Attributes:
        answer: the last answer; micros: the same in microseconds.
        has_dates: whether it tells trading dates.
    """

    def __init__(self, trigger: Trigger) -> None:
        self._trigger = trigger
        self._asked: datetime | None = None
        self.answer: datetime | None = None
        self.micros = 0
        self._dated: tuple[datetime | None, str | None] = (None, None)
        self._session_date = getattr(trigger, "session_date", None)
        self.has_dates = self._session_date is not None
        self.explain = trigger.explain
        self.describe = trigger.describe
        self.to_dict = trigger.to_dict

    def next_after(self, instant: datetime) -> datetime | None:
        """Return the first firing after `instant`; None also where it lies beyond what is known."""
        if instant is not self._asked and instant != self._asked:
            answer = self._trigger.next_after(instant)
            self.micros = 0 if answer is None else to_micros(answer)
            self._asked, self.answer = instant, answer
        # All who asked go on with one and the same object.
        return self.answer

    def session_date(self, fire_at: datetime) -> str | None:
        """Return the trading date of a firing as ISO text, or None."""
        if self._session_date is not None and fire_at is not self._dated[0]:
            day = self._session_date(fire_at)
            self._dated = (fire_at, None if day is None else day.isoformat())
        return self._dated[1]


class Timetable:
    """A schedule and where it stands.

    Attributes:
        next_at: its next instant, in microseconds; None when it never fires again.
        active: its runs that have not ended, by id, the oldest first; a plain firing's run
            is not among them unless it sleeps.
    """

    def __init__(
        self,
        schedule: Schedule,
        state: TaskState,
        trigger: Remembered,
        timeline: Timeline,
        door: Door,
        fired: Fired,
        perform: Callable[[Attempt], None],
        failed: Callable[[Timetable, Exception], None],
    ) -> None:
        """Make a timetable; `begin` puts its first firing on the timeline.

        Args:
            schedule: the schedule.
            state: its task.
            trigger: its trigger, shared with others that are equal.
            timeline: where firings are put.
            door: makes its runs.
            fired: told of each instant: the timetable, the instant in microseconds, the
                same as a datetime, why it makes no run (None = it does), and whether earlier
                runs are cancelled.
            perform: runs the attempt of an instant whose run has to wait for nothing, which
                nobody is told of before it has ended.
            failed: told why it cannot be planned; it then fires no more.
        """
        self.id = schedule.id
        self.schedule = schedule
        self.state = state
        self.priority = state.priority if schedule.priority is None else schedule.priority
        self.active: dict[str, SimulatedRun] = {}
        self.next_at: int | None = None
        self._trigger = trigger
        self._policy = schedule.policy
        self._timeline = timeline
        self._door = door
        self._fired = fired
        self._perform = perform
        self._failed = failed
        self._next: datetime | None = None
        self._name = state.name
        self._has_dates = trigger.has_dates
        self._gate = takes_turns(schedule.policy)
        self._pattern: tuple[RunTemplate, RunItem] | None = None
        self._refusal: str | None = None
        self._is_plain = False
        self._payload = ""

    def begin(self, start: int) -> None:
        """Find the first firing from `start` on, as the agenda of a live app does."""
        after, policy = from_micros(start) - _MICROSECOND, self._policy
        if policy.start is not None and policy.start > after:
            after = policy.start - _MICROSECOND
        try:
            first = self._trigger.next_after(after)
        except Exception as problem:
            self._failed(self, problem)
            return
        if first is None or (policy.end is not None and first > policy.end):
            return
        try:
            template, item = self._door.firing(self.schedule, first, self._gate)
        except (PayloadError, DefinitionError) as problem:
            self._refusal = f"refused: {problem}"
        else:
            self._pattern = (template, item)
            self._is_plain = item.lane is None and not policy.jitter
            self._payload = item.payload
        self._put(first)

    def _put(self, following: datetime | None) -> None:
        self._next = following
        if following is None:
            self.next_at = None
            return
        trigger, timeline = self._trigger, self._timeline
        at = trigger.micros if following is trigger.answer else to_micros(following)
        self.next_at = at
        # Firings of the window's last instant belong to whatever follows it.
        if at < timeline.end:
            number = timeline.next_number()
            heappush(
                timeline.moments, (at, TASKS, self.priority, self._name, self.id, number, self.fire)
            )

    def fire(self, moment: Moment) -> None:
        """Carry out what the planner says of the instant that has come."""
        fire_at = self._next
        assert fire_at is not None  # noqa: S101
        active = [(run.id, run.status) for run in self.active.values()] if self.active else ()
        try:
            ticks, following = plan(self._trigger, self._policy, fire_at, fire_at, active)
        except Exception as problem:
            # As live: one schedule that cannot be planned must not hold up all others.
            self._next = self.next_at = None
            self._failed(self, problem)
            return
        self._put(following)
        tick = ticks[0]
        if self._is_plain and tick[1] and not tick[6]:
            at, state = moment[0], self.state
            state.number = number = state.number + 1
            # The same as Claim(...), without a frame of Python's own for each of a million runs.
            claim = _new(
                Claim,
                (
                    state.prefix + number.to_bytes(8, "big").hex(),
                    1,
                    self._name,
                    self._payload,
                    1,
                    state.max_attempts,
                    state.timeout_s,
                    at,
                    at,
                    self._trigger.session_date(fire_at) if self._has_dates else None,
                    self.id,
                    state.executor,
                    0,
                    None,
                    at,
                ),
            )
            self._perform(Attempt(claim, state, number, self))
            return
        reason = tick.reason if not tick.runs else self._refusal
        self._fired(self, moment[0], fire_at, reason, tick.cancel_other)

    def run_of(self, at: int, fire_at: datetime, run_id: str, number: int) -> SimulatedRun:
        """Return the run of a firing, which may have to wait."""
        assert self._pattern is not None  # noqa: S101
        template, item = self._pattern
        due_at = fire_at + jitter_of(self.id, fire_at, self._policy.jitter)
        template = template._replace(
            due_at=to_micros(due_at),
            fire_at=at,
            submitted_at=at,
            session_date=self._trigger.session_date(fire_at),
        )
        return SimulatedRun(run_id, number, self.state, template, item, self)
