"""The knowledge that nothing is pending, for as long as it can be trusted."""

from __future__ import annotations


class Quiet:
    """Executors that nothing is pending for, as the latest look found.

    Looking costs most when there is nothing to find: the dead rows of all that was claimed
    since the last vacuum lie at the front of the index.
    """

    def __init__(self) -> None:
        self._executors: set[str] = set()
        self._until = 0.0
        self._news = 0

    def stale(self) -> None:
        """Note that something may be pending now."""
        self._news += 1
        self._executors = set()

    def look(self) -> int:
        """Begin a look; what comes in meanwhile spoils its answer."""
        return self._news

    def note(self, look: int, executors: set[str], until: float) -> None:
        """Keep what a look found."""
        if look == self._news:
            self._executors, self._until = executors, until
            if look != self._news:
                self._executors = set()

    def knows(self, executor: str, now: float) -> bool:
        """Whether nothing is pending for this executor."""
        return executor in self._executors and now < self._until
