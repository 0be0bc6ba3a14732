"""OverlayBars: what a backtest's tasks store, laid over the data that they are tested on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from closingbell.core.bar import Bar, BarSource, CorporateAction, SessionHours, Slice
from closingbell.core.clock import Clock
from closingbell.core.ledger import Fact
from closingbell.trading.market.door import read_bars, update_fact
from closingbell.trading.market.memory import MemoryBars
from closingbell.trading.market.merge import START
from closingbell.trading.market.protocol import StoreResult
from closingbell.trading.market.soundness import check_bars, check_digits, require_timeframe

_EVER = -(1 << 62)


class OverlayBars:
    """A source with what tasks store over it; the source itself is never written.

    What a task stores at an instant is over by then, so it is known from then on and no sooner.
    Tasks read it; the market that is walked (`slices`) stays the source's.

    Args:
        source: what lies below.
        clock: the backtest's; what is later than its time is refused.
        hours: as for a catalogue.
        timeframe: of the source's bars; what `archive` counts.
        on_facts: is given a `market_data_update` after each change.
    """

    def __init__(
        self,
        source: BarSource,
        clock: Clock,
        *,
        hours: SessionHours | None = None,
        timeframe: str = "1d",
        on_facts: Callable[[Sequence[Fact]], None] = lambda _facts: None,
    ) -> None:
        self._source = source
        self._clock = clock
        self._hours = hours
        self._timeframe = timeframe
        self._on_facts = on_facts
        self._stored = MemoryBars()
        #: Bars that end by then are put away; None stands for all symbols.
        self._away: dict[str | None, int] = {None: _EVER}

    def symbols(self) -> list[str]:
        return sorted({*self._source.symbols(), *self._stored.symbols()})

    def span(self, timeframe: str) -> tuple[int, int] | None:
        spans = [span for part in (self._source, self._stored) if (span := part.span(timeframe))]
        return (min(start for start, _ in spans), max(end for _, end in spans)) if spans else None

    def slices(
        self, timeframe: str, start: int, end: int, symbols: Iterable[str] | None = None
    ) -> Iterator[Slice]:
        return self._source.slices(timeframe, start, end, symbols)

    def bars(
        self,
        symbol: str,
        timeframe: str,
        start: int,
        end: int,
        limit: int | None = None,
        *,
        archived: bool = False,
    ) -> list[Bar]:
        """Return bars as any source does.

        Args:
            symbol: whose.
            timeframe: which.
            start: microseconds.
            end: microseconds.
            limit: only the newest so many.
            archived: those that were put away, too.
        """
        found = list(self._source.bars(symbol, timeframe, start, end, limit))
        if stored := self._stored.bars(symbol, timeframe, start, end, limit):
            by_start = {bar.start: bar for bar in (*found, *stored)}
            found = sorted(by_start.values(), key=START)
            if limit is not None:
                found = found[max(len(found) - limit, 0) :]
        since = self._away_until(symbol)
        if archived or not found or found[0].end > since:
            return found
        return [bar for bar in found if bar.end > since]

    def actions(self, start: int, end: int) -> Sequence[CorporateAction]:
        return self._source.actions(start, end)

    def store(
        self,
        symbol: str,
        data: Any,
        *,
        timeframe: str | None = None,
        timezone: ZoneInfo | None = None,
        facts: bool = True,
    ) -> StoreResult:
        batch = read_bars(
            symbol,
            data,
            timeframe=timeframe,
            timezone=timezone,
            hours=self._hours,
            now=self._clock.micros(),
        )
        check_digits(symbol, batch.bars)
        first, last = batch.bars[0], batch.bars[-1]
        longest = require_timeframe(batch.timeframe)
        around = self._source.bars(
            symbol, batch.timeframe, first.start - longest, last.end + longest
        )
        below = {bar.start: bar for bar in around}
        check_bars(
            symbol,
            sorted({**below, **{bar.start: bar for bar in batch.bars}}.values(), key=START),
            batch.timeframe,
        )
        before = {**below, **{bar.start: bar for bar in self._around(batch.timeframe, batch.bars)}}
        self._stored.upsert(symbol, batch.timeframe, batch.bars)
        added = sum(bar.start not in before for bar in batch.bars)
        changed = sum(before.get(bar.start, bar) != bar for bar in batch.bars)
        if facts and (added or changed):
            now = self._clock.micros()
            self._on_facts([update_fact(symbol, batch, added, changed, now)])
        return StoreResult(added, changed, len(batch.bars), batch.timeframe, batch.notes)

    def archive(self, before: int, symbols: Iterable[str] | None = None) -> int:
        chosen = self.symbols() if symbols is None else sorted(set(symbols))
        timeframes = {self._timeframe, *self._stored.timeframes()}
        moved = 0
        for symbol in chosen:
            since = self._away_until(symbol)
            for timeframe in timeframes:
                longest = require_timeframe(timeframe)
                held = self.bars(symbol, timeframe, max(since - longest, _EVER), before)
                moved += sum(bar.end > since for bar in held)
        for name in [None] if symbols is None else chosen:
            self._away[name] = max(before, self._away.get(name, _EVER))
        return moved

    def _around(self, timeframe: str, bars: Sequence[Bar]) -> list[Bar]:
        return self._stored.bars(bars[0].symbol, timeframe, bars[0].start, bars[-1].end)

    def _away_until(self, symbol: str) -> int:
        return max(self._away[None], self._away.get(symbol, _EVER))
