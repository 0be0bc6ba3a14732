"""Recorder: what a worker's runs add to the figures, gathered in memory and stored now and then.

Noting is on the hot path and only appends numbers. What was noted since the last
flush is lost when the process is killed: a few seconds of figures, never a run.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Protocol

from closingbell.core.run import Claim, Settlement
from closingbell.monitor.figures import Figures, merge_encoded
from closingbell.monitor.window import DAY, EVER, HOUR, MINUTE, TOTAL, bucket_of

#: So many values are put into a sketch together.
_FOLD = 512
_MINUTE_US = MINUTE * 1_000_000
#: Whose buckets those are whose runs no worker of this engine ran.
ELSEWHERE = "elsewhere"
_FAILURES = frozenset(("raised", "timed_out", "lost"))


class FigureRow(NamedTuple):
    """What is to be added to one stored bucket.

    Attributes:
        worker: whose bucket it is; "" for one that all workers share.
        data: encoded figures.
    """

    width_s: int
    task: str
    bucket_at: int
    worker: str
    data: bytes


class FigureStore(Protocol):
    """Where figures are kept, to be added to."""

    def add(
        self, rows: Sequence[FigureRow], batch: int, merge: Callable[[bytes, bytes], bytes]
    ) -> bool:
        """Add rows to what is stored, all or none.

        Args:
            rows: of one worker, with at least one bucket of its own among them, the first.
            batch: counts up from 1 with each batch of a worker. One that is stored already is
                not added again; so a batch whose answer was lost can be sent once more. 0 is
                always added.
            merge: adds two encoded figures.

        Returns:
            Whether they were added now.
        """
        ...


class _Gathered:
    """What one task did in one minute, before it is put into sketches."""

    __slots__ = ("durations", "figures", "lateness", "success", "waits")

    def __init__(self) -> None:
        self.figures = Figures()
        self.success = 0
        self.durations: list[int] = []
        self.lateness: list[int] = []
        self.waits: list[int] = []

    def fold(self) -> Figures:
        figures = self.figures
        figures.success += self.success
        self.success = 0
        figures.durations.add(self.durations)
        figures.lateness.add(self.lateness)
        figures.waits.add(self.waits)
        self.durations.clear()
        self.lateness.clear()
        self.waits.clear()
        return figures


class Recorder:
    """Gathers what one worker's runs add to the figures."""

    def __init__(self, worker: str, store: FigureStore) -> None:
        """Make it.

        Args:
            worker: whose; unique for ever.
            store: where `flush` puts it.
        """
        self._worker = worker
        self._store = store
        self._gathered: dict[tuple[str, int], _Gathered] = {}
        self._lock = threading.Lock()
        self._flushing = threading.Lock()
        self._unsent: list[FigureRow] = []
        self._batch = 0

    def note(self, ended: Iterable[tuple[Claim, Settlement]]) -> None:
        """Take what was settled and accepted, from any thread."""
        with self._lock:
            gathered = self._gathered
            for claim, settlement in ended:
                minute = settlement.finished_at // _MINUTE_US
                key = claim.task, minute
                into = gathered.get(key)
                if into is None:
                    into = gathered[key] = _Gathered()
                if settlement.outcome == "given_back":
                    # It never started, so that only its end counts, if it has ended.
                    _count(into.figures, settlement)
                    continue
                started = settlement.started_at or claim.started_at
                # A claim is made a little ahead of its instant.
                wait = started - claim.due_at
                waits = into.waits
                waits.append(wait if wait > 0 else 0)
                if claim.fence == 1:
                    late = wait if claim.fire_at is None else started - claim.fire_at
                    into.lateness.append(late if late > 0 else 0)
                if settlement.state == "success":
                    into.success += 1
                    took = settlement.finished_at - started
                    into.durations.append(took if took > 0 else 0)
                else:
                    _count(into.figures, settlement)
                if len(waits) >= _FOLD:
                    into.fold()

    def flush(self) -> None:
        """Store what was noted; what cannot be stored now is stored by the next call.

        Raises:
            StoreError: the store did not take it; nothing is lost.
        """
        with self._flushing:
            # First what an earlier call could not be sure of.
            self._send()
            with self._lock:
                gathered, self._gathered = self._gathered, {}
            if gathered:
                self._unsent = _rows(gathered, self._worker)
                self._batch += 1
                self._send()

    def _send(self) -> None:
        if self._unsent:
            self._store.add(self._unsent, self._batch, merge_encoded)
            self._unsent = []


def rows_elsewhere(task: str, state: str, started_at: int, finished_at: int) -> list[FigureRow]:
    """Return what one run adds that ended on somebody else's executor; add them as batch 0."""
    into = _Gathered()
    if state == "success":
        into.success = 1
        into.durations.append(max(finished_at - started_at, 0))
    else:
        setattr(into.figures, state, 1)
    return _rows({(task, finished_at // _MINUTE_US): into}, ELSEWHERE)


def _count(figures: Figures, settlement: Settlement) -> None:
    state = settlement.state
    if state == "failed":
        figures.failed += 1
    elif state == "cancelled":
        figures.cancelled += 1
    elif state == "skipped":
        figures.skipped += 1
    elif settlement.outcome in _FAILURES:
        figures.retried += 1


def _rows(gathered: dict[tuple[str, int], _Gathered], worker: str) -> list[FigureRow]:
    own: list[FigureRow] = []
    together: dict[int, Figures] = {}
    shared: dict[tuple[int, str, int], Figures] = {}
    for (task, minute), into in gathered.items():
        figures, at = into.fold(), minute * _MINUTE_US
        own.append(FigureRow(MINUTE, task, at, worker, figures.encode()))
        together.setdefault(at, Figures()).merge(figures)
        for width in (HOUR, DAY, EVER):
            key = width, task, bucket_of(at, width)
            shared.setdefault(key, Figures()).merge(figures)
    for at, figures in together.items():
        own.append(FigureRow(MINUTE, TOTAL, at, worker, figures.encode()))
        for width in (HOUR, DAY, EVER):
            key = width, TOTAL, bucket_of(at, width)
            shared.setdefault(key, Figures()).merge(figures)
    # In one order, so that two workers never wait for each other.
    return own + [
        FigureRow(width, task, at, "", figures.encode())
        for (width, task, at), figures in sorted(shared.items(), key=lambda item: item[0])
    ]
