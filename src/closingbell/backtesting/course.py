"""Course: one backtest of an app, from what was asked to its report."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from closingbell.backtesting.door import SimulatedDoor
from closingbell.backtesting.stand_in import SimulationStandIn
from closingbell.backtesting.still import still_source
from closingbell.backtesting.window import Moment, read_window
from closingbell.core.amount import positive
from closingbell.core.bar import BarSource, SessionHours, timeframe_seconds
from closingbell.core.call import Call
from closingbell.core.clock import SystemClock, from_micros
from closingbell.core.error import BacktestError, MarketDataError, near_name
from closingbell.core.schedule import Schedule
from closingbell.core.stand_in import current_stand_in
from closingbell.core.task import TaskDefinition
from closingbell.core.zone import require_zone
from closingbell.desk_setup import matching_broker
from closingbell.session_hours import session_hours
from closingbell.simulation.benchmark import Benchmark, buy_and_hold
from closingbell.simulation.provenance import describe_data
from closingbell.simulation.report import Report, report_of
from closingbell.simulation.result import SimulationResult
from closingbell.simulation.simulation import Simulation, SimulationTerms
from closingbell.task import Task, task_name
from closingbell.trading.algorithm import Algorithm
from closingbell.trading.desk import Desk
from closingbell.trading.market.demo import DEMO_VENUE, demo_bars
from closingbell.trading.market.overlay import OverlayBars
from closingbell.trading.market.reader import MarketReader
from closingbell.trading.memory_ledger import MemoryLedger
from closingbell.trading.terms import MAIN, AccountTerms

if TYPE_CHECKING:
    from closingbell.app import App
    from closingbell.simulation.clock import SimulationClock

#: The calendar of markets that never close, as pairs of currencies have it.
_ALWAYS = "24/7"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a caller of `App.backtest` asks for; see there."""

    start: Moment = None
    end: Moment = None
    data: Any = None
    cash: Any = None
    symbols: str | Iterable[str] | None = None
    timeframe: str | None = None
    tasks: Iterable[Any] | None = None
    seed: int = 0
    freeze: bool = False
    name: str | None = None
    store: bool = True
    progress: Callable[[int], None] | None = None
    fee: Any = None
    slippage: Any = None
    fill: str | None = None
    volume_share: Any = None


