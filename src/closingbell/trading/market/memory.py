"""MemoryBars: bars in memory, for tests, for `data=` of a backtest, and for small histories."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from closingbell.core.bar import Bar, CorporateAction, SessionHours, Slice
from closingbell.trading.market.action import check_actions, unknown
from closingbell.trading.market.door import read_bars
from closingbell.trading.market.merge import END, START, merge, slices_of
from closingbell.trading.market.soundness import check_bars

_BLOCK = 8_192


class MemoryBars:
    """Bars by timeframe and symbol, and corporate actions.

    Args:
        data: bars of any symbols, each symbol's oldest first; or by symbol what
            `closingbell.trading.market.door.read_bars` understands.
        timeframe: of all of them.
        actions: splits and dividends.
        hours: the sessions in which daily rows trade that have only a date.
        timezone: of times that name none.

    Raises:
        MarketDataError: anything is wrong with them.
    """

    def __init__(
        self,
        data: Iterable[Bar] | Mapping[str, Any] = (),
        *,
        timeframe: str = "1d",
        actions: Iterable[CorporateAction] = (),
        hours: SessionHours | None = None,
        timezone: ZoneInfo | None = None,
    ) -> None:
        self._series: dict[str, dict[str, list[Bar]]] = {}
        self._actions: list[CorporateAction] = []
        self.put_actions(actions)
        if isinstance(data, Mapping):
            for symbol, rows in data.items():
                batch = read_bars(symbol, rows, timeframe=timeframe, timezone=timezone, hours=hours)
                self.upsert(symbol, timeframe, batch.bars)
            return
        by_symbol: dict[str, list[Bar]] = {}
        for bar in data:
            by_symbol.setdefault(bar.symbol, []).append(bar)
        for symbol, bars in by_symbol.items():
            read_bars(symbol, bars, timeframe=timeframe)
            self.upsert(symbol, timeframe, bars)

    def upsert(self, symbol: str, timeframe: str, bars: Sequence[Bar]) -> tuple[int, int]:
        """Add checked bars, or put them in place of those with the same start.

        Args:
            symbol: whose.
            timeframe: which.
            bars: as `read_bars` returns them.

        Returns:
            How many were not there, and how many were with other values.

        Raises:
            MarketDataError: one overlaps a bar that stays; nothing was changed.
        """
        held = self._series.setdefault(timeframe, {}).setdefault(symbol, [])
        if not held or held[-1].start < bars[0].start >= held[-1].end:
            held += bars
            return len(bars), 0
        low = bisect_left(held, bars[0].start, key=START)
        by_start = {bar.start: bar for bar in held[low:]}
        new = [bar for bar in bars if bar.start not in by_start]
        changed = sum(by_start.get(bar.start, bar) != bar for bar in bars)
        by_start.update((bar.start, bar) for bar in bars)
        tail = sorted(by_start.values(), key=START)
        check_bars(symbol, held[max(low - 1, 0) : low] + tail, timeframe)
        held[low:] = tail
        return len(new), changed

    def put_actions(self, actions: Iterable[CorporateAction]) -> int:
        """Add corporate actions; return how many were not there.

        Raises:
            MarketDataError: one cannot be right.
        """
        given = list(actions)
        check_actions(given)
        new = unknown(given, self._actions)
        self._actions = sorted(
            [*self._actions, *new], key=lambda action: (action.at, action.symbol)
        )
        return len(new)

    def symbols(self) -> list[str]:
        return sorted({symbol for series in self._series.values() for symbol in series})

    def timeframes(self) -> list[str]:
        return sorted(timeframe for timeframe, series in self._series.items() if series)

    def span(self, timeframe: str) -> tuple[int, int] | None:
        held = self._series.get(timeframe, {}).values()
        if not held:
            return None
        return min(series[0].start for series in held), max(series[-1].end for series in held)

    def slices(
        self, timeframe: str, start: int, end: int, symbols: Iterable[str] | None = None
    ) -> Iterator[Slice]:
        held = self._series.get(timeframe, {})
        wanted = None if symbols is None else set(symbols)
        chosen = [held[symbol] for symbol in sorted(held) if wanted is None or symbol in wanted]
        # An action comes with the first slice after the last one before the window.
        before = [
            series[row - 1].start
            for series in chosen
            if (row := bisect_left(series, start, key=START))
        ]
        actions = [
            action
            for action in self.actions(max(before) + 1 if before else start, end)
            if wanted is None or action.symbol in wanted
        ]
        return slices_of(merge([_blocks(series, start, end) for series in chosen]), actions)

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
