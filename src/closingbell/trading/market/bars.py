"""Bars: a list of one symbol's bars that other tools can read."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from closingbell.core.bar import Bar

if TYPE_CHECKING:
    import pyarrow as pa


class Bars(list[Bar]):
    """One symbol's bars, oldest first."""

    def closes(self) -> list[Decimal]:
        """Return the closing prices."""
        return [bar.close for bar in self]

    def to_arrow(self) -> pa.Table:
        """Return a pyarrow table: start and end in UTC, and exact decimals."""
        from closingbell.trading.market.encoding import bars_to_table

        return bars_to_table(self)

    def to_pandas(self) -> Any:
        """Return a data frame of floats by start; pandas must be installed."""
        import pandas as pd

        floats = ([float(value) for value in bar[3:]] for bar in self)
        starts = pd.to_datetime([bar.start for bar in self], unit="us", utc=True)
        frame = pd.DataFrame(floats, columns=Bar._fields[3:], index=starts, dtype=float)
        frame.index.name = "start"
        return frame

    def to_polars(self) -> Any:
        """Return a polars data frame with exact decimals; polars must be installed."""
        import polars as pl

        return pl.from_arrow(self.to_arrow())
