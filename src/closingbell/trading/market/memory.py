"""MemoryBars: bars in memory, for tests, for `data=` of a backtest, and for small histories."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence

from closingbell.core.bar import Bar, CorporateAction, Slice
from closingbell.trading.market.merge import END, START, merge, slices_of

_BLOCK = 8_192


class MemoryBars:
    """Bars by timeframe and symbol, and corporate actions.

    Args:
        bars: of any symbols.
        timeframe: of these bars.
        actions: splits and dividends.
    """

    def __init__(
        self,
        bars: Iterable[Bar] = (),
        *,
        timeframe: str = "1d",
        actions: Iterable[CorporateAction] = (),
    ) -> None:
        self._series: dict[str, dict[str, list[Bar]]] = {}
        self._actions = sorted(actions, key=lambda action: (action.at, action.symbol))
        of_timeframe = self._series.setdefault(timeframe, {})
        for bar in bars:
            of_timeframe.setdefault(bar.symbol, []).append(bar)
        for series in of_timeframe.values():
            series.sort(key=START)

    def symbols(self) -> list[str]:
        return sorted({symbol for series in self._series.values() for symbol in series})

    def span(self, timeframe: str) -> tuple[int, int] | None:
        held = [series for series in self._series.get(timeframe, {}).values() if series]
        if not held:
            return None
        return min(series[0].start for series in held), max(series[-1].end for series in held)

    def slices(
        self, timeframe: str, start: int, end: int, symbols: Iterable[str] | None = None
    ) -> Iterator[Slice]:
        held = self._series.get(timeframe, {})
        chosen = sorted(held if symbols is None else set(symbols) & held.keys())
        streams = [_blocks(held[symbol], start, end) for symbol in chosen]
        before = [
            series[index - 1].start
            for series in map(held.__getitem__, chosen)
            if (index := bisect_left(series, start, key=START))
        ]
        since = max(before) + 1 if before else start
        wanted = None if symbols is None else set(symbols)
        actions = [
            action
            for action in self.actions(since, end)
            if wanted is None or action.symbol in wanted
        ]
        return slices_of(merge(streams), actions)

    def bars(
        self, symbol: str, timeframe: str, start: int, end: int, limit: int | None = None
    ) -> list[Bar]:
        series = self._series.get(timeframe, {}).get(symbol, [])
        low = bisect_left(series, start, key=START)
        high = bisect_right(series, end, key=END)
        if limit is not None:
            low = max(low, high - limit)
        return series[low:high]

    def actions(self, start: int, end: int) -> list[CorporateAction]:
        return [action for action in self._actions if start <= action.at < end]


def _blocks(series: Sequence[Bar], start: int, end: int) -> Iterator[Sequence[Bar]]:
    low = bisect_left(series, start, key=START)
    high = bisect_left(series, end, key=START)
    for begin in range(low, high, _BLOCK):
        yield series[begin : min(begin + _BLOCK, high)]
