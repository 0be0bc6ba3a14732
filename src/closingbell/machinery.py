"""Machinery: what works behind the app's face, on an open store.

Longer than 400 lines because it is where the parts are put together: most methods hand one
call on to the noun that does the work, and wake who waits for it.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from closingbell.agenda import Agenda
from closingbell.alert_reading import AlertReading
from closingbell.core.approval import Standing
from closingbell.core.clock import Clock
from closingbell.core.identity import RunIds
from closingbell.core.registry import TaskRegistry
from closingbell.core.retry import RetryPolicy
from closingbell.core.run import Run, Settlement
from closingbell.core.task import TaskDefinition
from closingbell.desk_setup import check_accounts, takes_algorithm
from closingbell.explain import explain
from closingbell.handle import RunHandle
from closingbell.intake import Intake
from closingbell.run_watch import RunWatch
from closingbell.runtime import WorkerRuntime
from closingbell.scheduler.loop import SchedulerLoop
from closingbell.settings import Settings
from closingbell.status import task_status
from closingbell.store.store import Store, open_store
from closingbell.submission import Door
from closingbell.waiter import Waiters
from closingbell.watch import AlertWatch

if TYPE_CHECKING:
    from closingbell.monitor.notify.channels import Channels
    from closingbell.trading.terms import AccountTerms
    from closingbell.trading_floor import TradingFloor

_log = logging.getLogger("closingbell")

#: Hints of other processes make the scheduler look at schedules this often at most, in seconds.
_LOOK_AT_SCHEDULES_S = 0.25


class Machinery:
    """An open store, and the worker and scheduler of this process."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        registry: TaskRegistry,
        ids: RunIds,
        current: Callable[[], Machinery],
        accounts: Mapping[str, AccountTerms],
        channels: Channels,
    ) -> None:
        """Make it ready to open.

        Args:
            settings: of the app.
            clock: the desk's time.
            registry: the tasks that are known here.
            ids: makes run ids.
            current: returns the app's present machinery, which outlives this one.
            accounts: as the app declares them, by name; there may be more later.
            channels: ways to tell people of alerts; likewise.
        """
        self._current = current
        #: The process that opened the store; no other may use it.
        self.pid = os.getpid()
        self.settings = settings
        self.clock = clock
        self.registry = registry
        self.store: Store = open_store(settings.database, clock)
        self.door = Door(
            clock=clock,
            ids=ids,
            timezone=settings.timezone,
            payload_limit=settings.payload_limit_bytes,
        )
        self.agenda = Agenda(
            store=self.store,
            registry=registry,
            door=self.door,
            clock=clock,
            wake=self.wake_scheduler,
        )
        self.intake = Intake(
            store=self.store,
            registry=registry,
            door=self.door,
            clock=clock,
            ids=ids,
            due=self._due,
        )
        self._ids = ids
        self._accounts = accounts
        self._floor: TradingFloor | None = None
        self._works = False
        self._lock = threading.RLock()
        self._runtime: WorkerRuntime | None = None
        self._scheduler: SchedulerLoop | None = None
        self._waiters = Waiters()
        self._watch = RunWatch(
            self._waiters,
            self.store.runs.get,
            clock,
            lambda: None if self._runtime is None else self._runtime.worker.wake,
        )
        self.alert_watch = AlertWatch(
            store=self.store,
            clock=clock,
            reading=AlertReading(self.store, clock, registry, accounts, self.agenda.read_known),
            channels=channels,
            tags=lambda: {task.name: frozenset(task.tags) for task in registry},
            public_url=settings.public_url,
        )
        self._stopped = threading.Event()
        self._renewal = threading.Lock()
        self._last_look = clock.monotonic()

    # --- life ----------------------------------------------------------------------------

    def open(self) -> None:
        """Make the schema present, and store what the tasks declare.

        Raises:
            SchemaMismatch: the store is newer, or older and may not be upgraded.
            StoreError: it cannot be opened.
        """
        self.store.prepare(self.settings.auto_upgrade)
        self.store.announcer.emit = self.intake.announce
        self.store.announcer.on_started = self._facts_started
        self.agenda.adopt_all(self.registry)
        self.store.alert_rules.adopt_defaults(self.clock.micros())

    @property
    def is_started(self) -> bool:
        """Whether a worker or a scheduler is at work."""
        return self._runtime is not None or self._scheduler is not None

    @property
    def worker_id(self) -> str | None:
        """The id of this process's worker, or None where none works."""
        return None if self._runtime is None else self._runtime.worker_id

    def start(self, *, worker: bool, scheduler: bool) -> None:
        """Set scheduler and worker to work; what already works is left alone.

        Raises:
            UnknownAccount: a task names an account that nobody added.
            AccountMismatch: an account is stored with other terms than the app declares.
        """
        check_accounts(self.registry, self._accounts)
        with self._lock:
            if worker and not self._works:
                self._works = True
                if self._floor is not None:
                    self._floor.start()
                elif (
                    self._accounts
                    or any(map(takes_algorithm, self.registry))
                    or self.store.ledger.accounts()
                ):
                    # Making it starts it, before the first task is due.
                    self.floor  # noqa: B018
            fresh: SchedulerLoop | None = None
            if (scheduler or worker) and self._scheduler is None:
                fresh = self._scheduler = SchedulerLoop(
                    clock=self.clock,
                    queue=self.store.queue,
                    schedules=self.store.schedules,
                    read=self.agenda.read_known,
                    submission=self.agenda.scheduled_run,
                    on_fired=self.agenda.scheduled_runs_made,
                    fires=scheduler,
                    every_idle=self.agenda.fire_dependencies,
                )
            if worker and self._runtime is None:
                self._runtime = self._make_runtime()
                self._runtime.start()
            if fresh is not None:
                # After the worker, so that the first firings find one.
                fresh.start()
            if scheduler or not worker:
                self.alert_watch.start()

    def troubles(self) -> list[str]:
        """Return what was set to work in this process and does not, in sentences."""
        if self._stopped.is_set():
            return ["the app is stopping"]
        found: list[str] = []
        scheduler, runtime = self._scheduler, self._runtime
        if scheduler is not None and not scheduler.is_alive:
            found.append("the scheduler of this process has ended")
        if self._works and runtime is None:
            found.append("the worker of this process lost its lease, and a new one cannot start")
        elif runtime is not None and not runtime.is_alive:
            found.append("the worker of this process has ended or lost its lease")
        return found

    def stop(self, grace_s: float) -> None:
        """Stop firing and claiming, let runs finish within `grace_s`, close the store."""
        self._stopped.set()
        with self._renewal:
            # A worker that is just taking over is stopped with the rest.
            pass
        with self._lock:
            scheduler, self._scheduler = self._scheduler, None
            runtime, self._runtime = self._runtime, None
        if scheduler is not None:
            scheduler.stop()
        if self._floor is not None:
            self._floor.drain()
        if runtime is not None:
            runtime.stop(grace_s)
        self.alert_watch.stop()
        if self._floor is not None:
            self._floor.stop()
        self.store.close()

    def _make_runtime(self) -> WorkerRuntime:
        return WorkerRuntime(
            store=self.store,
            registry=self.registry,
            door=self.door,
            clock=self.clock,
            settings=self.settings,
            algorithm=lambda call: self.floor.algorithm(call),
            ready=self._until_ready,
            on_settled=self._settled,
            on_due=self._due,
            on_hint=self._hint,
            on_lost=self._renew,
            on_archived=self._archived,
        )

    def _renew(self, _reason: str) -> None:
        """Replace a worker that lost its lease by a new one, with a new id."""
        with self._renewal:
            with self._lock:
                runtime, self._runtime = self._runtime, None
            if runtime is None or self._stopped.is_set():
                return
            runtime.stop(0.0)
            wait_s = 0.1
            while not self._stopped.is_set():
                fresh = self._make_runtime()
                try:
                    fresh.start()
                except Exception as problem:
                    _log.warning("a new worker cannot start yet: %s", problem)
                    self._stopped.wait(wait_s)
                    wait_s = min(wait_s * 2, 5.0)
                    continue
                with self._lock:
                    self._runtime = fresh
                _log.warning("worker %s takes over", fresh.worker_id)
                return

    @property
    def floor(self) -> TradingFloor:
        """The desk of this process, made when something first asks for it."""
        with self._lock:
            if self._floor is None:
                from closingbell.trading_floor import TradingFloor

                self._floor = TradingFloor(
                    settings=self.settings,
                    clock=self.clock,
                    store=self.store,
                    registry=self.registry,
                    declared=self._accounts,
                    intake=self.intake,
                    task_status=self.task_status,
                    raise_alert=self.raise_alert,
                )
                if self._works:
                    self._floor.start()
            return self._floor

    async def _until_ready(self, call: Any) -> None:
        if self._floor is not None:
            await self._floor.until_ready(call)

    # --- what happens --------------------------------------------------------------------

    def _settled(self, settled: Sequence[Settlement]) -> None:
        if self._waiters:
            for settlement in settled:
                self._waiters.tell(settlement.id)
        # Which task succeeded is not in a settlement; the look itself is cheap.
        scheduler = self._scheduler if self.agenda.upstream else None
        if scheduler is not None and any(s.state == "success" for s in settled):
            scheduler.wake()
        if any(settlement.alert is not None for settlement in settled):
            self.alert_watch.wake()
        if self._floor is not None:
            self._floor.wake()

    def _facts_started(self) -> None:
        """Facts have started runs: a worker of this process takes them at once."""
        if self._floor is not None:
            self._floor.started()
        self.store.queue.exchange()

    def _due(self, at: int) -> None:
        if self._scheduler is not None:
            self._scheduler.due(at)

    def _hint(self) -> None:
        """Another process wrote: it may have submitted for later, or changed a schedule."""
        if self._scheduler is None:
            return
        now = self.clock.monotonic()
        if now - self._last_look > _LOOK_AT_SCHEDULES_S:
            self._last_look = now
            self._scheduler.wake()
            return
        due = self.store.queue.next_due()
        if due is not None:
            self._scheduler.due(due)

    def raise_alert(
        self,
        message: str,
        severity: str,
        call: Any,
        data: dict[str, Any],
        kind: str = "task_alert",
        about: str | None = None,
    ) -> None:
        """Store an alert that a task sends, or of another kind; `about` as `alerts.put` has it."""
        self.store.alerts.put(
            self._ids.next(),
            kind,
            message,
            self.clock.micros(),
            severity=severity,
            task=None if call is None else call.claim.task,
            run_id=None if call is None else call.claim.id,
            data=data,
            about=about,
        )
        self.alert_watch.wake()

    def _archived(self, root: str, problem: Exception | None) -> None:
        """Alert people of an archive that does not work, until it works again."""
        kind = "archive_failed"
        if problem is not None:
            self.raise_alert(str(problem), "ERROR", None, {"archive": root}, kind, about=root)
        elif self.store.alerts.end(kind, root, self.clock.micros()):
            self.alert_watch.wake()

    def wake_scheduler(self) -> None:
        """Say that schedules changed."""
        if self._scheduler is not None:
            self._scheduler.wake()

    def new_id(self) -> str:
        """Return an id that was never used."""
        return self._ids.next()

    # --- runs ------------------------------------------------------------------------------

    def get_run(self, run_id: str) -> Run:
        """Return one run with its attempts."""
        return self.store.runs.get(run_id)

    def wait_run(self, run_id: str, timeout: float | None) -> Any:
        """Wait for a run's end; return its result, or raise what it ended in."""
        return self._watch.wait(run_id, timeout)

    def watch_run(
        self, run_id: str, until: Callable[[Run], bool], timeout: float | None = None
    ) -> Run:
        """Return a run as soon as `until` is true of it; see `RunWatch.watch`."""
        return self._watch.watch(run_id, until, timeout)

    async def wait_run_async(self, run_id: str, timeout: float | None) -> Any:  # noqa: ASYNC109
        """Wait for a run's end without holding a thread; as `wait_run`."""
        return await self._watch.wait_async(run_id, timeout)

    def cancel_run(self, run_id: str, reason: str) -> str:
        """Cancel a run: a durable mark first, then its worker is told."""
        state = self.store.runs.cancel(run_id, reason, self.clock.micros())
        if state == "running" and self._runtime is not None:
            self._runtime.worker.cancel(run_id, None, reason)
        self._waiters.tell(run_id)
        return state

    def tell_cancelled(self, ended: Sequence[str], asked: Sequence[str], reason: str) -> None:
        """Tell who waits here of runs that were cancelled, or asked to end, in the store."""
        if self._runtime is not None:
            for run_id in asked:
                self._runtime.worker.cancel(run_id, None, reason)
        for run_id in (*ended, *asked):
            self._waiters.tell(run_id)

    def retry_run(self, run_id: str) -> RunHandle:
        """Let a run run again now, with as many attempts as its policy gives.

        Of a task that is not known here the run's own policy counts, unless one was set.
        """
        run = self.store.runs.get(run_id)
        task = self.registry.get_task(run.task)
        if task is not None:
            attempts, hold = self.retry_policy(task).retries + 1, task.hold
        else:
            policy = self.store.policies.all().get(run.task)
            attempts, hold = run.max_attempts if policy is None else policy.retries + 1, None
        self.store.runs.retry(run_id, attempts, self.clock.micros(), hold=hold)
        self.store.queue.exchange()
        return RunHandle(run_id, self._current)

    def approve_run(self, run_id: str, reason: str | None) -> Standing:
        """Let the present actor release a run; once enough agree a worker here takes it."""
        now = self.clock.micros()
        standing = self.store.approvals.approve(run_id, now, reason)
        if standing.state == "released":
            self.store.queue.exchange()
            due = self.store.queue.next_due()
            if due is not None:
                self._due(due)
        return standing

    def reject_run(self, run_id: str, reason: str) -> Standing:
        """Let the present actor end a run that waits for people."""
        standing = self.store.approvals.reject(run_id, self.clock.micros(), reason)
        self._waiters.tell(run_id)
        return standing

    def retry_policy(self, task: TaskDefinition) -> RetryPolicy:
        """Return how a task is retried: as set at run time, else as declared."""
        return self.store.policies.all().get(task.name, task.retry)

    def set_retry_policy(self, task: TaskDefinition, policy: RetryPolicy) -> None:
        """Store a task's retry policy; it leads over the declared one, on every worker."""
        self.store.policies.put(task.name, policy, self.clock.micros())
        if self._runtime is not None:
            self._runtime.read_policies()

    def retry_later(self, run_id: str, attempts: int, due_at: int) -> None:
        """Let a run have `attempts` more attempts, not before an instant."""
        hold = self.registry.resolve(self.store.runs.get(run_id).task).hold
        self.store.runs.retry(run_id, attempts, self.clock.micros(), due_at, hold)
        self._due(due_at)

    def run_now(self, run_id: str) -> None:
        """Let a run that waits for its time be claimed now."""
        if self.store.runs.hasten(run_id, self.clock.micros()):
            self.store.queue.exchange()

    @property
    def has_worker(self) -> bool:
        """Whether a worker is alive, here or in another process on this store."""
        return self._runtime is not None or any(
            worker["state"] == "alive" for worker in self.store.workers.list_all()
        )

    def explain_run(self, run_id: str) -> str:
        """Say in one line why a run is where it is."""
        return explain(self.store.runs.get(run_id), self.store, self.clock.now())

    def flush_figures(self) -> None:
        """Store how the runs of this process's worker went that ended until now."""
        runtime = self._runtime
        if runtime is not None:
            runtime.flush_figures()

    def running_here(self) -> list[Any]:
        """Return the calls that this process's worker has inside."""
        return [] if self._runtime is None else self._runtime.worker.calls

    def task_status(self) -> dict[str, dict[str, Any]]:
        """Return how each task stands; see `App.get_task_status`."""
        return task_status(self.store, self.registry, self.clock.micros())
