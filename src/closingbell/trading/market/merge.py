"""Bars of several symbols as slices, in order, a block at a time."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter, itemgetter

from closingbell.core.bar import Bar, CorporateAction, Slice

START, END = attrgetter("start"), attrgetter("end")
#: What orders bars of several symbols: start and end.
WHEN = itemgetter(1, 2)
_NEVER = 1 << 62
_NO_ACTIONS: tuple[CorporateAction, ...] = ()


class _Head:
    """One symbol's stream, and the part of its present block that is still to come."""

    __slots__ = ("_begin", "_block", "_stream")

    def __init__(self, stream: Iterator[Sequence[Bar]]) -> None:
        self._stream = stream
        self._begin = 0
        self._block = next(stream, ())

    def __bool__(self) -> bool:
        return bool(self._block)

    @property
    def horizon(self) -> int:
        return self._block[-1].start

    def take(self, horizon: int) -> Sequence[Bar]:
        """Return what starts at or before the horizon."""
        block, begin = self._block, self._begin
        if block[-1].start <= horizon:
            self._block, self._begin = next(self._stream, ()), 0
            return block[begin:] if begin else block
        self._begin = bisect_right(block, horizon, begin, key=START)
        return block[begin : self._begin]


def merge(streams: Sequence[Iterator[Sequence[Bar]]]) -> Iterator[Sequence[Bar]]:
    """Yield the bars of several symbols in blocks, ordered by (start, end, symbol).

    Bars that start together come in one block. At most one block of each stream is held.

    Args:
        streams: one for each symbol, by symbol; each yields blocks of bars, oldest first, and
            no empty one.
    """
    if len(streams) == 1:
        yield from streams[0]
        return
    heads = [_Head(stream) for stream in streams]
    while heads := [head for head in heads if head]:
        horizon = min(head.horizon for head in heads)
        due: list[Bar] = []
        for head in heads:
            due += head.take(horizon)
        # Stable, and the streams come by symbol.
        due.sort(key=WHEN)
        yield due


def slices_of(
    blocks: Iterable[Sequence[Bar]], actions: Sequence[CorporateAction]
) -> Iterator[Slice]:
    """Yield ordered bars as slices, each action with the first slice that starts at or after it.

    Args:
        blocks: as `merge` yields them.
        actions: ordered by `at`.
    """
    count, due = 0, actions[0].at if actions else _NEVER
    new = tuple.__new__
    for block in blocks:
        # Bars that start together never span two blocks.
        position, length = 0, len(block)
        while position < length:
            first = block[position]
            start, end = first[1], first[2]
            position += 1
            if position < length and block[position][1] == start and block[position][2] == end:
                since = position - 1
                while (
                    position < length and block[position][1] == start and block[position][2] == end
                ):
                    position += 1
                group = tuple(block[since:position])
            else:
                group = (first,)
            effective = _NO_ACTIONS
            if due <= start:
                since = count
                while count < len(actions) and actions[count].at <= start:
                    count += 1
                effective = tuple(actions[since:count])
                due = actions[count].at if count < len(actions) else _NEVER
            yield new(Slice, (start, end, group, effective))


def with_actions(parts: Iterable[Slice], actions: Sequence[CorporateAction]) -> Iterator[Slice]:
    """Yield slices, each action with the first one that starts at or after it.

    Args:
        parts: ordered, without actions of their own.
        actions: ordered by `at`.
    """
    count = 0
    for part in parts:
        since = count
        while count < len(actions) and actions[count].at <= part.start:
            count += 1
        yield part._replace(actions=tuple(actions[since:count])) if count > since else part
