"""SimulationLoop: the heap of moments, walked to its end by whoever holds the baton."""

from __future__ import annotations

import threading
from collections.abc import Callable
from heapq import heappop
from typing import Any

from closingbell.simulation.baton import Baton, Dismissed
from closingbell.simulation.moment import END, Moment
from closingbell.simulation.timeline import Timeline

#: How often the watch looks for a task that hangs, and tells of progress, in machine seconds.
_LOOK_S = 0.1
#: How long threads may take to end once the simulation is over, in machine seconds.
_FAREWELL_S = 2.0


class SimulationLoop:
    """Runs the moments of a timeline.

    Attributes:
        baton: its threads.
    """

    def __init__(
        self,
        timeline: Timeline,
        wind_up: Callable[[], None],
        unwind: Callable[[], None],
    ) -> None:
        """Make a loop.

        Args:
            timeline: the moments.
            wind_up: called in the loop's thread once the last moment is over.
            unwind: called after it, when no thread goes on any more, to let sleepers end.
        """
        self.baton = Baton(self._drive, self._failed)
        self._timeline = timeline
        self._clock = timeline.clock
        self._wind_up = wind_up
        self._unwind = unwind
        self._over = threading.Event()
        self._failure: BaseException | None = None
        timeline.add(timeline.end, END, self._end)

    def run(self, watch: Callable[[], Any], progress: Callable[[int], None] | None) -> None:
        """Run all moments; the calling thread only watches, and so cannot hang with a task.

        Args:
            watch: looks for tasks that hang.
            progress: told of the simulated instant several times in a machine second.

        Raises:
            BaseException: whatever the loop itself raised, or the user did by Ctrl-C.
        """
        self.baton.start()
        try:
            while not self._over.wait(_LOOK_S):
                watch()
                if progress is not None:
                    progress(self._clock.at)
        except BaseException:
            # Before everything that is still to come.
            self._timeline.add(-1, 0, self._end)
            self._over.wait(_FAREWELL_S)
            raise
        finally:
            self.baton.end()
        if self._failure is not None:
            raise self._failure

    def join(self) -> int:
        """Wait for the threads to end; return how many hang."""
        return self.baton.join(_FAREWELL_S)

    def _drive(self) -> None:
        timeline, clock, baton = self._timeline, self._clock, self.baton
        moments = timeline.moments
        while not baton.is_over:
            moment = heappop(moments)
            if moment[0] > clock.at:
                timeline.advance(moment[0])
            moment[6](moment)

    def _end(self, _moment: Moment) -> None:
        try:
            self._wind_up()
            self.baton.end()
            self._unwind()
        finally:
            self.baton.end()
            self._over.set()
        raise Dismissed

    def _failed(self, problem: BaseException) -> None:
        self._failure = problem
        self.baton.end()
        try:
            self._unwind()
        finally:
            self._over.set()
