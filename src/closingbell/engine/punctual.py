"""Starting on the instant: what was claimed ahead is held back until it is due.

A claim is a commit, and a commit takes as long as the disk takes. Runs that fall
due in the next milliseconds are therefore claimed ahead; this thread then starts
each at its instant, and a busy disk makes nothing late.
"""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable, Sequence

from closingbell.core.call import Call
from closingbell.core.clock import Clock


class PunctualStart:
    """Holds calls until they are due; one thread, made when first needed."""

    def __init__(self, clock: Clock, start: Callable[[Sequence[Call]], None]) -> None:
        """Hold nothing yet.

        Args:
            clock: the desk's time, and how to wait for it.
            start: hands due calls to their executors.
        """
        self._clock = clock
        self._start = start
        self._held: list[tuple[int, str, Call]] = []
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._stopped = False

    def hold(self, calls: Sequence[Call]) -> None:
        """Start these calls when they are due."""
        with self._changed:
            for call in calls:
                heapq.heappush(self._held, (call.claim.due_at, call.claim.id, call))
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="closingbell-start", daemon=True
                )
                self._thread.start()
            self._changed.notify_all()

    def take_back(self) -> list[Call]:
        """Return what is held; it will not be started."""
        with self._changed:
            held, self._held = self._held, []
            self._stopped = True
            self._changed.notify_all()
        return [call for _, _, call in held]

    def drop(self, call: Call) -> bool:
        """Let go of one call, as when it was cancelled; returns whether it was held."""
        with self._changed:
            before = len(self._held)
            self._held = [entry for entry in self._held if entry[2] is not call]
            heapq.heapify(self._held)
            return len(self._held) < before

    def _run(self) -> None:
        while True:
            due: list[Call] = []
            with self._changed:
                if self._stopped:
                    return
                now = self._clock.micros()
                while self._held and self._held[0][0] <= now:
                    due.append(heapq.heappop(self._held)[2])
                if not due:
                    until = self._held[0][0] if self._held else None
                    self._clock.wait(self._changed, until)
            if due:
                self._start(due)
