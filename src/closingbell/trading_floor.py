"""TradingFloor: the desk of a running app, with its market data and what keeps them in step."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Hashable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from closingbell.broker_poll import BrokerPoll
from closingbell.core.call import Call
from closingbell.core.clock import Clock
from closingbell.core.error import RunCancelled, UnknownAccount
from closingbell.core.ledger import Ledger, Maintenance
from closingbell.core.outcome import GivenBack
from closingbell.core.registry import TaskRegistry
from closingbell.core.zone import require_zone
from closingbell.desk_pump import DeskPump
from closingbell.desk_setup import live_broker, takes_algorithm
from closingbell.intake import Intake
from closingbell.lockstep import Lockstep
from closingbell.session_hours import session_hours
from closingbell.settings import Settings
from closingbell.store.active import StoredActive
from closingbell.store.codec import from_json
from closingbell.store.database import SqliteDatabase
from closingbell.store.store import Store
from closingbell.trading import fact
from closingbell.trading.account import Account
from closingbell.trading.algorithm import Algorithm
from closingbell.trading.desk import Desk
from closingbell.trading.local_time import LocalTime
from closingbell.trading.market.catalogue import BarCatalogue
from closingbell.trading.market.deferred import DeferredBars
from closingbell.trading.market.demo import DEMO_VENUE, demo_bars
from closingbell.trading.market.layered import LayeredBars
from closingbell.trading.market.reader import MarketReader
from closingbell.trading.portfolio import Portfolio
from closingbell.trading.terms import MAIN, AccountTerms

if TYPE_CHECKING:
    from closingbell.core.bar import BarSource

_log = logging.getLogger("closingbell.desk")

#: An attempt waits so many machine seconds for bars that are over, before it goes on without.
_PATIENCE_S = 60.0
#: It waits so long for the runs of its instant that come before it.
_TURN_S = 5.0
#: So often, meanwhile, it sees whether it is to end.
_SLICE_S = 0.1
#: Between two looks at whose turn it is, in machine seconds.
_LOOK_S = 0.01
#: Of so many runs it is known that they have waited.
_REMEMBERED = 10_000
#: What other processes wrote of an account is looked for so often, in machine seconds.
_REFRESH_S = 0.25


class TradingFloor:
    """Opens accounts, gives tasks their algorithm, and starts what moves the market.

    It is the `Services` and the `Pace` of live algorithms.
    """

    def __init__(
        self,
        *,
        settings: Settings,
        clock: Clock,
        store: Store,
        registry: TaskRegistry,
        declared: Mapping[str, AccountTerms],
        intake: Intake,
        task_status: Callable[[], dict[str, dict[str, Any]]],
        raise_alert: Callable[..., None],
    ) -> None:
        """Make a floor; nothing is opened yet.

        Args:
            settings: of the app.
            clock: the desk's time.
            store: of the ledger.
            registry: the tasks that are known here.
            declared: accounts by name; it may grow.
            intake: takes in events.
            task_status: how each task stands.
            raise_alert: stores an alert.
        """
        self._settings = settings
        self._clock = clock
        self._store = store
        self._registry = registry
        self._declared = declared
        self._intake = intake
        self._zone = require_zone(settings.timezone)
        self.task_status = task_status
        self._raise_alert = raise_alert
        self._lock = threading.RLock()
        self._refreshed: dict[str, float] = {}
        self._pump: DeskPump | None = None
        self._polls: dict[str, BrokerPoll] = {}
        self._works = False
        self._draining = False
        self._ended = threading.Condition()
        #: The instant for which a run has waited already, by run.
        self._waited: dict[str, int] = {}

    # --- what there is -------------------------------------------------------------------

    @cached_property
    def desk(self) -> Desk:
        """The desk, with the accounts that are open so far."""
        return Desk(ledger=self.ledger, clock=self._clock, wanted=self._wanted, shared=True)

    @property
    def ledger(self) -> Ledger:
        """Accounts, orders and entries."""
        return self._store.ledger

    @property
    def maintenance(self) -> Maintenance:
        """Care for the database."""
        return self._store.maintenance

    @cached_property
    def catalogue(self) -> BarCatalogue:
        """The app's own market data."""
        return BarCatalogue(
            self._data_root(), self._store.manifest, session_hours(DEMO_VENUE), self._clock
        )

    @cached_property
    def source(self) -> BarSource:
        """What accounts trade on: the app's own market data, and the shipped history below.

        An app that names a place for its data has no other.
        """
        if self._settings.data is not None:
            return self.catalogue
        history = DeferredBars(lambda: demo_bars(session_hours(DEMO_VENUE)))
        return LayeredBars(self.catalogue, history)

    def _data_root(self) -> str | Path:
        if self._settings.data is not None:
            return self._settings.data
        database = self._store.database
        if isinstance(database, SqliteDatabase):
            return database.path.with_name(f"{database.path.stem}-data")
        return Path("closingbell-data")

    def _wanted(self, fact_type: str) -> bool:
        # Each bar is an event only where somebody listens; what happens to money always is.
        return fact_type != fact.MARKET_DATA_UPDATE or self._intake.listens(fact_type)

    # --- accounts ------------------------------------------------------------------------

    def account(self, name: str) -> Account:
        """Return an account as it stands, opened if need be; for people.

        Raises:
            UnknownAccount: it was not added.
        """
        account = self._open(name, self._clock.micros())
        self.desk.refresh(name)
        return account

    def portfolio(self, name: str) -> Portfolio:
        """Return what an account is worth now; for people.

        Raises:
            UnknownAccount: it was not added.
            NoPrice: it cannot be valued.
        """
        return Portfolio(self.account(name), LocalTime(self._zone))

    def _terms(self, name: str) -> AccountTerms:
        terms = self._declared.get(name)
        if terms is None and name == MAIN and not self._declared:
            return AccountTerms()
        if terms is None:
            raise UnknownAccount(name, self._declared)
        return terms

    def _open(self, name: str, instant: int) -> Account:
        """Return an account; the first time it is opened, as of an instant."""
        known = self.desk.accounts.get(name)
        if known is not None:
            return known
        with self._lock:
            known = self.desk.accounts.get(name)
            if known is not None:
                return known
            terms = self._terms(name)
            account = self.desk.add(terms, live_broker(terms, self._clock))
            with account.lock:
                if account.cursor < 0:
                    # Of what came before it was opened, an account has seen nothing.
                    account.cursor = min(instant, self._clock.micros())
            if self._works:
                self._set_to_work(account)
            return account

    # --- life ----------------------------------------------------------------------------

    def start(self) -> None:
        """Open the accounts that there are, and let market data pass."""
        self._works = True
        stored = {record.name for record in self.ledger.accounts()}
        names = [*self._declared, *({MAIN} & stored if not self._declared else ())]
        now = self._clock.micros()
        for name in names:
            self._open(name, now)

    def drain(self) -> None:
        """Let no more market data pass; runs that wait for some are given back."""
        self._draining = True
        if self._pump is not None:
            self._pump.stop()

    def stop(self) -> None:
        """Let no more market data pass, and ask no broker any more."""
        self.drain()
        with self._lock:
            self._works, self._pump = False, None
            polls, self._polls = self._polls, {}
        for poll in polls.values():
            poll.stop()

    def _set_to_work(self, account: Account) -> None:
        name = account.terms.name
        if not account.broker.matches and name not in self._polls:
            poll = BrokerPoll(self.desk, name, self._clock, self._trouble)
            self._polls[name] = poll
            poll.start()
        if self._pump is not None:
            self._pump.rebuild()
            return
        self._pump = DeskPump(
            self.desk,
            self.source,
            self._clock,
            self._lockstep,
            state=self._state,
            on_trouble=lambda problem: self._trouble("market data does not pass the desk", problem),
        )
        self._pump.start()

    @cached_property
    def _lockstep(self) -> Lockstep:
        return Lockstep(
            StoredActive(self._store.database),
            self._clock,
            lambda task: task in self._registry,
            self._takes_algorithm,
        )

    def _takes_algorithm(self, name: str) -> bool:
        task = self._registry.get_task(name)
        return task is not None and takes_algorithm(task)

    def _state(self) -> Hashable:
        return tuple((file.file, file.version) for file in self._store.manifest.files())

    def _trouble(self, what: str, problem: Exception) -> None:
        self._raise_alert(f"{what}: {problem}", "ERROR", None, {}, kind="desk_failure")

    # --- what happens --------------------------------------------------------------------

    def wake(self) -> None:
        """Say that runs have ended."""
        if self._pump is not None:
            self._pump.wake()
            with self._ended:
                self._ended.notify_all()

    def started(self) -> None:
        """Take note that facts started runs, whose instants may be past, or are new market data."""
        self._lockstep.forget()
        if self._pump is not None:
            self._pump.look()
        for (task, event_type), problem in self._intake.take_refusals().items():
            self._raise_alert(
                f"event {event_type!r} does not start task {task!r}: {problem}",
                "ERROR",
                None,
                {"task": task, "event": event_type},
                kind="event_refused",
            )

    # --- for algorithms ------------------------------------------------------------------

    def algorithm(self, call: Call) -> Algorithm:
        """Return what a task receives."""
        made = Algorithm(
            desk=self.desk,
            market=MarketReader(self.source, lambda: made.instant),
            call=call,
            clock=self._clock,
            zone=self._zone,
            services=self,
            account=call.task.account,
            pace=self,
        )
        return made

    async def until_ready(self, call: Call) -> None:
        """Wait as `ready`, without blocking, before an async task begins."""
        if self._pump is not None:
            await asyncio.to_thread(self._wait, call, call.claim.due_at, True)

    def ready(self, account: str, call: Call, instant: int) -> None:
        opened = self._open(account, instant)
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            self._wait(call, instant, opened.broker.matches)
        now = self._clock.monotonic()
        if abs(now - self._refreshed.get(account, -_REFRESH_S)) >= _REFRESH_S:
            self._refreshed[account] = now
            with opened.lock:
                opened.refresh(self.ledger)

    def _wait(self, call: Call, instant: int, takes_turns: bool) -> None:
        """Wait for the market data of an instant, and for the runs that come before this one.

        Live accounts take no turns: there the market moves by itself, and waiting costs money.
        """
        pump = self._pump
        if pump is None or self._waited.get(call.claim.id) == instant:
            return
        left = _PATIENCE_S
        while not pump.wait_for(instant, _SLICE_S):
            self._leave(call)
            left -= _SLICE_S
            if left <= 0 or (pump.is_failing and left <= _PATIENCE_S - _TURN_S):
                _log.warning("a task goes on before the market data of its instant has passed")
                break
        left = _TURN_S if takes_turns else 0.0
        while left > 0 and (names := self._lockstep.before(call, instant)):
            self._leave(call)
            with self._ended:
                self._ended.wait(_LOOK_S)
            # Counted by itself: the machine's time of a standing clock may stand still, too.
            left -= _LOOK_S
            if left <= 0:
                self._lockstep.give_up(names)
        self._waited[call.claim.id] = instant
        while len(self._waited) > _REMEMBERED:
            self._waited.pop(next(iter(self._waited)))

    def _leave(self, call: Call) -> None:
        """Wait no more when the app stops: what the run waits for cannot come, so it is given back.

        Raises:
            RunCancelled: the attempt is to end.
        """
        reason = "the app stops before the market is where the run's instant is"
        if self._draining and call.stopping is None:
            call.stopping = GivenBack(reason)
        if call.stopping is not None:
            raise RunCancelled(call.claim.id, "given back", reason)

    def asleep(self, run_id: str, until: int) -> None:
        self._lockstep.asleep(run_id, until)

    def last_result(self, task: str) -> Any:
        row = self._store.runs.last_ended(task, "success")
        return None if row is None else from_json(row["result"])

    def trigger_event(self, event_type: str, data: Mapping[str, Any]) -> list[str]:
        return self._intake.trigger_event(event_type, dict(data), None)

    def event_of(self, call: Call) -> str | None:
        return self._store.events.type_behind(call.claim.id)

    def send_alert(
        self, message: str, severity: str, call: Call | None, data: Mapping[str, Any]
    ) -> None:
        self._raise_alert(message, severity, call, dict(data))
