"""Lists that a person reads: so many items, over as many pages as that takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from closingbell.wire.page import Page

_T = TypeVar("_T")
#: What one request may ask for.
_MOST = 1_000


def gathered(
    ask: Callable[[int, str | None], Page[_T]], limit: int, after: str | None = None
) -> tuple[list[_T], str | None]:
    """Return so many items, and where the list goes on; None at its end.

    Args:
        ask: returns a page of so many items after a place.
        limit: how many are wanted.
        after: where to begin.
    """
    items: list[_T] = []
    while True:
        page = ask(min(limit - len(items), _MOST), after)
        items += page.items
        after = page.next
        if after is None or len(items) >= limit:
            return items, after
