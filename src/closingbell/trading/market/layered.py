"""LayeredBars: a catalogue, and another source for the symbols that it does not have."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from heapq import merge

from closingbell.core.bar import QUOTE, Bar, BarSource, CorporateAction, Slice, timeframe_seconds
from closingbell.trading.market.action import unknown
from closingbell.trading.market.catalogue import BarCatalogue
from closingbell.trading.market.merge import with_actions

_EVER = 1 << 62


class LayeredBars:
    """Symbol by symbol and timeframe by timeframe: the catalogue's bars, else those below.

    What the catalogue put away still is the catalogue's.

    Corporate actions of a symbol are the catalogue's, and with them those below where the bars
    are. The same one counts once.

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
        view = self._catalogue.view(timeframe=timeframe)
        stored = {file.symbol for file in self._catalogue.manifest.files(None, timeframe)}
        own = stored if wanted is None else stored & wanted
        rest = [
            symbol
            for symbol in self._below.symbols()
            if symbol not in stored and (wanted is None or symbol in wanted)
        ]
        if not own and not view.actions(-_EVER, _EVER):
            return iter(self._below.slices(timeframe, start, end, rest))
        below = [a for a in self._below.actions(-_EVER, end) if a.symbol in rest]
        above = [a for a in view.actions(-_EVER, end) if wanted is None or a.symbol in wanted]
        actions = _united(above, below)
        if actions and actions[0].at < start:
            since = self._since(timeframe, start, own, rest)
            actions = [action for action in actions if action.at >= since]
        parts = _joined(
            view.slices(timeframe, start, end, own),
            self._below.slices(timeframe, start, end, rest),
        )
        return with_actions(parts, actions)

    def bars(
        self,
        symbol: str,
        timeframe: str,
        start: int,
        end: int,
        limit: int | None = None,
        *,
        archived: bool = False,
    ) -> Sequence[Bar]:
        """Return bars as any source does.

        Args:
            symbol: whose.
            timeframe: which.
            start: microseconds.
            end: microseconds.
            limit: only the newest so many.
            archived: those that the catalogue put away, too.
        """
        if self._catalogue.manifest.files(symbol, timeframe):
            return self._catalogue.bars(symbol, timeframe, start, end, limit, archived=archived)
        return self._below.bars(symbol, timeframe, start, end, limit)

    def actions(self, start: int, end: int) -> Sequence[CorporateAction]:
        files = self._catalogue.manifest.files()
        # Prices alone are no history that could be adjusted already.
        own = {file.symbol for file in files if file.timeframe != QUOTE}
        below = [a for a in self._below.actions(start, end) if a.symbol not in own]
        return _united(self._catalogue.actions(start, end), below)

    def _since(self, timeframe: str, start: int, own: Iterable[str], rest: Iterable[str]) -> int:
        """Return from when on an action comes with the first slice at or after `start`."""
        longest = 0 if timeframe == QUOTE else timeframe_seconds(timeframe) * 1_000_000
        before = [start - 1]
        for source, symbols in ((self._catalogue, own), (self._below, rest)):
            for symbol in symbols:
                around = source.bars(symbol, timeframe, start - 2 * longest, start + 2 * longest)
                known = [bar.start for bar in around if bar.start < start]
                found = known or [
                    bar.start for bar in source.bars(symbol, timeframe, -_EVER, start, 1)
                ]
                before += found[-1:]
        return max(before[1:], default=before[0]) + 1


def _united(
    first: Sequence[CorporateAction], second: Sequence[CorporateAction]
) -> list[CorporateAction]:
    return sorted([*first, *unknown(second, first)], key=lambda a: (a.at, a.symbol))


def _joined(first: Iterator[Slice], second: Iterator[Slice]) -> Iterator[Slice]:
    """Yield slices in order, without their actions; two of the same start and end become one."""
    held: Slice | None = None
    for part in merge(first, second, key=lambda s: (s.start, s.end)):
        if held is not None and (held.start, held.end) == (part.start, part.end):
            held = Slice(part.start, part.end, tuple(sorted((*held.bars, *part.bars))))
            continue
        if held is not None:
            yield held
        held = Slice(part.start, part.end, part.bars)
    if held is not None:
        yield held
