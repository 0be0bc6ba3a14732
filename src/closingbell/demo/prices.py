"""Real daily prices: five US stocks, unadjusted; see data/PROVENANCE.md."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from functools import lru_cache
from importlib.resources import files
from typing import NamedTuple

SYMBOLS = ("AAPL", "FB", "GOOG", "IBM", "MSFT")


class Bar(NamedTuple):
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
def load_bars() -> tuple[Bar, ...]:
    """Return every bar, by symbol and date."""
    return tuple(_read())


def bars_between(first: date, last: date) -> list[Bar]:
    """Return the bars of all stocks from one date to another, both included."""
    return [bar for bar in load_bars() if first <= bar.day <= last]


def _read() -> Iterator[Bar]:
    content = files("closingbell.demo.data").joinpath("stocks.csv.gz").read_bytes()
    rows = csv.reader(gzip.decompress(content).decode("ascii").splitlines())
    next(rows)
    for symbol, day, opening, high, low, close, volume, adjusted in rows:
        yield Bar(
            symbol,
            date.fromisoformat(day),
            Decimal(opening),
            Decimal(high),
            Decimal(low),
            Decimal(close),
            int(volume),
            Decimal(adjusted),
        )
