"""Where the pending runs begin, for as long as that can be trusted."""

from __future__ import annotations

from collections.abc import Mapping

#: A place in the order of claiming: priority, due_at, id.
Position = tuple[int, int, str]
START: Position = (0, 0, "")


class Front:
    """What the latest looks found: nothing is pending before a position, or nothing at all.

    On PostgreSQL a claimed run leaves a dead entry at the front of the index. A look that
    begins there walks past all that was claimed since the last vacuum; one that begins
    where the look before it ended does not. What is known is forgotten with every hint
    that something was submitted, and after a short time without any.
    """

    def __init__(self, trust_s: float) -> None:
        """Know nothing.

        Args:
            trust_s: how long a look from the start may be trusted.
        """
        self._trust_s = trust_s
        self._positions: dict[str, Position] = {}
        self._empty: frozenset[str] = frozenset()
        self._until = 0.0
        self._news = 0

    def stale(self) -> None:
        """Note that something may be pending anywhere; from any thread."""
        self._news += 1

    def look(self, now: float) -> int:
        """Begin a look, at machine seconds `now`; what comes in meanwhile spoils its answer."""
        if now >= self._until or self._news:
            self._news = 0
            self._positions = {}
            self._empty = frozenset()
            self._until = now + self._trust_s
        return self._news

    def begins(self, executor: str) -> Position:
        """Return after which position to look."""
        return self._positions.get(executor, START)

    def note(self, ends: Mapping[str, Position], empty: frozenset[str]) -> None:
        """Keep where a look ended, and for which executors it left nothing."""
        self._positions.update(ends)
        self._empty |= empty

    def is_empty(self, executor: str, now: float) -> bool:
        """Whether nothing is pending for this executor."""
        return executor in self._empty and now < self._until and not self._news
