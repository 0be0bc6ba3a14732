"""What a claimer holds, so that nothing is lost or doubled when an answer is lost."""

from __future__ import annotations

from closingbell.core.port import Claimer


class Held:
    """What one claimer holds, as far as its queue has told it.

    Attributes:
        claimer: whose.
        fences: the fence of each run that was delivered and has not been settled.
        uncertain: id and fence of settlements in an exchange that broke off: the server
            may have them already.
    """

    __slots__ = ("claimer", "fences", "uncertain")

    def __init__(self, claimer: Claimer) -> None:
        self.claimer = claimer
        self.fences: dict[str, int] = {}
        self.uncertain: set[tuple[str, int]] = set()
