"""Simulation: the tasks, schedules and accounts of an app on a simulated clock, over stored bars."""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from closingbell.core.bar import BarSource
from closingbell.core.call import Call
from closingbell.core.error import BacktestError
from closingbell.core.ledger import Fact, Holder
from closingbell.core.schedule import Schedule
from closingbell.core.task import TaskDefinition
from closingbell.executor.capture import Capture
from closingbell.simulation.clock import SimulationClock
from closingbell.simulation.dispatcher import Dispatcher
from closingbell.simulation.door import Door
from closingbell.simulation.firing import RunNumbers
from closingbell.simulation.freeze import Freeze
from closingbell.simulation.lineup import TaskState
from closingbell.simulation.loop import SimulationLoop
from closingbell.simulation.market import Market
from closingbell.simulation.output import SimulationCapture
from closingbell.simulation.processes import Processes
from closingbell.simulation.record import Record
from closingbell.simulation.result import AccountResult, SimulationResult
from closingbell.simulation.revocation import revoke
from closingbell.simulation.stage import Stage
from closingbell.simulation.timeline import Timeline
from closingbell.simulation.timetable import Remembered, Timetable
from closingbell.simulation.venue import Venue
from closingbell.trading.desk import Desk


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulationTerms:
    """What a simulation is to do.

    Attributes:
        start, end: the window, in microseconds. Schedules fire from `start` on and before
            `end`; bars take part that start in it; what closes at `end` itself still closes.
        timezone: the app's.
        seed: of run ids and of every chance.
        symbols: only bars of these; None = all that the source has.
        freeze: whether `datetime.now()` and `time.sleep()` of tasks are simulated, too.
        log_limit: characters of output that are kept of one attempt.
        poison_after, long_execution_s: as the app's settings.
        parameters: what the backtest was asked for, as JSON values; passed on to the result.
    """

    start: int
    end: int
    timezone: str = "UTC"
    seed: int = 0
    symbols: tuple[str, ...] | None = None
    freeze: bool = False
    log_limit: int = 65_536
    poison_after: int = 3
    long_execution_s: float = 300.0
    parameters: Mapping[str, Any] = field(default_factory=dict)


