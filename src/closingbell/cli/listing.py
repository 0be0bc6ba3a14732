"""Lists that a person reads: so many items, over as many pages as that takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    from closingbell.wire.page import Page

_T = TypeVar("_T")
#: What one request may ask for.
_MOST = 1_000


class Listed(NamedTuple, Generic[_T]):
    """Some items of a list.

    Attributes:
        items: in the list's order.
        next: where it goes on; None at its end.
        complete: False = the look ended at its bound, before so many items were found.
    """

    items: list[_T]
    next: str | None
    complete: bool


def gathered(
    ask: Callable[[int, str | None], Page[_T]], limit: int, after: str | None = None
) -> Listed[_T]:
    """Return so many items of a list.

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
        if after is None or len(items) >= limit or not page.complete:
            return Listed(items, after, page.complete)
