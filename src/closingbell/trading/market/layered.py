"""LayeredBars: a catalogue, and another source for the symbols that it does not have."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence

from closingbell.core.bar import Bar, BarSource, CorporateAction, Slice
from closingbell.trading.market.catalogue import BarCatalogue


class LayeredBars:
    """Symbol by symbol and timeframe by timeframe: the catalogue's bars, else those below.

    Args:
        catalogue: what leads.
        below: what is read where the catalogue has nothing.
    """

    def __init__(self, catalogue: BarCatalogue, below: BarSource) -> None:
        self._catalogue = catalogue
        self._below = below

    def symbols(self) -> list[str]:
        return sorted({*self._catalogue.symbols(), *self._below.symbols()})

    def span(self, timeframe: str) -> tuple[int, int] | None:
        spans = [s for s in (self._catalogue.span(timeframe), self._below.span(timeframe)) if s]
        return (min(start for start, _ in spans), max(end for _, end in spans)) if spans else None

    def slices(
        self, timeframe: str, start: int, end: int, symbols: Iterable[str] | None = None
    ) -> Iterator[Slice]:
        wanted = None if symbols is None else set(symbols)
        own = self._own(timeframe)
        if not own:
            return iter(self._below.slices(timeframe, start, end, wanted))
        rest = set(self._below.symbols()) - own
        return _merged(
            self._catalogue.slices(timeframe, start, end, wanted),
            self._below.slices(timeframe, start, end, rest if wanted is None else rest & wanted),
        )

    def bars(
        self, symbol: str, timeframe: str, start: int, end: int, limit: int | None = None
    ) -> Sequence[Bar]:
        found = self._catalogue.bars(symbol, timeframe, start, end, limit)
        if found or symbol in self._own(timeframe):
            return found
        return self._below.bars(symbol, timeframe, start, end, limit)

    def actions(self, start: int, end: int) -> Sequence[CorporateAction]:
        own = set(self._catalogue.symbols())
        below = [a for a in self._below.actions(start, end) if a.symbol not in own]
        return sorted(
            [*self._catalogue.actions(start, end), *below], key=lambda a: (a.at, a.symbol)
        )

    def _own(self, timeframe: str) -> set[str]:
        return set(self._catalogue.view(timeframe=timeframe).symbols())


def _merged(first: Iterator[Slice], second: Iterator[Slice]) -> Iterator[Slice]:
    """Yield slices in order; two of the same start and end become one."""
    held: Slice | None = None
    for part in heapq.merge(first, second, key=lambda s: (s.start, s.end)):
        if held is not None and (held.start, held.end) == (part.start, part.end):
            held = Slice(
                part.start,
                part.end,
                tuple(sorted((*held.bars, *part.bars))),
                tuple(sorted((*held.actions, *part.actions), key=lambda a: (a.at, a.symbol))),
            )
            continue
        if held is not None:
            yield held
        held = part
    if held is not None:
        yield held