class Simulation:
    """One backtest; it runs once.

    The order within one instant: bars that end (fills, marks, facts), daily closes, tasks by
    (priority, name, id), snapshots, bars that start (corporate actions, fills, marks, facts),
    tasks that those started.

    Attributes:
        clock: simulated time; the desk and the algorithms live on it.
        record: notes of what happens.
        dispatcher: takes in runs and events.
    """

    def __init__(self, terms: SimulationTerms, door: Callable[[SimulationClock], Door]) -> None:
        """Set up a simulation without tasks, accounts and bars.

        Args:
            terms: what it is to do.
            door: makes the app's door on the simulated clock.

        Raises:
            BacktestError: the window ends before it begins, or time cannot be frozen.
        """
        if terms.end <= terms.start:
            raise BacktestError("the window", f"{terms.start} to {terms.end}", "an end after it")
        self.terms = terms
        self.record = Record(terms.seed)
        self.clock = SimulationClock(terms.start, self._sleep_until)
        self._timeline = Timeline(self.clock, terms.end)
        self._door = door(self.clock)
        self.dispatcher = Dispatcher(self._timeline, self.record, self._door)
        self._freeze = (
            Freeze(terms.start, terms.timezone, self.clock.sleep) if terms.freeze else None
        )
        self._capture = SimulationCapture(terms.log_limit, self.clock)
        self._processes = Processes(Capture(terms.log_limit, passthrough=False))
        if self._freeze is not None:
            self._timeline.advanced = self._freeze.advanced
        self._loop = SimulationLoop(self._timeline, self._wind_up, self._unwind)
        self._stage: Stage | None = None
        self._venues: list[Venue] = []
        self._market: Market | None = None
        self._desk: Desk | None = None

    # --- what the desk asks --------------------------------------------------------------

    def holds(self, holder: Holder) -> bool:
        """Whether an attempt still holds its run; for the ledger."""
        return self._stage is not None and self._stage.holds(holder)

    def take_facts(self, facts: Sequence[Fact]) -> None:
        """Let the ledger's facts start what listens to them."""
        self.dispatcher.take_facts(facts)

    def wants(self, event_type: str) -> bool:
        """Whether anything listens to events of a type."""
        return self._door.wants(event_type)

    # --- running -------------------------------------------------------------------------

    def run(
        self,
        *,
        tasks: Iterable[TaskDefinition],
        schedules: Iterable[Schedule],
        desk: Desk,
        source: BarSource,
        algorithm: Callable[[Call], Any],
        variables: Callable[[], None] | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> SimulationResult:
        """Run it to its end.

        Args:
            tasks: those that take part.
            schedules: of these tasks.
            desk: with its accounts, on this simulation's clock and a ledger in memory.
            source: where bars come from.
            algorithm: makes what a call is given to trade with.
            variables: sets context variables that every task is to see.
            progress: told of the simulated instant several times in a machine second.

        Raises:
            BacktestError: an account's venue does not know the window.
        """
        began = self.clock.monotonic()
        definitions = list(tasks)
        context = contextvars.copy_context()
        if variables is not None:
            context.run(variables)
        stage = self._stage = Stage(
            self.clock,
            self._timeline,
            self._loop.baton,
            self._processes,
            self.dispatcher.ended,
            self.dispatcher.returned,
            self.dispatcher.opened,
            revoke,
            context,
        )
        self.dispatcher.stage = stage
        states = self._states(definitions, stage, algorithm)
        self._set_up(states, schedules, desk, source, stage)
        with ExitStack() as stack:
            stack.callback(self._processes.close)
            if self._freeze is not None:
                handlers = [task.handler for task in definitions]
                stack.enter_context(self._freeze.frozen(handlers))
            self._capture.install()
            stack.callback(self._capture.remove)
            self._loop.run(self._watch, progress)
            self._processes.close()
            self._count_hanging()
        return self._result(states, desk, self.clock.monotonic() - began)

    def _states(
        self,
        tasks: Sequence[TaskDefinition],
        stage: Stage,
        algorithm: Callable[[Call], Any],
    ) -> dict[str, TaskState]:
        numbers = RunNumbers(self.terms.seed)
        states = [
            TaskState(
                task,
                stage,
                seed=self.terms.seed,
                prefix=numbers.prefix(task.name),
                algorithm=algorithm,
                poison_after=self.terms.poison_after,
                long_execution_s=self.terms.long_execution_s,
            )
            for task in tasks
        ]
        self.dispatcher.register(states)
        return self.dispatcher.states

    def _set_up(
        self,
        states: Mapping[str, TaskState],
        schedules: Iterable[Schedule],
        desk: Desk,
        source: BarSource,
        stage: Stage,
    ) -> None:
        terms, timeline = self.terms, self._timeline
        self._desk = desk
        remembered: dict[Any, Remembered] = {}
        for schedule in schedules:
            trigger = remembered.setdefault(schedule.trigger, Remembered(schedule.trigger))
            state = states[schedule.task]
            timetable = Timetable(
                schedule,
                state,
                trigger,
                timeline,
                self._door,
                self.dispatcher.fired,
                stage.perform,
                self.dispatcher.unplanned,
            )
            state.timetables.append(timetable)
            timetable.begin(terms.start)
        accounts = [account.terms for account in desk.accounts.values()]
        venues: dict[str, list[str]] = {}
        for account in accounts:
            venues.setdefault(account.calendar, []).append(account.name)
        for calendar, names in sorted(venues.items()):
            venue = Venue(calendar, sorted(names), desk, timeline, terms.start)
            self._venues.append(venue)
            venue.begin()
        self._market = Market(
            desk,
            source,
            {account.timeframe for account in accounts},
            terms.start,
            terms.end,
            terms.symbols,
            timeline,
            self.record,
        )
        self._market.begin()
        desk.snapshot(terms.start)

    def _sleep_until(self, until: int) -> None:
        if self._stage is None:
            raise BacktestError("a sleep", "before the simulation began", "one inside a task")
        self._stage.sleep_until(until)

    def _watch(self) -> None:
        stage = self._stage
        if stage is None:
            return
        attempt = stage.overdue()
        if attempt is not None and stage.take_away(attempt):
            self.record.note(
                f"task {attempt.state.name!r} hung for longer than its timeout of "
                f"{attempt.claim.timeout_s:g} machine seconds and was left behind"
            )

    # --- the end -------------------------------------------------------------------------

    def _wind_up(self) -> None:
        """Close the books at the end of the window, in the loop's thread."""
        if self._desk is not None and self._market is not None:
            for venue in self._venues:
                moved = [
                    name
                    for name in venue.accounts
                    if self._market.moved_since(
                        self._desk.accounts[name].terms.timeframe, venue.closed_at
                    )
                ]
                if moved:
                    self._desk.snapshot(self.clock.at, moved)
        self.dispatcher.cut_off()

    def _unwind(self) -> None:
        if self._stage is not None:
            self._stage.unwind()

    def _count_hanging(self) -> None:
        hanging = self._loop.join()
        if hanging:
            self.record.note(f"{hanging} threads of tasks that hang were left behind")

    def _result(
        self, states: Mapping[str, TaskState], desk: Desk, machine_s: float
    ) -> SimulationResult:
        record, terms = self.record, self.terms
        if self._stage is not None:
            record.events.wakeups += self._stage.wakeups
        accounts: dict[str, AccountResult] = {}
        for name, account in sorted(desk.accounts.items()):
            entries = desk.ledger.entries(name)
            record.events.entries += len(entries)
            accounts[name] = AccountResult(
                terms=account.terms,
                entries=entries,
                orders=desk.ledger.orders(name),
                snapshots=desk.ledger.snapshots(name),
                round_trips=list(account.round_trips or ()),
                prices={symbol: price for symbol, (_, price) in sorted(account.prices.items())},
            )
        for state in states.values():
            record.events.firings += state.plain_successes
            record.events.runs += state.plain_successes
            state.count.runs += state.plain_successes
            state.count.success += state.plain_successes
            state.count.attempts += state.plain_successes
        return SimulationResult(
            start=terms.start,
            end=terms.end,
            seed=terms.seed,
            timezone=terms.timezone,
            parameters=terms.parameters,
            accounts=accounts,
            tasks={name: state.count for name, state in states.items()},
            firings=record.spool,
            alerts=record.alerts,
            alert_count=record.alert_count,
            failures=record.failures,
            output=list(record.output),
            facts=dict(sorted(record.facts.items())),
            not_done=dict(sorted(record.not_done.items())),
            notes=record.notes,
            events=record.events,
            machine_s=machine_s,
            task_machine_s={name: state.machine_s for name, state in states.items()},
        )