class Course:
    """One backtest, set up step by step; each step refuses what cannot be run."""

    def __init__(self, app: App, asked: Asked) -> None:
        self._app = app
        self._asked = asked
        self._timezone = app.settings.timezone
        if isinstance(asked.seed, bool) or not isinstance(asked.seed, int):
            raise BacktestError("seed", repr(asked.seed), "a whole number")
        if asked.freeze and app.is_running:
            raise BacktestError(
                "freeze", True, "an app that is not running here: its own clock would stand, too"
            )
        self._tasks = self._chosen_tasks()
        declared = self._declared_accounts()
        self._source = self._read_source(declared)
        self._symbols = self._chosen_symbols()
        self._accounts = self._simulated_accounts(declared)
        self._start, self._end = self._window()

    def run(self) -> Report:
        """Run it, and return its report, stored if that was asked for."""
        began = SystemClock().micros()
        result, desk = self._simulate()
        report = report_of(result, name=self._asked.name, benchmarks=self._benchmarks(result, desk))
        if self._asked.store:
            record = report.record(began, SystemClock().micros())
            report.id = self._app.store.backtests.put(record, report.pages())
        return report

    # --- what takes part -----------------------------------------------------------------

    def _chosen_tasks(self) -> list[TaskDefinition]:
        registered = self._app.registry.list_tasks()
        if self._asked.tasks is None:
            return list(registered.values())
        given = [self._asked.tasks] if isinstance(self._asked.tasks, str) else self._asked.tasks
        wanted = [self._name_of(task) for task in given]
        for name in wanted:
            if name not in registered:
                near = near_name(name, registered)
                hint = f"did you mean {near!r}?" if near else f"some of {', '.join(registered)}"
                raise BacktestError("tasks", repr(name), f"names of registered tasks: {hint}")
        return [task for name, task in registered.items() if name in set(wanted)]

    def _name_of(self, given: Any) -> str:
        if isinstance(given, str):
            return given
        if isinstance(given, Task):
            return task_name(given)
        name = getattr(given, "closingbell_task", None)
        return name if isinstance(name, str) else repr(given)

    def _schedules(self) -> list[Schedule]:
        names = {task.name for task in self._tasks}
        return [s for s in self._app.declared_schedules.values() if s.task in names]

    def _declared_accounts(self) -> list[AccountTerms]:
        return list(self._app.accounts.values())

    def _read_source(self, declared: Sequence[AccountTerms]) -> BarSource:
        data = self._asked.data
        if data is None:
            below = None
            if self._app.settings.data is None:
                below = demo_bars(session_hours(DEMO_VENUE))
            return still_source(self._app.market_data, below)
        from closingbell.trading.market.load import load_data

        main = _main(declared)
        timeframe = self._asked.timeframe or (main.timeframe if main else "1d")
        hours: SessionHours | None = None
        if main is None or main.calendar != _ALWAYS:
            hours = session_hours(main.calendar if main else "XNYS")
        try:
            return load_data(
                data, timeframe=timeframe, hours=hours, timezone=require_zone(self._timezone)
            )
        except MarketDataError as problem:
            if self._asked.timeframe is not None:
                raise
            advice = f"{problem.expected}; or, if these are no bars of {timeframe}, name timeframe="
            raise MarketDataError(problem.symbol, problem.problem, advice, problem.row) from problem

    def _chosen_symbols(self) -> tuple[str, ...] | None:
        asked = self._asked.symbols
        if asked is None:
            return None
        wanted = [asked] if isinstance(asked, str) else list(asked)
        known = self._source.symbols()
        if not wanted:
            raise BacktestError("symbols", "empty", f"some of {', '.join(known)}, or None for all")
        for symbol in wanted:
            if symbol not in known:
                near = near_name(str(symbol), known)
                hint = f"did you mean {near!r}?" if near else f"some of {', '.join(known)}"
                raise BacktestError("symbols", repr(symbol), f"symbols that have bars: {hint}")
        return tuple(sorted(set(wanted)))

    def _simulated_accounts(self, declared: Sequence[AccountTerms]) -> list[AccountTerms]:
        """Return the accounts as they are in the simulation: the app's, or one after the data."""
        asked = self._asked
        accounts = list(declared) or [self._account_of_data()]
        changes: dict[str, Any] = {"broker": "simulated"}
        if asked.timeframe is not None:
            try:
                timeframe_seconds(asked.timeframe)
            except MarketDataError as problem:
                expected = problem.expected.removeprefix("expected ")
                raise BacktestError("timeframe", repr(asked.timeframe), expected) from None
            changes["timeframe"] = asked.timeframe
        accounts = [dataclasses.replace(terms, **changes) for terms in accounts]
        if asked.cash is not None:
            main = _main(accounts) or accounts[0]
            cash = _cash(asked.cash)
            accounts = [
                dataclasses.replace(terms, cash=cash) if terms is main else terms
                for terms in accounts
            ]
        return accounts

    def _account_of_data(self) -> AccountTerms:
        """Return the account of an app that declares none: it suits pairs, where all are pairs."""
        symbols = self._symbols or tuple(self._source.symbols())
        quoted = {symbol.partition("/")[2] for symbol in symbols}
        if symbols and "" not in quoted:
            currency = quoted.pop() if len(quoted) == 1 else "USD"
            return AccountTerms(calendar=_ALWAYS, currency=currency)
        return AccountTerms()

    def _window(self) -> tuple[int, int]:
        main = _main(self._accounts) or self._accounts[0]
        asked = self._asked
        start, end = read_window(
            asked.start, asked.end, self._timezone, self._source, main.timeframe
        )
        for symbol in self._symbols or ():
            if not self._has_bars(main.timeframe, start, end, [symbol]):
                raise BacktestError(
                    "symbols",
                    repr(symbol),
                    f"symbols with bars of timeframe {main.timeframe!r} in the window",
                )
        for terms in self._accounts:
            if not self._has_bars(terms.timeframe, start, end, self._symbols):
                raise BacktestError(
                    f"the window of account {terms.name!r}",
                    f"{from_micros(start)} to {from_micros(end)}",
                    f"one in which bars of timeframe {terms.timeframe!r} begin",
                )
        return start, end

    def _has_bars(
        self, timeframe: str, start: int, end: int, symbols: Iterable[str] | None
    ) -> bool:
        return next(iter(self._source.slices(timeframe, start, end, symbols)), None) is not None

    # --- running it ----------------------------------------------------------------------

    def _simulate(self) -> tuple[SimulationResult, Desk]:
        app, asked, settings = self._app, self._asked, self._app.settings
        doors: list[SimulatedDoor] = []

        def make_door(clock: SimulationClock) -> SimulatedDoor:
            names = {task.name for task in self._tasks}
            triggers = [t for t in app.declared_event_triggers.values() if t.task in names]
            doors.append(
                SimulatedDoor(
                    clock, app.registry, triggers, self._timezone, settings.payload_limit_bytes
                )
            )
            return doors[0]

        simulation = Simulation(
            SimulationTerms(
                start=self._start,
                end=self._end,
                timezone=self._timezone,
                seed=asked.seed,
                symbols=self._symbols,
                freeze=asked.freeze,
                log_limit=settings.log_limit_bytes,
                poison_after=settings.poison_after,
                long_execution_s=settings.long_execution_s,
                parameters=self._parameters(),
            ),
            make_door,
        )
        clock = simulation.clock
        ledger = MemoryLedger(on_facts=simulation.take_facts, holds=simulation.holds)
        desk = Desk(ledger=ledger, clock=clock, wanted=simulation.wants, keep_round_trips=True)
        for terms in self._accounts:
            broker = matching_broker(
                terms,
                fee=asked.fee,
                slippage=asked.slippage,
                fill=asked.fill,
                volume_share=asked.volume_share,
                seed=asked.seed,
            )
            desk.add(terms, broker)
        main = _main(self._accounts) or self._accounts[0]
        overlay = OverlayBars(
            self._source,
            clock,
            hours=None if main.calendar == _ALWAYS else session_hours(main.calendar),
            timeframe=main.timeframe,
            on_facts=simulation.take_facts,
        )
        services = SimulationStandIn(simulation, doors[0], ledger, overlay)
        market = MarketReader(overlay, clock.micros)
        zone = require_zone(self._timezone)

        def algorithm(call: Call) -> Algorithm:
            return Algorithm(
                desk=desk,
                market=market,
                call=call,
                clock=clock,
                zone=zone,
                services=services,
                account=call.task.account,
            )

        def inside() -> None:
            current_stand_in.set(services)

        result = simulation.run(
            tasks=self._tasks,
            schedules=self._schedules(),
            desk=desk,
            source=self._source,
            algorithm=algorithm,
            variables=inside,
            progress=asked.progress,
        )
        return result, desk

    def _parameters(self) -> dict[str, Any]:
        asked = self._asked
        main = _main(self._accounts) or self._accounts[0]
        name = "the app's market data" if asked.data is None else str(_named(asked.data))
        return {
            "data": describe_data(
                self._source, name, main.timeframe, self._start, self._end, self._symbols
            ),
            "symbols": None if self._symbols is None else list(self._symbols),
            "tasks": [task.name for task in self._tasks],
            "freeze": asked.freeze,
            "fee": _named(asked.fee),
            "slippage": _named(asked.slippage),
            "fill": asked.fill,
            "volume_share": _named(asked.volume_share),
        }

    def _benchmarks(self, result: SimulationResult, desk: Desk) -> dict[str, Benchmark]:
        symbols = self._symbols or tuple(self._source.symbols())
        curves: dict[str, Benchmark] = {}
        for name, account in result.accounts.items():
            terms = account.terms
            own = [s for s in symbols if s.partition("/")[2] in ("", terms.currency)]
            instants = [snapshot.at for snapshot in account.snapshots]
            if own and instants:
                curves[name] = buy_and_hold(
                    self._source, own, terms.timeframe, instants, Decimal(terms.cash)
                )
        return curves


def _main(accounts: Sequence[AccountTerms]) -> AccountTerms | None:
    return next((terms for terms in accounts if terms.name == MAIN), None)


def _cash(given: Any) -> Decimal:
    try:
        return positive(given, "cash")
    except ValueError as problem:
        raise BacktestError("cash", repr(given), "an amount above 0") from problem


def _named(given: Any) -> str | int | float | None:
    """Return how a parameter is written in a report: the same in every process."""
    if given is None or isinstance(given, (str, int, float)):
        return given
    if isinstance(given, Decimal):
        return str(given)
    if isinstance(given, os.PathLike):
        return str(given)
    return type(given).__name__
