"""Dispatcher: firings, events and submissions become runs, and outcomes what follows them.

What it asks is live: the planner has said what a firing does, `decide` says what an outcome
means, the store's own claims say what may start under limits, and `ready_at` when a task
that waits for others is due.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from closingbell.core.clock import from_micros, to_micros
from closingbell.core.error import ClosingbellError, DefinitionError, PayloadError
from closingbell.core.ledger import Fact
from closingbell.core.outcome import Outcome, Returned, TimedOut
from closingbell.core.run import RunItem, RunTemplate, Settlement
from closingbell.scheduler.dependency import ready_at
from closingbell.simulation.attempt import Attempt
from closingbell.simulation.door import Door
from closingbell.simulation.lanes import Lanes
from closingbell.simulation.lineup import Dependent, TaskState
from closingbell.simulation.moment import Moment
from closingbell.simulation.record import Record, merged
from closingbell.simulation.run import SimulatedRun
from closingbell.simulation.stage import Stage
from closingbell.simulation.timeline import Timeline
from closingbell.simulation.timetable import Timetable

#: Before the id of the schedule that stands for a task's `after=`.
DEPENDENCY = "after:"
_CUT_OFF = "the backtest ended before it did"


class Dispatcher:
    """Makes runs, has them performed, and settles them.

    Attributes:
        open_runs: runs that wait, sleep or will be tried again, by id.
    """

    def __init__(
        self,
        timeline: Timeline,
        record: Record,
        door: Door,
    ) -> None:
        self.open_runs: dict[str, SimulatedRun] = {}
        self.states: dict[str, TaskState] = {}
        self._timeline = timeline
        self._clock = timeline.clock
        self._record = record
        self._note = record.spool.add
        self._door = door
        self._lanes = Lanes()
        self._look_at: int | None = None
        self._keys: dict[tuple[str, str], str] = {}
        self.stage: Stage

    def register(self, states: Sequence[TaskState]) -> None:
        """Take in the tasks, and see who waits for whom."""
        self.states = {state.name: state for state in states}
        for state in states:
            dependent = Dependent(state)
            for name in state.definition.after:
                if name in self.states:
                    self.states[name].dependents[state.name] = dependent

    # --- what makes runs ---------------------------------------------------------------

    def fired(
        self,
        timetable: Timetable,
        at: int,
        fire_at: datetime,
        reason: str | None,
        cancel_other: bool,
    ) -> None:
        """Carry out a firing; see `Timetable`."""
        self._record.events.firings += 1
        state = timetable.state
        if reason is not None:
            self._record.skipped(at, state.name, timetable.id, reason, state.count)
            return
        run_id = state.next_id()
        if cancel_other:
            self._cancel_others(timetable, run_id)
        run = timetable.run_of(at, fire_at, run_id, state.number)
        timetable.active[run_id] = run
        self._open(run)

    def unplanned(self, timetable: Timetable, problem: Exception) -> None:
        """Note that a schedule cannot be planned."""
        self._record.note(
            f"schedule {timetable.id!r} fires no more, it cannot be planned: "
            f"{type(problem).__name__}: {problem}"
        )

    def enqueue(self, template: RunTemplate, item: RunItem, event_type: str | None = None) -> str:
        """Take in a run; return its id, or that of the run that has its key already.

        Args:
            template: what it shares with others.
            item: what it has for itself.
            event_type: of the event that starts it, if one does.
        """
        state = self.states.get(template.task)
        if state is None:
            # A task that was left out of this backtest.
            self._record.note(f"runs of {template.task!r} were asked for, which does not take part")
            return ""
        if template.key is not None:
            known = self._keys.get((state.name, template.key))
            if known is not None:
                return known
        run = SimulatedRun(
            state.next_id(), state.number, state, template, item, event_type=event_type
        )
        if template.key is not None:
            self._keys[state.name, template.key] = run.id
        self._open(run)
        return run.id

    def emit(self, event_type: str, data: Mapping[str, Any]) -> list[str]:
        """Let an event start what listens to it; return the runs' ids."""
        started = self._door.started_by(event_type, data)
        return [run_id for run_id in (self.enqueue(*one, event_type) for one in started) if run_id]

    def take_facts(self, facts: Sequence[Fact]) -> None:
        """Count the ledger's facts, and let them start what listens to them."""
        for fact in facts:
            self._record.events.facts += 1
            self._record.facts[fact.type] = self._record.facts.get(fact.type, 0) + 1
            try:
                self.emit(fact.type, fact.data)
            except ClosingbellError as problem:
                # As live: what is true stays true, whatever it cannot start.
                self._record.note(f"an event {fact.type!r} could not start its tasks: {problem}")

    def opened(self, attempt: Attempt) -> None:
        """Note the run of an attempt that has begun, and before whose end others have their turn."""
        run = self._run_of(attempt)
        self.open_runs[run.id] = run
        if run.timetable is not None:
            run.timetable.active[run.id] = run

    def _run_of(self, attempt: Attempt) -> SimulatedRun:
        if attempt.run is not None:
            return attempt.run
        # A plain firing's: those that simply return are counted at the end.
        self._record.events.firings += 1
        self._record.events.runs += 1
        return SimulatedRun.of(attempt)

    def _open(self, run: SimulatedRun) -> None:
        self.open_runs[run.id] = run
        self._add(run, run.due_at)

    def _add(self, run: SimulatedRun, at: int) -> None:
        self._timeline.add_task(
            at, lambda _moment: self._due(run), run.priority, run.state.name, run.id
        )

    # --- performing --------------------------------------------------------------------

    def _due(self, run: SimulatedRun) -> None:
        if run.status == "admitted":
            self._begin(run)
        if run.status != "scheduled":
            return
        self._record.events.wakeups += 1
        if run.lane is None:
            self._begin(run)
            return
        run.status = "pending"
        self._lanes.wait(run)
        if self._admit(run):
            self._begin(run)

    def _admit(self, wanted: SimulatedRun | None = None) -> bool:
        """Let those start that limits allow to; return whether `wanted` is to begin at once."""
        chosen, free_at = self._lanes.choose(self._clock.at)
        for run in chosen:
            run.status = "admitted"
            if run is not wanted:
                self._add(run, self._clock.at)
        if free_at is not None and (self._look_at is None or free_at < self._look_at):
            self._look_at = free_at
            self._timeline.add_task(free_at, self._look_again, 0, "", "")
        return wanted in chosen

    def _look_again(self, moment: Moment) -> None:
        if self._look_at == moment[0]:
            self._look_at = None
            self._admit()

    def _begin(self, run: SimulatedRun) -> None:
        attempt = Attempt(run.begin(self._clock.at), run.state, run.number, run.timetable)
        attempt.run = run
        self._record.events.runs += 1
        self.stage.perform(attempt)

    # --- settling ----------------------------------------------------------------------

    def returned(self, attempt: Attempt, outcome: Returned) -> None:
        """Settle a plain firing that returned at once: `decide` says "success", and no more."""
        state, claim, now = attempt.state, attempt.claim, self._clock.at
        state.plain_successes += 1
        state.latest = (now, claim.id, outcome.result)
        self._note((now, state.name, claim.schedule_id, attempt.number, "success", None, 1, 0))
        if attempt.logs:
            self._record.kept(attempt, None, merged(attempt.logs), now)
        if state.dependents:
            self._fire_dependents(state)

    def ended(self, attempt: Attempt, outcome: Outcome) -> None:
        """Settle an attempt's run."""
        run = self._run_of(attempt)
        state, now = attempt.state, self._clock.at
        state.catch_up()
        logs = merged(attempt.logs) if attempt.logs else ()
        settlement = state.attempts.settle_claim(
            attempt.claim, state.definition, outcome, run.cancel_reason, logs
        )
        state.count.attempts += 1
        if isinstance(outcome, TimedOut):
            state.count.timed_out += 1
        if settlement.error is not None:
            state.count.last_error = error_line(settlement)
        self._record.kept(attempt, settlement, logs, now)
        if settlement.alert is not None:
            self._record.settlement_alert(now, settlement.alert, attempt)
        run.lost_count += settlement.lost
        run.attempt = settlement.attempt
        if settlement.state in ("scheduled", "pending"):
            run.status = "scheduled"
            run.due_at = now if settlement.due_at is None else settlement.due_at
            self.open_runs[run.id] = run
            if run.timetable is not None:
                run.timetable.active[run.id] = run
            self._add(run, run.due_at)
        else:
            ran_at = attempt.claim.started_at
            self._end(run, settlement.state, settlement.reason, error_line(settlement), ran_at)
            if settlement.state == "success":
                state.last_success, state.last_success_id = now, run.id
                state.last_result = settlement.result
        if run.lane is not None:
            self._lanes.leave(run.lane)
            if self._lanes.anybody_waits:
                self._admit()
        if settlement.state == "success" and state.dependents:
            self._fire_dependents(state)

    def _end(
        self,
        run: SimulatedRun,
        status: str,
        reason: str | None,
        error: str | None = None,
        ran_at: int | None = None,
    ) -> None:
        run.status = status
        self.open_runs.pop(run.id, None)
        if run.timetable is not None:
            run.timetable.active.pop(run.id, None)
        state, now = run.state, self._clock.at
        state.catch_up()
        state.last_run_at = now if ran_at is None else ran_at
        state.last_status = status
        state.last_error = error if status == "failed" else None
        self._record.ended(run, status, reason, now)

    def _cancel_others(self, timetable: Timetable, run_id: str) -> None:
        reason = f"replaced by run {run_id} (overlap: cancel_other)"
        for run in list(timetable.active.values()):
            attempt = self.stage.held.get(run.id)
            if attempt is None:
                self._lanes.forget(run)
                if run.status == "admitted" and run.lane is not None:
                    self._lanes.leave(run.lane)
                self._end(run, "cancelled", reason)
            elif run.cancel_reason is None:
                run.cancel_reason = reason
                self.stage.cancel(attempt, reason)

    def _fire_dependents(self, state: TaskState) -> None:
        now = self._clock.now()
        for dependent in state.dependents.values():
            task = dependent.state.definition
            successes = {
                name: self.states[name].success if name in self.states else None
                for name in task.after
            }
            last = dependent.last_fire_at
            instant = ready_at(task, successes, None if last is None else from_micros(last), now)
            if instant is None:
                continue
            self._record.events.firings += 1
            dependent.last_fire_at = to_micros(instant)
            schedule_id = DEPENDENCY + task.name
            try:
                run = self._door.dependent(task, schedule_id, instant)
            except (PayloadError, DefinitionError) as problem:
                reason = f"refused: {problem}"
                self._record.skipped(
                    dependent.last_fire_at, task.name, schedule_id, reason, dependent.state.count
                )
            else:
                self.enqueue(*run)

    # --- the end, and questions ----------------------------------------------------------

    def cut_off(self) -> None:
        """Note the runs that the window's end cut off."""
        for run in list(self.open_runs.values()):
            status = "pending" if run.status == "admitted" else run.status
            self._record.ended(run, status, _CUT_OFF, self._clock.at)
        self.open_runs.clear()

    def task_status(self) -> dict[str, dict[str, Any]]:
        """Return how each task stands, in the words of `App.get_task_status`."""
        running = self.stage.running()
        for state in self.states.values():
            state.catch_up()
        return {
            state.name: {
                "last_run": _instant(state.last_run_at),
                "last_status": state.last_status,
                "last_error": state.last_error,
                "last_success": _instant(state.last_success),
                "next_run": _instant(state.next_run_at),
                "running": running.get(state.name, 0),
            }
            for state in self.states.values()
        }

    def last_result(self, task: str) -> Any:
        """Return what a task's latest successful run returned, as JSON values."""
        state = self.states.get(task)
        if state is None:
            return None
        state.catch_up()
        if state.last_result is None:
            return None
        import msgspec

        return msgspec.json.decode(state.last_result)


def error_line(settlement: Settlement) -> str | None:
    """Return a settlement's error as "Type: message", or None."""
    if settlement.error is None:
        return None
    import msgspec

    error = msgspec.json.decode(settlement.error)
    return f"{error.get('type', 'Error')}: {error.get('message', '')}"


def _instant(micros: int | None) -> datetime | None:
    return None if micros is None else from_micros(micros)
