"""DeferredBars: a source that is loaded when it is first asked."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence

from closingbell.core.bar import Bar, BarSource, CorporateAction, Slice


class DeferredBars:
    """Stands for a source until somebody asks; most tasks never do.

    Args:
        load: returns the source; called once.
    """

    def __init__(self, load: Callable[[], BarSource]) -> None:
        self._load = load
        self._loaded: BarSource | None = None
        self._lock = threading.Lock()

    @property
    def _source(self) -> BarSource:
        with self._lock:
            if self._loaded is None:
                self._loaded = self._load()
            return self._loaded

    def symbols(self) -> Sequence[str]:
        return self._source.symbols()

    def span(self, timeframe: str) -> tuple[int, int] | None:
        return self._source.span(timeframe)

    def slices(
        self, timeframe: str, start: int, end: int, symbols: Iterable[str] | None = None
    ) -> Iterator[Slice]:
        return self._source.slices(timeframe, start, end, symbols)

    def bars(
        self, symbol: str, timeframe: str, start: int, end: int, limit: int | None = None
    ) -> Sequence[Bar]:
        return self._source.bars(symbol, timeframe, start, end, limit)

    def actions(self, start: int, end: int) -> Sequence[CorporateAction]:
        return self._source.actions(start, end)
