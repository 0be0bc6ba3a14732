"""Timeline: everything that is still to come, in order."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from heapq import heappush
from typing import Any

from closingbell.simulation.clock import SimulationClock
from closingbell.simulation.moment import TASKS, Moment


class Timeline:
    """A heap of moments.

    Attributes:
        clock: tells the present instant.
        end: the last instant of the window.
        moments: the heap.
        task_rank: the rank of what is added for the present instant: TASKS, and AFTER_OPENING
            once the opening prints of the instant are known.
        advanced: told whenever the clock has moved; None where nobody must know.
        next_number: returns the next number of a moment.
    """

    def __init__(self, clock: SimulationClock, end: int) -> None:
        self.clock = clock
        self.end = end
        self.moments: list[Moment] = []
        self.task_rank = TASKS
        self.advanced: Callable[[int], None] | None = None
        self.next_number: Callable[[], int] = itertools.count(1).__next__

    def advance(self, at: int) -> None:
        """Let an instant come, unless it is there already."""
        if at > self.clock.at:
            self.clock.at = at
            self.task_rank = TASKS
            if self.advanced is not None:
                self.advanced(at)

    def add(
        self,
        at: int,
        rank: int,
        what: Callable[[Any], None],
        priority: int = 0,
        name: str = "",
        key: str = "",
    ) -> int:
        """Add a moment; return its number."""
        number = self.next_number()
        heappush(self.moments, (at, rank, priority, name, key, number, what))
        return number

    def add_task(
        self, at: int, what: Callable[[Any], None], priority: int, name: str, key: str
    ) -> int:
        """Add what concerns a task's run, not before the present instant; return its number."""
        number = self.next_number()
        now = self.clock.at
        rank = TASKS if at > now else self.task_rank
        heappush(self.moments, (max(at, now), rank, priority, name, key, number, what))
        return number
