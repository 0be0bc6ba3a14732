"""Upkeep: what a worker does beside its runs, on a thread of its own.

Extends the lease, notices cancellations that other processes asked for, rescues
what dead workers held, stores what long runs print and how runs went, and prunes.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import NamedTuple

from closingbell.core.call import Call
from closingbell.core.clock import Clock
from closingbell.core.error import StoreError
from closingbell.core.port import Logs, Policies, Workers
from closingbell.engine.attempt import Attempts
from closingbell.engine.lease import Lease
from closingbell.engine.rescue import Rescue
from closingbell.engine.worker import Worker

_log = logging.getLogger("closingbell.upkeep")


#: Between two steps of pruning while there is more to prune, in seconds.
_NEXT_PRUNE_S = 0.5


class Rhythm(NamedTuple):
    """How often what is looked after, in machine seconds."""

    cancels_s: float = 0.25
    rescue_s: float = 5.0
    logs_s: float = 1.0
    policies_s: float = 2.0
    figures_s: float = 5.0
    prune_s: float = 60.0


class Upkeep:
    """The upkeep thread of one worker."""

    def __init__(
        self,
        worker: Worker,
        *,
        lease: Lease,
        rescue: Rescue,
        attempts: Attempts,
        workers: Workers,
        policies: Policies,
        logs: Logs,
        clock: Clock,
        rhythm: Rhythm,
        take_logs: Callable[[Call], Sequence[tuple[str, str]]],
        flush_figures: Callable[[], None],
        prune: Callable[[], bool],
    ) -> None:
        self._worker = worker
        self._lease = lease
        self._rescue = rescue
        self._attempts = attempts
        self._workers = workers
        self._policies = policies
        self._logs = logs
        self._clock = clock
        self._rhythm = rhythm
        self._take_logs = take_logs
        self._flush_figures = flush_figures
        self._prune = prune
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        now = clock.monotonic()
        self._due = {
            self._see_cancels: (now, rhythm.cancels_s),
            self._rescue_lost: (now, rhythm.rescue_s),
            self._store_logs: (now + rhythm.logs_s, rhythm.logs_s),
            self._read_policies: (now, rhythm.policies_s),
            self._store_figures: (now + rhythm.figures_s, rhythm.figures_s),
            self._prune_old: (now + rhythm.prune_s, rhythm.prune_s),
        }

    def start(self) -> None:
        """Begin."""
        self._thread = threading.Thread(target=self._keep, name="closingbell-upkeep", daemon=True)
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether it was started and goes on."""
        return self._thread is not None and self._thread.is_alive()

    def stop(self) -> None:
        """End, and wait for it."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=10)

    def _keep(self) -> None:
        while not self._stop.is_set():
            self._lease.keep(self._allowed_silence())
            for duty, (due, every) in list(self._due.items()):
                now = self._clock.monotonic()
                if now < due:
                    continue
                self._due[duty] = (now + every, every)
                try:
                    duty()
                except StoreError as problem:
                    _log.debug("%s is put off: %s", duty.__name__, problem)
                except Exception:
                    _log.exception("%s failed; it will be tried again", duty.__name__)
            soonest = min(self._lease.next_beat, *(due for due, _ in self._due.values()))
            self._stop.wait(min(max(soonest - self._clock.monotonic(), 0.01), 0.25))

    def _allowed_silence(self) -> float:
        longest = max((call.claim.timeout_s for call in self._worker.calls), default=0.0)
        return longest + 60.0

    def _see_cancels(self) -> None:
        if not self._worker.calls:
            return
        for run_id, fence, reason in self._workers.cancel_requests(self._worker.worker_id):
            self._worker.cancel(run_id, fence, reason)

    def _rescue_lost(self) -> None:
        self._worker.settle_foreign(self._rescue.settlements())

    def _store_logs(self) -> None:
        for call in self._worker.calls:
            if call.logs:
                pieces = self._take_logs(call)
                if pieces:
                    claim = call.claim
                    self._logs.add_logs(claim.id, claim.fence, pieces, self._clock.micros())

    def _read_policies(self) -> None:
        self._attempts.policies = self._policies.all()
        self._worker.forget_unknown()

    def _store_figures(self) -> None:
        self._flush_figures()

    def _prune_old(self) -> None:
        if self._prune():
            # More is old than one step deletes; the lease must not wait for it.
            soon = self._clock.monotonic() + _NEXT_PRUNE_S
            self._due[self._prune_old] = (soon, self._rhythm.prune_s)
