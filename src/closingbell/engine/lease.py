"""Lease: a worker's claim on all its runs, with an end.

One row per worker, not one per run. The lease is extended every third of its
length, here and by the guardian process, which also beats while a handler holds
the interpreter's lock. When it cannot be extended, the worker stops its own runs
before the lease ends and another worker may take them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from closingbell.core.clock import Clock
from closingbell.core.error import StoreError
from closingbell.core.port import Guardian, Queue, Workers

_log = logging.getLogger("closingbell.lease")


class Lease:
    """The lease of one worker; used by its upkeep thread only."""

    def __init__(
        self,
        worker_id: str,
        *,
        workers: Workers,
        queue: Queue,
        clock: Clock,
        length_s: float,
        guardian: Guardian | None,
        on_lost: Callable[[str], None],
    ) -> None:
        """Hold the lease that the worker was registered with.

        Args:
            worker_id: whose lease.
            workers: where it is stored.
            queue: whose clock decides.
            clock: the machine's time.
            length_s: how long it lasts when it is not extended.
            guardian: the process that beats from outside, or None.
            on_lost: told, once, that the lease is lost or about to end.
        """
        self._worker_id = worker_id
        self._workers = workers
        self._queue = queue
        self._clock = clock
        self._length_s = length_s
        self._guardian = guardian
        self._on_lost = on_lost
        self._held_until = clock.monotonic() + length_s
        self._next_beat = clock.monotonic() + length_s / 3
        self.lost = False

    @property
    def next_beat(self) -> float:
        """When `keep` should be called next, in machine seconds."""
        return self._next_beat

    def keep(self, silence_s: float) -> None:
        """Extend the lease if it is time to; notice when it is lost.

        Args:
            silence_s: for how long this process may be silent before its guardian
                stops beating for it.
        """
        if self._guardian is not None:
            self._guardian.pulse(silence_s)
        now = self._clock.monotonic()
        if self.lost or now < self._next_beat:
            return
        self._next_beat = now + self._length_s / 3
        try:
            stored = self._queue.machine_micros()
            until = stored + round(self._length_s * 1_000_000)
            alive = self._workers.beat(self._worker_id, stored, until)
        except StoreError as problem:
            self._next_beat = now + min(1.0, self._length_s / 10)
            if now > self._held_until - self._length_s / 6:
                self._lose(f"the store did not answer in time: {problem}")
            return
        if alive:
            self._held_until = now + self._length_s
        else:
            self._lose("another worker declared this one dead")

    def _lose(self, reason: str) -> None:
        self.lost = True
        _log.error("worker %s lost its lease: %s", self._worker_id, reason)
        self._on_lost(reason)
