"""App: the composition root, and the face that users call.

Longer than 400 lines because it is the one class whose methods users read; most
of the lines are what they read.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, Unpack, overload

from closingbell.core.clock import Clock, SystemClock
from closingbell.core.error import AppNotRunning, BacktestError, TaskDefinitionError
from closingbell.core.identity import RunIds
from closingbell.core.registry import TaskRegistry
from closingbell.core.run import Run, RunState
from closingbell.core.schedule import Schedule
from closingbell.core.stand_in import StandIn, current_stand_in
from closingbell.core.task import TaskDefinition
from closingbell.core.trigger import Trigger
from closingbell.declarations import Declarations
from closingbell.handle import RunHandle
from closingbell.monitor.notify.channels import Channels
from closingbell.settings import Settings, load_settings
from closingbell.task import (
    ScheduleOptions,
    Task,
    TaskOptions,
    define,
    define_task,
    task_name,
)

if TYPE_CHECKING:
    from closingbell.aio import AsyncApp
    from closingbell.centre.executor import TaskExecutor
    from closingbell.centre.monitor import TaskMonitor
    from closingbell.centre.retry_controller import RetryController
    from closingbell.centre.scheduler import TaskScheduler
    from closingbell.core.actor import Actor
    from closingbell.core.alert_rule import AlertRule
    from closingbell.core.approval import HeldRun, Standing
    from closingbell.core.event_trigger import EventTrigger
    from closingbell.desk_setup import BrokerOptions
    from closingbell.intake import Intake
    from closingbell.machinery import Machinery
    from closingbell.schedule_handle import ScheduleHandle
    from closingbell.simulation.report import Report
    from closingbell.store.audit import StoredAudit
    from closingbell.store.store import Store
    from closingbell.trading.broker.protocol import Broker
    from closingbell.trading.desk import Desk
    from closingbell.trading.market.catalogue import BarCatalogue
    from closingbell.trading.portfolio import Portfolio
    from closingbell.trading.terms import AccountTerms

_log = logging.getLogger("closingbell")
_F = TypeVar("_F", bound=Callable[..., Any])
_Face = TypeVar("_Face")

#: A task as callers may name it: its name, the Task object, or the decorated function.
TaskRef = str | Task | Callable[..., Any]


def create_app(
    database: str | Path | None = None,
    *,
    timezone: str | None = None,
    clock: Clock | None = None,
    settings_file: str | Path | None = None,
    **settings: Any,
) -> App:
    """Make an app. Nothing is opened or written before it is started or used.

    Args:
        database: None for one SQLite file, `closingbell.db`, in the working folder; a
            path to such a file; or an address, `sqlite:///...` or `postgresql://...`.
        timezone: the zone of times that name none; default UTC.
        clock: where time comes from; default the machine's.
        settings_file: default `closingbell.toml` in the working folder.
        settings: any field of `Settings`.

    Raises:
        SettingError: a setting is unknown or impossible.
    """
    given = {**settings, "timezone": timezone}
    if database is not None:
        given["database"] = f"sqlite:///{database}" if isinstance(database, Path) else database
    file = None if settings_file is None else Path(settings_file)
    merged = load_settings(given, file=file)
    if merged.calendars is not None:
        from closingbell.triggers import load_overrides

        # Before any task is declared: its rules may name the venues of the file.
        load_overrides(Path(merged.calendars))
    return App(merged, clock or SystemClock())


class App:
    """Tasks, schedules and runs on one store.

    Sync code calls the app; async code awaits the same calls on `app.aio`.
    """

    #: True while a file is imported for its app: an `app.start()` at its end then does nothing.
    importing: ClassVar[bool] = False

    def __init__(self, settings: Settings, clock: Clock) -> None:
        """Make an app; use `create_app`.

        Raises:
            SettingError: the database's address cannot be read.
            TimezoneError: the time zone is unknown.
        """
        from closingbell.core.zone import require_zone
        from closingbell.store.database import read_address

        require_zone(settings.timezone)
        read_address(settings.database)
        self.settings = settings
        self.clock = clock
        self.registry = TaskRegistry(self._define, self._added)
        self._ids = RunIds(lambda: clock.micros() // 1000, os.urandom)
        self._lock = threading.RLock()
        self._machinery: Machinery | None = None
        self._stop_asked = threading.Event()
        self._declared: list[Callable[[Machinery], Any]] = []
        self._declarations = Declarations()
        self._accounts: dict[str, AccountTerms] = {}
        self._alert_rules: dict[str, AlertRule] = {}
        #: Ways to tell people of alerts, by name.
        self.channels = Channels()
        for name, channel in settings.channels.items():
            self.channels.add(name, channel)
        self._warned = False
        self._faces: dict[str, Any] = {}

    # --- declaring ---------------------------------------------------------------------

    def add_task(self, task: Task | type[Task] | TaskDefinition) -> None:
        """Register a task.

        Args:
            task: a Task object, or its class when it is made without arguments.

        Raises:
            DuplicateTask: the name is taken.
            DefinitionError: an option is wrong.
        """
        if isinstance(task, type) and issubclass(task, Task):
            task = task()
        if isinstance(task, Task):
            task = define_task(task, self.settings.timezone)
        if not isinstance(task, TaskDefinition):
            raise TaskDefinitionError(
                repr(task)[:50], "expected a Task object; decorate functions with @app.task"
            )
        self.registry.add(task)

    @overload
    def task(self, handler: _F, /) -> _F: ...

    @overload
    def task(
        self, handler: None = None, /, *, name: str | None = None, **options: Unpack[TaskOptions]
    ) -> Callable[[_F], _F]: ...

    def task(
        self,
        handler: Any = None,
        /,
        *,
        name: str | None = None,
        **options: Unpack[TaskOptions],
    ) -> Any:
        """Register a function as a task, as a decorator with or without options.

        The function stays as it is and can be called directly. Parameters named
        `payload`, `context` and `algorithm` are special; all others are bound by name
        from the payload.

        Args:
            handler: the function, when used without parentheses.
            name: default the function's name.
            options: see `TaskOptions`.
        """

        def register(function: _F) -> _F:
            chosen: str = name or getattr(function, "__name__", "") or type(function).__name__
            self.registry.add(define(function, chosen, options, self.settings.timezone))
            function.closingbell_task = chosen  # type: ignore[attr-defined]
            return function

        return register if handler is None else register(handler)

    def schedule(
        self,
        task: TaskRef,
        trigger: Trigger | None = None,
        *,
        id: str | None = None,
        payload: Mapping[str, Any] | None = None,
        priority: int | None = None,
        tags: Sequence[str] = (),
        **options: Unpack[ScheduleOptions],
    ) -> ScheduleHandle:
        """Run a task by a trigger, beside what the task itself declares.

        The same call again, as after a restart, changes nothing and makes no second
        schedule. Give an `id` to be able to change the trigger later.

        Args:
            task: which task.
            trigger: one of `closingbell.triggers`, or name it by options such as
                `cron=`, `interval=` or `session=`.
            id: default made from the task and the trigger.
            payload: what its runs are given.
            priority: of its runs; default the task's.
            tags: of its runs, beside the task's.
            options: see `ScheduleOptions`.

        Raises:
            UnknownTask: the task is not registered.
            DefinitionError: the trigger or a policy is wrong.
            PayloadError: the payload does not fit the task.
        """
        from closingbell.schedule_handle import declare_schedule

        definition = self._resolve(task)
        return declare_schedule(
            self, definition, trigger, id, payload, priority, tuple(tags), options
        )

    def on(
        self,
        event_type: str,
        task: TaskRef,
        *,
        where: str | None = None,
        payload: Mapping[str, Any] | None = None,
        priority: int | None = None,
    ) -> str:
        """Run a task when an event happens; return the event trigger's id.

        Args:
            event_type: which events.
            task: which task.
            where: a condition on the event's data, such as "change < -0.05".
            payload: merged with the event's data, which leads.
            priority: of its runs; default the task's.
        """
        from closingbell.event import put_event_trigger, read_event_trigger

        trigger = read_event_trigger(self._resolve(task), event_type, where, payload, priority)

        def put(machinery: Machinery) -> None:
            if self._declarations.holds(trigger):
                put_event_trigger(machinery.store, trigger, machinery.clock.micros())

        self._declarations.add(trigger)
        self.declare(put)
        return trigger.id

    def add_account(
        self,
        name: str = "main",
        cash: Any = 10_000,
        currency: str = "USD",
        broker: str | Broker = "paper",
        *,
        timeframe: str = "1d",
        calendar: str | None = None,
        short: bool = False,
        leverage: Any = 1,
        lot: Any = None,
        max_drawdown: Any = None,
        **options: Unpack[BrokerOptions],
    ) -> None:
        """Add an account that tasks can trade; without any, tasks get a paper account "main".

        It is opened, with its cash, when the app first starts; later starts find it as it stands.

        Args:
            name: unique; a task names it with `account=`, and "main" is the default.
            cash: what it begins with.
            currency: in which it is valued.
            broker: "paper" fills orders from the app's market data as its bars come, "simulated"
                is the same by another name, "ccxt" trades at an exchange, and a Broker of your
                own does what it does.
            timeframe: of the bars that match its orders and mark its positions.
            calendar: the venue whose closes end its days; default "XNYS", of ccxt "24/7".
            short: whether it may sell what it does not hold.
            leverage: purchases may cost up to so many times its value.
            lot: quantities are multiples of it; None = any fraction.
            max_drawdown: a fraction; falling further below its peak is a "drawdown_breach".
            options: of the broker; see `BrokerOptions`.

        Raises:
            AccountError: a term is impossible, or the name is taken.
            SettingError: an option of the broker cannot be read.
        """
        from closingbell.desk_setup import read_account

        terms = read_account(
            name,
            cash,
            currency,
            broker,
            timeframe=timeframe,
            calendar=calendar,
            short=short,
            leverage=leverage,
            lot=lot,
            max_drawdown=max_drawdown,
            options=options,
            taken=self._accounts,
        )
        self._accounts[name] = terms

    def add_channel(self, name: str, **options: Any) -> None:
        """Declare a way to tell people of alerts.

        Args:
            name: as rules name it.
            options: one of `webhook="https://..."`, which posts JSON, with `secret=` signed, and
                `timeout_s=`; `smtp={...}`, which mails: host, from, to, and port, user, password,
                protection; `apprise="slack://..."`, with the extra `notify`, and `timeout_s=`;
                `log=True`, which writes one JSON line to the log.

        Raises:
            ChannelError: an option is impossible, or the name is taken.
        """
        self.channels.add(name, options)

    def add_alert_rule(
        self, kind: str, *, id: str | None = None, channels: Sequence[str] = ("*",), **options: Any
    ) -> str:
        """Declare what a person must be told of; return the rule's id.

        The same call again, as after a restart, changes nothing. A person may disable the rule
        through the API; that lasts until its declaration changes.

        Args:
            kind: such as "overdue"; see the page about alert rules.
            id: default made from the kind and what the rule is limited to.
            channels: who is told; "*" = every channel.
            options: other fields of `AlertRule`, such as `task=`, `for_s=`, `fraction=`,
                `severity=`, `repeat_s=`, `quiet_hours=`, `escalate_after_s=` and `escalate_to=`.

        Raises:
            AlertRuleError: a value is impossible, or the id is taken by another rule.
        """
        from closingbell.core.alert_rule import read_alert_rule
        from closingbell.core.error import AlertRuleError

        given = {"id": id, "kind": kind, "channels": channels, **options}
        rule = read_alert_rule(given, self.settings.timezone)
        if self._alert_rules.get(rule.id, rule) != rule:
            raise AlertRuleError(rule.id, "id", rule.id, "one that no other rule of the app has")
        self._alert_rules[rule.id] = rule
        self.declare(lambda m: m.store.alert_rules.declare(rule, m.clock.micros()))
        return rule.id

    @property
    def declared_alert_rules(self) -> dict[str, AlertRule]:
        """The rules that `add_alert_rule` declared, by id; needs no store."""
        return dict(self._alert_rules)

    # --- running -----------------------------------------------------------------------

    def start(self, block: bool = True, *, worker: bool = True, scheduler: bool = True) -> None:
        """Open the store and set scheduler and worker to work.

        Args:
            block: wait until `stop`, Ctrl-C or SIGTERM; then drain and return.
            worker: run tasks in this process.
            scheduler: fire schedules in this process.

        Raises:
            StoreError: the store cannot be opened.
        """
        from closingbell.executor.child import IN_CHILD

        self._refuse_inside("app.start()")
        if IN_CHILD or App.importing:
            # A script without a main guard is imported again by its child processes, and by
            # the command line, which then starts the app itself.
            return
        self._warn_of_zones()
        self._stop_asked.clear()
        self.machinery.start(worker=worker, scheduler=scheduler)
        if block:
            self.wait()

    def _warn_of_zones(self) -> None:
        """Say once that the machine's time is not the desk's, where tasks may take it for that."""
        from closingbell.desk_setup import differing_zones

        if not self._warned:
            self._warned = True
            warning = differing_zones(self.registry, self.settings.timezone, self.clock)
            if warning is not None:
                _log.warning(warning)

    def stop(self, grace_s: float | None = None) -> None:
        """Stop claiming, let runs finish within the grace time, give the rest back.

        Args:
            grace_s: seconds; default the setting.
        """
        self._refuse_inside("app.stop()")
        self._stop_asked.set()
        with self._lock:
            machinery, self._machinery = self._machinery, None
        if machinery is not None:
            machinery.stop(self.settings.grace_s if grace_s is None else grace_s)

    @contextmanager
    def running(self, *, worker: bool = True, scheduler: bool = True) -> Iterator[App]:
        """Start, and stop at the end of the `with` block."""
        self.start(block=False, worker=worker, scheduler=scheduler)
        try:
            yield self
        finally:
            self.stop()

    @property
    def is_running(self) -> bool:
        """Whether the app was started in this process and not stopped."""
        return self._machinery is not None and self._machinery.is_started

    @property
    def worker_id(self) -> str | None:
        """The id of the worker in this process, or None where none works."""
        machinery = self._machinery
        return None if machinery is None else machinery.worker_id

    def ask_stop(self) -> None:
        """Let a blocking `start` return; for signal handlers and other threads."""
        self._refuse_inside("app.ask_stop()")
        self._stop_asked.set()

    def wait(self) -> None:
        """Wait until `stop`, `ask_stop`, Ctrl-C or SIGTERM; then drain and return."""
        try:
            self.await_stop()
        finally:
            self.stop()

    def await_stop(self) -> None:
        """Wait until `stop`, `ask_stop`, Ctrl-C or SIGTERM, and leave the stopping to the caller."""
        with self.heeding_signals():
            # A wait without a timeout would keep a signal from being noticed on some systems.
            while not self._stop_asked.wait(1.0):
                pass

    @contextmanager
    def heeding_signals(self) -> Iterator[None]:
        """Let Ctrl-C and SIGTERM ask the app to stop, in the `with` block; on the main thread."""
        main = threading.current_thread() is threading.main_thread()
        before: dict[signal.Signals, Any] = {}
        if main:
            for number in (signal.SIGINT, signal.SIGTERM):
                before[number] = signal.signal(number, lambda *_: self.ask_stop())
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def backtest(
        self,
        start: datetime | date | str | None = None,
        end: datetime | date | str | None = None,
        data: Any = None,
        *,
        cash: Any = None,
        symbols: str | Sequence[str] | None = None,
        timeframe: str | None = None,
        tasks: Sequence[TaskRef] | None = None,
        seed: int = 0,
        freeze: bool = False,
        name: str | None = None,
        store: bool = True,
        progress: Callable[[int], None] | None = None,
        fee: Any = None,
        slippage: Any = None,
        fill: str | None = None,
        volume_share: Any = None,
    ) -> Report:
        """Run the app's tasks, schedules and events on history, with simulated money.

        Nothing of the live store is touched; only the finished report is put there.

        Args:
            start: begin here; a date is its first moment in the app's zone, None the data's start.
            end: end here; a date is all of that day, None the data's end.
            data: bars by symbol, a table, the path of a file or folder, or any source of bars;
                default the app's market data.
            cash: what the main account begins with; default as it is declared.
            symbols: only bars of these.
            timeframe: of the bars that fill orders; default the account's.
            tasks: only these take part.
            seed: of every chance; the same seed gives the same bytes.
            freeze: tasks that call `datetime.now()`, `time.time()` or `time.sleep()` see and take
                simulated time, too; needs `closingbell[freeze]`, and holds for the whole process.
            name: of the report.
            store: put the report into the app's store.
            progress: called with the simulated instant, in microseconds, several times a second.
            fee: of each trade, such as "0.1%"; default the account's.
            slippage: by how much market orders trade worse, such as "0.05%".
            fill: market orders fill at the "next_open", or at the "close" of their bar.
            volume_share: the fraction of a bar's volume that an account may take.

        Raises:
            BacktestError: it cannot be run as it was asked for; the message says what to do.
            MarketDataError: the data cannot be right.
        """
        from closingbell.backtesting.course import Asked, Course
        from closingbell.executor.child import IN_CHILD

        self._refuse_inside("app.backtest()")
        if IN_CHILD or App.importing:
            # A child process of a task would begin the same backtest again.
            raise BacktestError(
                "app.backtest()",
                "called while its script is only imported",
                'a call under `if __name__ == "__main__":`',
            )
        asked = Asked(
            start=start,
            end=end,
            data=data,
            cash=cash,
            symbols=symbols,
            timeframe=timeframe,
            tasks=tasks,
            seed=seed,
            freeze=freeze,
            name=name,
            store=store,
            progress=progress,
            fee=fee,
            slippage=slippage,
            fill=fill,
            volume_share=volume_share,
        )
        return Course(self, asked).run()

    # --- submitting and asking -----------------------------------------------------------

    def submit(
        self,
        task: TaskRef,
        payload: Mapping[str, Any] | None = None,
        *,
        at: datetime | str | None = None,
        delay: Any = None,
        priority: int | None = None,
        tags: Sequence[str] = (),
        key: str | None = None,
        connection: Any = None,
    ) -> RunHandle:
        """Store a run; it is on the disk when the call returns.

        Args:
            task: which task.
            payload: what the handler is given, checked against its signature.
            at: not before this instant; naive means the app's zone.
            delay: not before so long from now.
            priority: 1 runs first, 9 last; default the task's.
            tags: labels beside the task's.
            key: a second submission of the task with the same key makes no second run;
                the handle is then the first one's.
            connection: your own SQLAlchemy connection or session to the same database,
                inside whose transaction the run is stored.

        Raises:
            UnknownTask: the task is not registered.
            PayloadError: the payload or an option is refused; nothing was stored.
            StoreError: the store did not take it.
        """
        from closingbell.submission import Options

        definition = self._resolve(task)
        options = Options(at, delay, priority, tags, key)
        return self.handle(self._intake.submit(definition, payload, options, connection))

    def submit_many(
        self,
        task: TaskRef,
        payloads: Sequence[Mapping[str, Any] | None],
        *,
        at: datetime | str | None = None,
        delay: Any = None,
        priority: int | None = None,
        tags: Sequence[str] = (),
        connection: Any = None,
    ) -> list[str]:
        """Store many runs of a task in bulk; return their ids in order.

        All payloads are checked before the first is stored.
        """
        from closingbell.submission import Options

        definition = self._resolve(task)
        options = Options(at, delay, priority, tags)
        return self._intake.submit_many(definition, list(payloads), options, connection)

    def trigger_event(
        self, event_type: str, data: Mapping[str, Any] | None = None, *, connection: Any = None
    ) -> list[str]:
        """Store an event and the runs that it starts; return their ids.

        Args:
            event_type: the event's name.
            data: merged over a copy of each trigger's payload.
            connection: as in `submit`.
        """
        return self._intake.trigger_event(event_type, dict(data or {}), connection)

    def get_run(self, run_id: str) -> Run:
        """Return a run with its attempts.

        Raises:
            UnknownRun: it was never submitted here, or was pruned.
        """
        return self.store.runs.get(run_id)

    def handle(self, run_id: str) -> RunHandle:
        """Return the handle of a run by its id."""
        return RunHandle(run_id, lambda: self.machinery)

    def list_runs(
        self,
        *,
        task: str | None = None,
        states: Sequence[str] = (),
        before: str | None = None,
        limit: int = 100,
    ) -> list[Run]:
        """Return a page of runs, the newest first; `before` is the last id of the page before."""
        return self.store.runs.list_page(
            task=task, states=[RunState(s) for s in states], before=before, limit=limit
        )

    def cancel(self, run_id: str, reason: str = "cancelled by a person") -> RunState:
        """Cancel a run; see `RunHandle.cancel`."""
        return RunState(self.machinery.cancel_run(run_id, reason))

    def retry(self, run_id: str) -> RunHandle:
        """Let an ended run, or one that waits for a retry, run again now.

        A run that two persons must agree on asks them anew.

        Raises:
            InvalidTransition: it is pending or running.
            ApprovalRefused: it waits for people already.
        """
        return self.machinery.retry_run(run_id)

    def approve(self, run_id: str, reason: str | None = None) -> Standing:
        """Release a run that waits for people, as the person who acts at present.

        Code is no person: the command line and the API's door say who acts.

        Returns:
            Where it stands: `state` is "released", or "waiting" while `needed` more must agree.

        Raises:
            UnknownRun: there is no such run.
            ApprovalRefused: it waits for nobody, or who acts may not decide.
        """
        return self.machinery.approve_run(run_id, reason)

    def reject(self, run_id: str, reason: str) -> Standing:
        """End a run that waits for people as cancelled, with a reason; raises as `approve`."""
        return self.machinery.reject_run(run_id, reason)

    def approvals(self, limit: int = 100, after: str | None = None) -> list[HeldRun]:
        """Return runs that wait for people, the oldest first, with what was decided so far.

        Args:
            limit: at most so many.
            after: the id of the last run of the page before.
        """
        return self.store.approvals.waiting(limit, after)

    def get_task_status(self) -> dict[str, dict[str, Any]]:
        """Return, for each task, how it stands, from the store.

        Each value has `last_run` (when its latest run started), `last_status`,
        `last_error` (None after a success), `last_success`, `next_run` and `running`
        (how many run now). Times are aware, in UTC.
        """
        inside = current_stand_in.get()
        return self.machinery.task_status() if inside is None else inside.task_status()

    @property
    def accounts(self) -> dict[str, AccountTerms]:
        """The accounts that were added, by name."""
        return dict(self._accounts)

    @property
    def desk(self) -> Desk:
        """The desk: its accounts as they stand, and orders that a person places."""
        for name in self._accounts or ("main",):
            self.machinery.floor.account(name)
        return self.machinery.floor.desk

    def portfolio(self, account: str = "main") -> Portfolio:
        """Return what an account is worth now; its datetimes are naive, in the app's zone.

        Raises:
            UnknownAccount: it was not added.
            NoPrice: it cannot be valued.
        """
        return self.machinery.floor.portfolio(account)

    @property
    def market_data(self) -> BarCatalogue:
        """The app's own bars: store, read, archive, look for gaps."""
        return self.machinery.floor.catalogue

    @property
    def scheduler(self) -> TaskScheduler:
        """When tasks run, in the scheduler-centre document's words."""
        from closingbell.centre.scheduler import TaskScheduler

        return self._face(TaskScheduler, self.settings.timezone, self._declarations)

    @property
    def executor(self) -> TaskExecutor:
        """Run a task and wait, in the scheduler-centre document's words."""
        from closingbell.centre.executor import TaskExecutor

        return self._face(TaskExecutor)

    @property
    def retry_controller(self) -> RetryController:
        """How failures are retried, in the scheduler-centre document's words."""
        from closingbell.centre.retry_controller import RetryController

        return self._face(RetryController)

    @property
    def monitor(self) -> TaskMonitor:
        """What happened, in the scheduler-centre document's words."""
        from closingbell.centre.monitor import TaskMonitor

        return self._face(TaskMonitor, self.settings.timezone)

    @property
    def aio(self) -> AsyncApp:
        """The same calls for async code: `await app.aio.submit(...)`."""
        from closingbell.aio import AsyncApp

        return AsyncApp(self)

    @property
    def audit(self) -> StoredAudit:
        """Who did what: `records`, `verify`."""
        return self.store.audit

    @staticmethod
    def acting_as(name: str, reason: str | None = None) -> AbstractContextManager[Actor]:
        """Let what is done in a `with` block be somebody's, as the audit ledger names them.

        It holds for the calling thread or coroutine.

        Args:
            name: who, such as "ann".
            reason: why; a call that takes a reason of its own keeps that.
        """
        from closingbell.core.actor import acting_as

        return acting_as(name, reason=reason)

    @property
    def store(self) -> Store:
        """The store, opened on first use."""
        return self.machinery.store

    @property
    def machinery(self) -> Machinery:
        """What works behind the face, opened on first use."""
        from closingbell.executor.child import IN_CHILD

        if IN_CHILD:
            raise AppNotRunning("using the store inside a child process of a process task")
        self._refuse_inside("the live store")
        with self._lock:
            if self._machinery is not None and self._machinery.pid != os.getpid():
                # A forked child must not use its parent's connections and threads.
                self._machinery = None
            if self._machinery is None:
                from closingbell.machinery import Machinery

                machinery = Machinery(
                    self.settings,
                    self.clock,
                    self.registry,
                    self._ids,
                    lambda: self.machinery,
                    self._accounts,
                    self.channels,
                )
                machinery.open()
                for declare in self._declared:
                    declare(machinery)
                self._machinery = machinery
            return self._machinery

    # --- inside --------------------------------------------------------------------------

    @property
    def _intake(self) -> Intake | StandIn:
        """Where submissions and events go: in a backtest's task to the simulation."""
        inside = current_stand_in.get()
        return self.machinery.intake if inside is None else inside

    @staticmethod
    def _refuse_inside(what: str) -> None:
        """Refuse to a backtest's task what would reach the live app."""
        if current_stand_in.get() is not None:
            raise BacktestError(
                what,
                "out of reach for a task of a backtest",
                "submit, submit_many, trigger_event or get_task_status, which go to the "
                "simulation, or calls of algorithm",
            )

    def _face(self, face: Callable[..., _Face], *more: Any) -> _Face:
        name = face.__name__
        if name not in self._faces:
            self._faces[name] = face(lambda: self.machinery, *more)
        made: _Face = self._faces[name]
        return made

    def declare(self, declaration: Callable[[Machinery], Any]) -> None:
        """Apply something to the store now if it is open, and whenever it is opened."""
        from closingbell.core.actor import signed

        self._refuse_inside("the live agenda")
        with self._lock:
            self._declared.append(signed(declaration))
            if self._machinery is not None:
                declaration(self._machinery)

    def declare_schedule(self, schedule: Schedule) -> None:
        """Store a schedule now if the store is open, and whenever it is opened."""

        def put(machinery: Machinery) -> None:
            if self._declarations.holds(schedule):
                machinery.agenda.put_schedule(schedule)

        self._declarations.add(schedule)
        self.declare(put)

    def take_back(self, declared_id: str) -> None:
        """Let what a call declared be stored no more when the store is opened again."""
        self._declarations.forget(declared_id)

    @property
    def declared_schedules(self) -> dict[str, Schedule]:
        """Every schedule that tasks, `schedule` and the scheduler declare, by id; needs no store."""
        return self._declarations.schedules(self.registry)

    @property
    def declared_event_triggers(self) -> dict[str, EventTrigger]:
        """Every event trigger that tasks, `on` and the scheduler declare, by id; needs no store."""
        return self._declarations.event_triggers(self.registry)

    def _resolve(self, task: TaskRef) -> TaskDefinition:
        if isinstance(task, Task):
            return self.registry.resolve(task_name(task))
        name = task if isinstance(task, str) else getattr(task, "closingbell_task", None)
        if name is None:
            raise TaskDefinitionError(
                getattr(task, "__name__", repr(task))[:50],
                "expected a task's name, a Task object, or a function decorated with @app.task",
            )
        return self.registry.resolve(name)

    def _define(self, handler: Callable[..., Any], *, name: str, **options: Any) -> TaskDefinition:
        return define(handler, name, options, self.settings.timezone)  # type: ignore[arg-type]

    def _added(self, task: TaskDefinition) -> None:
        self._refuse_inside("app.add_task()")
        if task.trigger is not None or task.after:
            from closingbell.submission import check_payload

            check_payload(task, task.payload, self.settings.payload_limit_bytes)
        with self._lock:
            if self._machinery is not None:
                self._machinery.agenda.adopt_all([task])
