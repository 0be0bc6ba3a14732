"""What algorithms ask of market data: to keep what they found, and to put old bars away."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple, Protocol
from zoneinfo import ZoneInfo

from closingbell.core.bar import BarSource


class StoreResult(NamedTuple):
    """What storing changed.

    Attributes:
        added: bars that were not there.
        changed: bars that were there with other values, and were replaced.
        bars: bars that were given; those that were there already make up the rest.
        timeframe: as which they are stored.
        notes: what the caller may want to know: columns that were ignored, a row taken as a price.
    """

    added: int
    changed: int
    bars: int
    timeframe: str
    notes: tuple[str, ...] = ()


class Gap(NamedTuple):
    """A stretch without bars between two that are there.

    Attributes:
        start: when the first missing bar would start; `end`: when the last would end.
        missing: how many.
    """

    symbol: str
    timeframe: str
    start: int
    end: int
    missing: int


class MarketStore(BarSource, Protocol):
    """A source that also takes what tasks find: a catalogue, or a backtest's overlay."""

    def store(
        self,
        symbol: str,
        data: Any,
        *,
        timeframe: str | None = None,
        timezone: ZoneInfo | None = None,
        facts: bool = True,
    ) -> StoreResult:
        """Add bars, or put them in place of those with the same start.

        All of it is stored, or nothing. `closingbell.trading.market.door.read_bars` says what
        is understood.

        Args:
            symbol: whose.
            data: bars, rows, a table, or a price.
            timeframe: which; None = told from the rows.
            timezone: of times that name none, and in which a date is a calendar day.
            facts: emit `market_data_update` when anything changed.

        Raises:
            MarketDataError: anything is wrong with it, or it ends after now.
        """
        ...

    def archive(self, before: int, symbols: Iterable[str] | None = None) -> int:
        """Put away bars that end at or before an instant; return how many.

        They are no longer read unless archived bars are asked for.

        Args:
            before: microseconds.
            symbols: only theirs; None = all.
        """
        ...
