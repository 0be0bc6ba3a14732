"""Bar and timeframe: what a price did over a stretch of time, and when that is known."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date
from decimal import Decimal
from typing import NamedTuple, Protocol

from closingbell.core.error import MarketDataError

_TIMEFRAME = re.compile(r"([1-9]\d{0,3})(s|m|h|d|w)", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}

#: The timeframe of single prices: bars that start and end at one instant, with one price.
QUOTE = "quote"

#: A venue's sessions from one date to another, both included: (date, open, close) in
#: microseconds, in order. Given to the rooms by the app, which knows the calendars.
SessionHours = Callable[[date, date], Sequence[tuple[date, int, int]]]


def timeframe_seconds(timeframe: str) -> int:
    """Return the length of a timeframe such as "1m", "5m", "1h", "1d" or "1w" in seconds.

    A daily bar of a venue covers its session, which is shorter.

    Raises:
        MarketDataError: it cannot be read.
    """
    match = _TIMEFRAME.fullmatch(str(timeframe))
    if match is None:
        raise MarketDataError(
            str(timeframe), "the timeframe cannot be read", "expected one such as '1m', '1h', '1d'"
        )
    return int(match[1]) * _SECONDS[match[2]]


class Bar(NamedTuple):
    """What one price did from `start` to `end`, as traded: not adjusted for anything later.

    Nobody knows a bar before its `end`; of its start only `open` is known.

    Attributes:
        symbol: "AAPL", or "BTC/EUR" where the quote currency is part of the name.
        start: when it opened, in microseconds since the epoch.
        end: when it closed; the bar is known from then on.
        volume: units traded; 0 where the source does not say.
    """

    symbol: str
    start: int
    end: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal


class Quote(NamedTuple):
    """One price at one instant: an opening print, or a live price."""

    symbol: str
    at: int
    price: Decimal


class Split(NamedTuple):
    """`ratio` new units for each old one, effective before the first trade at or after `at`."""

    symbol: str
    at: int
    ratio: Decimal


class Dividend(NamedTuple):
    """`amount` per unit for who holds it when `at` comes (the ex-date's first instant)."""

    symbol: str
    at: int
    amount: Decimal


CorporateAction = Split | Dividend


class Slice(NamedTuple):
    """The bars that share one start and one end, by symbol.

    Attributes:
        actions: corporate actions that are effective at `start`.
    """

    start: int
    end: int
    bars: tuple[Bar, ...]
    actions: tuple[CorporateAction, ...] = ()


class BarSource(Protocol):
    """Where bars come from: a catalogue on disk, a list in memory, a feed."""

    def symbols(self) -> Sequence[str]:
        """Return the symbols that have bars, sorted."""
        ...

    def span(self, timeframe: str) -> tuple[int, int] | None:
        """Return (first start, last end) over all symbols of a timeframe, or None without bars."""
        ...

    def slices(
        self, timeframe: str, start: int, end: int, symbols: Iterable[str] | None = None
    ) -> Iterator[Slice]:
        """Yield the bars whose start is in [start, end), ordered by (start, end).

        Bars within a slice are ordered by symbol. Nothing is held for longer than a block.
        """
        ...

    def bars(
        self, symbol: str, timeframe: str, start: int, end: int, limit: int | None = None
    ) -> Sequence[Bar]:
        """Return bars with `start` <= bar.start and bar.end <= `end`, oldest first.

        Args:
            symbol: which.
            timeframe: which.
            start: microseconds.
            end: microseconds; bars that are not over by then are left out.
            limit: only the newest so many.
        """
        ...

    def actions(self, start: int, end: int) -> Sequence[CorporateAction]:
        """Return corporate actions with `at` in [start, end), ordered by (at, symbol)."""
        ...
