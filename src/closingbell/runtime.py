"""Runtime: a worker and a scheduler at work on one store, in this process."""

from __future__ import annotations

import inspect
import logging
import os
import socket
import threading
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING, Any

import msgspec

from closingbell.archiver import Archiver
from closingbell.core.call import Call
from closingbell.core.clock import Clock
from closingbell.core.limit import Room
from closingbell.core.outcome import Outcome
from closingbell.core.port import Executor
from closingbell.core.registry import TaskRegistry
from closingbell.core.run import Settlement
from closingbell.core.task import TaskDefinition
from closingbell.engine.attempt import Attempts, Runner
from closingbell.engine.lease import Lease
from closingbell.engine.rescue import Rescue
from closingbell.engine.upkeep import Rhythm, Upkeep
from closingbell.engine.worker import Worker
from closingbell.executor.capture import Capture
from closingbell.executor.result import outcome_of
from closingbell.monitor.recorder import Recorder
from closingbell.monitor.tracing import AttemptSpans
from closingbell.monitor.window import KEPT
from closingbell.settings import Settings
from closingbell.submission import Door

if TYPE_CHECKING:
    from closingbell.store.store import Store

_log = logging.getLogger("closingbell")
#: How long one step of pruning may take, in seconds.
_PRUNE_S = 0.3
_decode = msgspec.json.Decoder(dict[str, Any]).decode


def error_json(error: Any) -> str:
    """Write an error, or any JSON value, as text."""
    return msgspec.json.encode(error).decode()


