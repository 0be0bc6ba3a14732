"""MarketBar and MarketData: bars, as a task sees them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from closingbell.trading.local_time import LocalTime
from closingbell.trading.market.bars import Bars
from closingbell.trading.money import Money

if TYPE_CHECKING:
    import pyarrow as pa


class MarketBar(NamedTuple):
    """What a price did from `start` to `end`; times are naive in the app's zone.

    Attributes:
        volume: units traded; 0 where the source does not say.
    """

    symbol: str
    start: datetime
    end: datetime
    open: Money
    high: Money
    low: Money
    close: Money
    volume: Money


class MarketData(list[MarketBar]):
    """One symbol's bars, oldest first."""

    def __init__(self, bars: Bars, local: LocalTime) -> None:
        """Show bars as a task sees them."""
        self._bars = bars
        super().__init__(_shown(bars, local))

    def closes(self) -> list[Money]:
        """Return the closing prices."""
        return [bar.close for bar in self]

    def to_pandas(self) -> Any:
        """Return a data frame of floats by start, in UTC; pandas must be installed."""
        return self._bars.to_pandas()

    def to_polars(self) -> Any:
        """Return a polars data frame with exact decimals; polars must be installed."""
        return self._bars.to_polars()

    def to_arrow(self) -> pa.Table:
        """Return a pyarrow table: start and end in UTC, and exact decimals."""
        return self._bars.to_arrow()


def _shown(bars: Bars, local: LocalTime) -> Iterator[MarketBar]:
    for bar in bars:
        prices = map(Money, bar[3:])
        yield MarketBar(bar.symbol, local.show(bar.start), local.show(bar.end), *prices)
