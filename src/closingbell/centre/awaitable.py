"""Answers that may be awaited, and need not be.

The scheduler-centre document declares these calls `async def`, and calls one of
them without awaiting it. Here the work is done when the call returns, and awaiting
the answer gives it at once. The price: on an event loop the call holds the loop for
one commit (a millisecond or so on a disk); code that minds uses `app.aio`.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any


class AwaitableText(str):
    """Text; `await` gives it as a plain `str`."""

    __slots__ = ()

    def __await__(self) -> Generator[Any, None, str]:
        yield from ()
        return str(self)


class AwaitableList(list[str]):
    """A list of texts; `await` gives it as a plain `list`."""

    def __await__(self) -> Generator[Any, None, list[str]]:
        yield from ()
        return list(self)
