"""Staff: how many children there should be, and which of them have served long enough."""

from __future__ import annotations

from closingbell.executor.offspring import Offspring

#: So many children in a row that end before they do anything mean that none will.
FAILED_STARTS = 3


class Staff:
    """The children of one executor.

    Attributes:
        children: those that were started and have not been buried.
        failed_starts: how many in a row ended before they did anything.
    """

    def __init__(
        self, size: int, recycle_after_calls: int | None, recycle_above_bytes: int | None
    ) -> None:
        """Make a staff without children.

        Args:
            size: the most children.
            recycle_after_calls: one that ran so many calls is replaced; None = never.
            recycle_above_bytes: one with more resident memory is replaced; None = never.
        """
        self.size = size
        self.children: list[Offspring] = []
        self.failed_starts = 0
        self._wanted = 0
        self._recycle_after_calls = recycle_after_calls
        self._recycle_above_bytes = recycle_above_bytes

    @property
    def is_hopeless(self) -> bool:
        """Whether children keep ending before they do anything."""
        return self.failed_starts >= FAILED_STARTS

    def missing(self, waiting: int) -> int:
        """Return how many children are to be started.

        As many as were once busy at a time stay, so that the next calls find them warm.

        Args:
            waiting: how many calls wait for a child.
        """
        if self.is_hopeless and not waiting:
            return 0
        busy = sum(1 for child in self.children if child.unreported)
        self._wanted = max(self._wanted, min(self.size, busy + waiting))
        return self._wanted - sum(
            1 for child in self.children if not child.retiring and not child.killed
        )

    def is_worn(self, child: Offspring) -> bool:
        """Whether a child that has nothing to do should be replaced."""
        calls, memory = self._recycle_after_calls, self._recycle_above_bytes
        return not child.retiring and (
            (calls is not None and child.answered >= calls)
            or (memory is not None and child.board.memory > memory)
        )
