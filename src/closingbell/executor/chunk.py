"""Chunks: how many short runs travel to a child in one message.

A message costs a wake-up on both sides, tens of microseconds. Runs that take about as
long travel together; a run whose duration nobody knows yet, or a long one,
travels alone. Pure: the caller measures and sends.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from math import ceil

#: A chunk holds about so many seconds of work.
CHUNK_S = 0.008
#: And at most so many runs.
CHUNK_RUNS = 64
#: The executor holds so many chunks for each child, so that none waits for the next one.
CHUNKS_AHEAD = 2


class Durations:
    """What is known about how long each task's runs take."""

    def __init__(self) -> None:
        self._by_task: dict[str, float] = {}
        self._overall: float | None = None

    def learn(self, task: str, seconds: float) -> None:
        """Take in one measured run: quick to believe in longer ones, slow in shorter ones."""
        known = self._by_task.get(task)
        if known is None:
            self._by_task[task] = seconds
        else:
            weight = 0.5 if seconds > known else 0.1
            self._by_task[task] = known + weight * (seconds - known)
        overall = self._overall
        self._overall = seconds if overall is None else overall + 0.05 * (seconds - overall)

    def estimate(self, task: str) -> float | None:
        """Return how long a run of this task is expected to take, or None."""
        return self._by_task.get(task)

    def is_short(self, task: str) -> bool:
        """Whether runs of this task may share a chunk."""
        known = self._by_task.get(task)
        return known is not None and known < CHUNK_S

    def places(self) -> int:
        """Return how many runs one child has work for at a time, from what ended lately."""
        overall = self._overall
        if overall is None or overall >= CHUNK_S:
            return 1
        runs = ceil(CHUNK_S / max(overall, 1e-6))
        return CHUNKS_AHEAD * min(runs, CHUNK_RUNS)


def chunk_size(tasks: Iterable[str], count: int, durations: Durations, children: int) -> int:
    """Return how many of the waiting runs, from the first on, make the next chunk.

    Args:
        tasks: the task names of the waiting runs, in order.
        count: how many there are.
        durations: what is known about them.
        children: among so many the work is shared, so that all end at about the same time.
    """
    limit = min(CHUNK_RUNS, ceil(count / max(children, 1)))
    total = 0.0
    for before, task in enumerate(islice(tasks, limit)):
        expected = durations.estimate(task)
        if expected is None or total + expected > CHUNK_S:
            return max(before, 1)
        total += expected
    return limit