class WorkerRuntime:
    """A worker with its executors, lease and upkeep."""

    def __init__(
        self,
        *,
        store: Store,
        registry: TaskRegistry,
        door: Door,
        clock: Clock,
        settings: Settings,
        algorithm: Callable[[Call], Any],
        ready: Callable[[Call], Awaitable[None]],
        on_settled: Callable[[Sequence[Settlement]], None],
        on_due: Callable[[int], None],
        on_hint: Callable[[], None],
        on_lost: Callable[[str], None],
        on_archived: Callable[[str, Exception | None], None],
    ) -> None:
        self._store = store
        self._registry = registry
        self._door = door
        self._clock = clock
        self._settings = settings
        self._algorithm = algorithm
        self._ready = ready
        self._capture = Capture(settings.log_limit_bytes)
        # Ids must be unique for ever, also among processes that reuse a pid.
        self.worker_id = f"{socket.gethostname()}-{os.getpid()}-{os.urandom(4).hex()}"
        self._spans = AttemptSpans(self.worker_id, clock)
        self._executors = self._make_executors()
        self._on_lost = on_lost
        self._recorder = Recorder(self.worker_id, store.performance)
        self._attempts = Attempts(
            clock=clock,
            resolve=registry.get_task,
            runner=self._runner,
            error_json=error_json,
            take_logs=self._take_logs,
            rng=Random(os.urandom(16)),  # noqa: S311  (jitter of retries)
            poison_after=settings.poison_after,
            long_execution_s=settings.long_execution_s,
            leave=self._spans.leave,
        )
        self.worker = Worker(
            self.worker_id,
            queue=store.queue,
            executors=self._executors,
            attempts=self._attempts,
            clock=clock,
            room=self._room,
            on_settled=on_settled,
            on_ended=self._recorder.note,
            on_due=on_due,
            on_hint=on_hint,
        )
        self._guardian: Any = None
        self._upkeep: Upkeep | None = None
        #: Archives what is old, where the setting `archive` says where to.
        self.archiver = self._make_archiver(on_archived)

    def _make_executors(self) -> dict[str, Executor]:
        from closingbell.executor.asynchronous import AsyncExecutor
        from closingbell.executor.process import ProcessExecutor
        from closingbell.executor.thread import ThreadExecutor

        settings, clock, capture = self._settings, self._clock, self._capture
        return {
            "async": AsyncExecutor(settings.async_slots, clock, capture),
            "thread": ThreadExecutor(settings.thread_slots, clock, capture),
            "process": ProcessExecutor(
                settings.process_slots or os.cpu_count() or 1,
                clock,
                capture,
                on_send=self._spans.send,
            ),
        }

    def _runner(self, task: TaskDefinition) -> Runner:
        binding = self._door.binding(task)
        handler, name = task.handler, task.name
        algorithm = self._algorithm if binding.needs_algorithm else None

        enter = self._spans.enter

        def invoke(call: Call) -> Any:
            enter(call)
            args, kwargs = binding.arguments(
                _decode(call.claim.payload), call, None if algorithm is None else algorithm(call)
            )
            return handler(*args, **kwargs)

        async def invoke_when_ready(call: Call) -> Any:
            enter(call)
            # On the loop nothing may block until the market is where the run's instant is.
            await self._ready(call)
            value = invoke(call)
            return await value if inspect.isawaitable(value) else value

        def encode(_call: Call, value: Any) -> Outcome:
            return outcome_of(name, value)

        waits = algorithm is not None and task.executor == "async"
        return (invoke_when_ready if waits else invoke), encode

    def _take_logs(self, call: Call) -> tuple[tuple[str, str], ...]:
        merged: list[tuple[str, str]] = []
        for stream, text in self._capture.take(call):
            if merged and merged[-1][0] == stream:
                merged[-1] = (stream, merged[-1][1] + text)
            else:
                merged.append((stream, text))
        return tuple(merged)

    def _room(self, calls: Iterable[Call]) -> Room:
        if not any(task.cpu or task.memory for task in self._registry):
            return Room()
        import psutil

        held_cpu = sum(call.task.cpu for call in calls)
        held_memory = sum(call.task.memory for call in calls)
        # What running calls were promised may not be taken yet: both bounds must hold.
        total, available = psutil.virtual_memory()[:2]
        return Room(
            (os.cpu_count() or 1) - held_cpu, min(total * 0.9 - held_memory, available * 0.95)
        )

    def start(self) -> None:
        """Register the worker and set it to work; when that fails, nothing is left running."""
        try:
            self._start()
        except BaseException:
            self._halt()
            raise

    def _start(self) -> None:
        store, settings, queue = self._store, self._settings, self._store.queue
        now = queue.machine_micros()
        store.workers.register(
            self.worker_id,
            socket.gethostname(),
            os.getpid(),
            self._about(),
            now,
            now + round(settings.lease_s * 1_000_000),
        )
        # After the store has answered: a worker that cannot start leaves no threads behind.
        for executor in self._executors.values():
            executor.start()
        if settings.guardian:
            from closingbell.store.guardian import Guardian

            self._guardian = Guardian(store.database.address, self.worker_id, settings.lease_s)
        lease = Lease(
            self.worker_id,
            workers=store.workers,
            queue=queue,
            clock=self._clock,
            length_s=settings.lease_s,
            guardian=self._guardian,
            on_lost=self._lost,
        )
        rescue = Rescue(
            workers=store.workers,
            queue=queue,
            attempts=self._attempts,
            clock=self._clock,
            resolve=self._registry.get_task,
            on_lost=self._spans.lost,
        )
        self._upkeep = Upkeep(
            self.worker,
            lease=lease,
            rescue=rescue,
            attempts=self._attempts,
            workers=store.workers,
            policies=store.policies,
            logs=store.runs,
            clock=self._clock,
            rhythm=Rhythm(rescue_s=min(5.0, settings.lease_s / 3)),
            take_logs=self._take_logs,
            flush_figures=self._recorder.flush,
            prune=self._prune,
        )
        # Before the first run ends: what was set at run time leads.
        self.read_policies()
        self.worker.start()
        self._upkeep.start()

    def stop(self, grace_s: float) -> None:
        """Drain: let runs finish within `grace_s`, give the rest back, leave."""
        self.worker.stop(grace_s)
        self._halt()
        try:
            self._recorder.flush()
        except Exception:
            _log.exception("the figures of the last seconds could not be stored")
        try:
            self._store.workers.leave(self.worker_id, self._store.queue.machine_micros())
        except Exception:
            _log.exception("the worker could not say that it left; its lease will end by itself")

    @property
    def is_alive(self) -> bool:
        """Whether it works and keeps its lease."""
        return self.worker.is_alive and self._upkeep is not None and self._upkeep.is_alive

    def read_policies(self) -> None:
        """Take over the retry policies that were set at run time."""
        self._attempts.policies = self._store.policies.all()

    def flush_figures(self) -> None:
        """Store how the runs went that ended until now."""
        self._recorder.flush()

    def _halt(self) -> None:
        if self._upkeep is not None:
            self._upkeep.stop()
        if self.archiver is not None:
            self.archiver.stop()
        if self._guardian is not None:
            self._guardian.stop()
        for executor in self._executors.values():
            executor.stop(0.0)

    def _lost(self, reason: str) -> None:
        self.worker.abandon(f"its lease was lost: {reason}")
        # Off the upkeep thread, which a restart must be able to join.
        threading.Thread(
            target=self._on_lost, args=(reason,), name="closingbell-renew", daemon=True
        ).start()

    def _about(self) -> Mapping[str, Any]:
        from closingbell import __version__

        return {
            "version": __version__,
            "slots": {kind: executor.slots for kind, executor in self._executors.items()},
            "tasks": sorted(task.name for task in self._registry),
        }

    def _prune(self) -> bool:
        """Delete what is old, for a moment; return whether there is more."""
        if self.archiver is not None:
            self.archiver.begin()
            return False
        settings, retention = self._settings, self._store.retention
        now = self._clock.micros()
        enough = self._clock.monotonic() + _PRUNE_S
        for name in retention.tasks():
            task = self._registry.get_task(name)
            keep = settings.retention_s
            if task is not None and task.retention is not None:
                keep = task.retention / timedelta(seconds=1)
            while retention.prune_runs(name, now - round(keep * 1_000_000)):
                if self._clock.monotonic() > enough:
                    return True
        kept = now - round(settings.retention_s * 1_000_000)
        ticks = now - round(settings.firing_retention_s * 1_000_000)
        self._prune_rest({"events": kept, "alerts": kept, "firings": ticks}, now)
        return False

    def _make_archiver(
        self, on_archived: Callable[[str, Exception | None], None]
    ) -> Archiver | None:
        settings, clock = self._settings, self._clock
        if settings.archive is None:
            return None
        from closingbell.store.archive import Cut

        def cut() -> Cut:
            now = clock.micros()
            own = {
                task.name: now - task.retention // timedelta(microseconds=1)
                for task in self._registry
                if task.retention is not None
            }
            kept = now - round(settings.retention_s * 1_000_000)
            return Cut(own, kept, now - round(settings.firing_retention_s * 1_000_000))

        def prune_rest() -> None:
            # What is archived is gone by now; days that are not whole stay with the rest.
            now = clock.micros()
            kept = now - round(settings.retention_s * 1_000_000)
            self._prune_rest({"events": 0, "alerts": 0, "firings": 0, "batches": kept}, now)

        return Archiver(
            store=self._store,
            root=settings.archive,
            cut=cut,
            prune_rest=prune_rest,
            on_archived=on_archived,
        )

    def _prune_rest(self, before: Mapping[str, int], now: int) -> None:
        self._store.retention.prune_facts(before, now)
        self._store.performance.prune({width: now - s * 1_000_000 for width, s in KEPT.items()})
        week = 7 * 86_400 * 1_000_000
        self._store.workers.forget(self._store.queue.machine_micros() - week)
