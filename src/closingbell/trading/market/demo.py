"""The shipped history: five US stocks, daily, 2000 to 2013; see data/PROVENANCE.md."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from functools import lru_cache
from importlib.resources import files
from typing import NamedTuple

from closingbell.core.bar import Bar, SessionHours, Split
from closingbell.trading.market.memory import MemoryBars

#: The venue in whose sessions the shipped stocks trade.
DEMO_VENUE = "XNYS"
#: Two new shares for each old one; the prices are as traded, so they halve on these dates.
_SPLITS = (
    ("AAPL", date(2000, 6, 21)),
    ("MSFT", date(2003, 2, 18)),
    ("AAPL", date(2005, 2, 28)),
)


class DayPrices(NamedTuple):
    """One stock on one trading date, as traded, in US dollars.

    Attributes:
        adjusted_close: the close, adjusted for all later splits and dividends.
    """

    symbol: str
    day: date
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: int
    adjusted_close: Decimal


@lru_cache(maxsize=1)
def load_history() -> tuple[DayPrices, ...]:
    """Return every stock's days, by symbol and date."""
    return tuple(_read())


def demo_bars(hours: SessionHours) -> MemoryBars:
    """Return the shipped history as daily bars from each session's open to its close.

    Args:
        hours: the sessions of `DEMO_VENUE`.
    """
    history = load_history()
    days = [row.day for row in history]
    sessions = {day: (start, end) for day, start, end in hours(min(days), max(days))}
    return MemoryBars(
        (
            Bar(
                row.symbol, *sessions[row.day], row.open, row.high, row.low, row.close,
                Decimal(row.volume),
            )
            for row in history
        ),
        actions=[Split(symbol, sessions[day][0], Decimal(2)) for symbol, day in _SPLITS],
    )  # fmt: skip


def _read() -> Iterator[DayPrices]:
    content = files("closingbell.trading.market.data").joinpath("stocks.csv.gz").read_bytes()
    rows = csv.reader(gzip.decompress(content).decode("ascii").splitlines())
    next(rows)
    for symbol, day, opening, high, low, close, volume, adjusted in rows:
        yield DayPrices(
            symbol,
            date.fromisoformat(day),
            Decimal(opening),
            Decimal(high),
            Decimal(low),
            Decimal(close),
            int(volume),
            Decimal(adjusted),
        )
