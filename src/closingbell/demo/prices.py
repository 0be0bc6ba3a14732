"""The demo's prices: the history that closingbell ships, by trading date."""

from __future__ import annotations

from datetime import date

from closingbell.trading.market.demo import DayPrices as Bar
from closingbell.trading.market.demo import load_history as load_bars

__all__ = ["SYMBOLS", "Bar", "bars_between", "load_bars"]

SYMBOLS = ("AAPL", "FB", "GOOG", "IBM", "MSFT")


def bars_between(first: date, last: date) -> list[Bar]:
    """Return the bars of all stocks from one date to another, both included."""
    return [bar for bar in load_bars() if first <= bar.day <= last]
