"""Rescue: runs whose worker is gone go to `decide` as lost."""

from __future__ import annotations

import logging
from collections.abc import Callable

from closingbell.core.call import describe_error
from closingbell.core.clock import Clock
from closingbell.core.error import WorkerLost
from closingbell.core.outcome import Lost
from closingbell.core.port import Queue, Workers
from closingbell.core.run import Claim, Settlement
from closingbell.core.task import TaskDefinition
from closingbell.engine.attempt import Attempts

_log = logging.getLogger("closingbell.rescue")


class Rescue:
    """Finds what the dead held. Any number of workers may rescue at once.

    The settlement carries the fence of the dead worker's claim, so that of two
    rescuers one is refused, and a worker that was only slow is refused too.
    """

    def __init__(
        self,
        *,
        workers: Workers,
        queue: Queue,
        attempts: Attempts,
        clock: Clock,
        resolve: Callable[[str], TaskDefinition | None],
        on_lost: Callable[[str, Claim, Settlement], None],
    ) -> None:
        self._workers = workers
        self._queue = queue
        self._attempts = attempts
        self._clock = clock
        self._resolve = resolve
        self._on_lost = on_lost

    def settlements(self) -> list[tuple[Claim, Settlement]]:
        """Return what dead workers hold, with the settlement of each."""
        gone = self._workers.bury(self._queue.machine_micros())
        if not gone:
            return []
        rescued: list[tuple[Claim, Settlement]] = []
        for worker_id in gone:
            lost = Lost(describe_error(WorkerLost(worker_id, None, "its lease ended")))
            for claim in self._workers.held([worker_id]):
                settlement = self._attempts.settle_claim(
                    claim, self._resolve(claim.task), lost, claim.cancel_reason
                )
                self._on_lost(worker_id, claim, settlement)
                rescued.append((claim, settlement))
        if rescued:
            _log.warning("rescuing %d runs of %d lost workers", len(rescued), len(gone))
        return rescued
