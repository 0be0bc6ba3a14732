"""What bars must be before anybody may trade on them; one that is wrong is named, none is mended."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Context, Decimal, InvalidOperation
from itertools import repeat
from operator import itemgetter, le, lt, ne
from typing import Any

from closingbell.core.amount import ZERO
from closingbell.core.bar import QUOTE, Bar, timeframe_seconds
from closingbell.core.clock import from_micros
from closingbell.core.error import MarketDataError

#: Longer names are no symbols, and no folders either.
_LONGEST_SYMBOL = 64
#: A day in which clocks are put back is an hour longer.
_LONGER_DAY = 3_600 * 1_000_000
#: The years that a calendar has, in microseconds since the epoch: 1 to 9999, less a day.
_FIRST, _LAST = -62_135_510_400_000_000, 253_402_214_400_000_000
#: What a file holds exactly: prices of so many digits, all numbers below 10**18 with so many
#: decimal places.
_PRICE_DIGITS, _PLACES = 18, 20
_TOO_LARGE = Decimal(10) ** 18
#: Takes off zeros at the end, and rounds nothing that anybody writes.
_EXACT = Context(prec=1_000)


def require_symbol(symbol: object) -> str:
    """Return a symbol.

    Raises:
        MarketDataError: it is no plain name.
    """
    if (
        not isinstance(symbol, str)
        or not 0 < len(symbol) <= _LONGEST_SYMBOL
        or not symbol.isprintable()
        or symbol != symbol.strip()
    ):
        raise MarketDataError(
            str(symbol)[:_LONGEST_SYMBOL],
            "this is no symbol",
            f"expected a name of 1 to {_LONGEST_SYMBOL} characters such as 'AAPL' or 'BTC/EUR'",
        )
    return symbol


def require_timeframe(timeframe: str) -> int:
    """Return how long a bar of a timeframe may be, in microseconds; 0 for single prices.

    Raises:
        MarketDataError: it cannot be read.
    """
    if timeframe == QUOTE:
        return 0
    length = timeframe_seconds(timeframe) * 1_000_000
    return length + _LONGER_DAY if length >= 86_400_000_000 else length


def check_bars(symbol: str, bars: Sequence[Bar], timeframe: str, now: int | None = None) -> None:
    """Refuse bars that cannot be right, naming the first.

    Args:
        symbol: whose they must be.
        bars: oldest first.
        timeframe: how long each may be.
        now: none may end after it; None = any may.

    Raises:
        MarketDataError: one is another symbol's, goes back, overlaps, is longer than its
            timeframe, is not over yet, or has prices that contradict each other.
    """
    longest = require_timeframe(timeframe)
    if not bars:
        return
    try:
        if not _is_sound(symbol, bars, longest, now):
            _explain(symbol, bars, longest, timeframe, now)
    except (InvalidOperation, TypeError):
        _explain(symbol, bars, longest, timeframe, now)


def check_digits(symbol: str, bars: Sequence[Bar]) -> None:
    """Refuse numbers that a file of bars cannot hold exactly.

    Raises:
        MarketDataError: a price has more than 18 digits, or a number is 10**18 or more, or has
            more than 20 decimal places.
    """
    for place, name in enumerate(Bar._fields[3:], 3):
        column = list(map(itemgetter(place), bars))
        # Most prices occur more than once.
        for value in set(column):
            found = _inexact(name, value)
            if found is not None:
                raise MarketDataError(symbol, *found, column.index(value))


def _inexact(name: str, value: Decimal) -> tuple[str, str] | None:
    """Return what keeps a file from holding a finite number exactly, and what to do."""
    _, digits, exponent = value.as_tuple()
    places = -int(exponent)
    if value >= _TOO_LARGE:
        return f"{name} is {value}", "expected less than 1E+18"
    if places <= _PLACES and len(digits) <= _PRICE_DIGITS:
        return None
    _, digits, exponent = value.normalize(_EXACT).as_tuple()
    places = -int(exponent)
    if places > _PLACES:
        return f"{name} {value} has {places} decimal places", f"round it to {_PLACES}"
    if name != "volume" and len(digits) > _PRICE_DIGITS:
        return f"{name} {value} has {len(digits)} digits", f"round it to {_PRICE_DIGITS}"
    return None


def _is_sound(symbol: str, bars: Sequence[Bar], longest: int, now: int | None) -> bool:
    symbols, starts, ends, opens, highs, lows, closes, volumes = (
        list(map(itemgetter(place), bars)) for place in range(8)
    )
    return (
        not any(map(ne, symbols, repeat(symbol)))
        and {*map(type, starts), *map(type, ends)} == {int}
        and set().union(*(map(type, c) for c in (opens, highs, lows, closes, volumes))) == {Decimal}
        and all(map(lt, repeat(ZERO), lows))
        and all(map(le, lows, opens))
        and all(map(le, lows, closes))
        and all(map(le, opens, highs))
        and all(map(le, closes, highs))
        and all(map(le, repeat(ZERO), volumes))
        and all(map(Decimal.is_finite, highs))
        and all(map(Decimal.is_finite, volumes))
        and all(map(lt, starts, ends) if longest else map(int.__eq__, starts, ends))
        and all(map(le, ends, map(int.__add__, starts, repeat(longest))))
        and all(map(le, ends[:-1], starts[1:]) if longest else map(lt, ends[:-1], starts[1:]))
        and starts[0] >= _FIRST
        and ends[-1] <= (_LAST if now is None else now)
    )


def _explain(
    symbol: str, bars: Sequence[Bar], longest: int, timeframe: str, now: int | None
) -> None:
    before: Bar | None = None
    for row, bar in enumerate(bars):
        found = (
            _identity(symbol, bar)
            or _prices(bar)
            or _times(bar, longest, timeframe)
            or _order(before, bar)
        )
        if found is None and now is not None and bar.end > now:
            found = (
                f"it ends at {_when(bar.end)}, and it is {_when(now)}",
                "leave out what is not over yet",
            )
        if found is not None:
            raise MarketDataError(symbol, *found, row)
        before = bar


def _identity(symbol: str, bar: Bar) -> tuple[str, str] | None:
    if bar.symbol != symbol:
        return f"it is a bar of {bar.symbol!r}", "store each symbol's bars under its own name"
    for name in ("start", "end"):
        if type(value := getattr(bar, name)) is not int:
            return f"{name} is {value!r}", "expected whole microseconds since the epoch"
        if not _FIRST <= value <= _LAST:
            return f"{name} is {value}", "no calendar has it: expected microseconds since the epoch"
    return None


def _prices(bar: Bar) -> tuple[str, str] | None:
    for name in ("open", "high", "low", "close", "volume"):
        value: Any = getattr(bar, name)
        if not isinstance(value, Decimal):
            return f"{name} is {value!r}", "expected a Decimal"
        if name == "volume" and (not value.is_finite() or value < 0):
            return f"volume is {value}", "expected 0 or more"
        if name != "volume" and (not value.is_finite() or value <= 0):
            return f"{name} is {value}", "expected a number above 0"
    if bar.low > bar.high:
        return f"low {bar.low} is above high {bar.high}", "ask the source: one of them is wrong"
    for name in ("open", "close"):
        value = getattr(bar, name)
        if not bar.low <= value <= bar.high:
            return (
                f"{name} {value} is outside of low {bar.low} and high {bar.high}",
                "ask the source: are all four of one stretch, adjusted alike?",
            )
    return None


def _times(bar: Bar, longest: int, timeframe: str) -> tuple[str, str] | None:
    if not longest:
        if bar.start != bar.end:
            return "a single price lasts from its start to another end", "let both be its time"
        return None
    if bar.end <= bar.start:
        return (
            f"it starts at {_when(bar.start)} and ends at {_when(bar.end)}",
            "expected its end after its start",
        )
    if bar.end - bar.start > longest:
        return (
            f"it lasts from {_when(bar.start)} to {_when(bar.end)}",
            f"expected no more than {timeframe}: name the right timeframe",
        )
    return None


def _order(before: Bar | None, bar: Bar) -> tuple[str, str] | None:
    if before is None or before.end < bar.start:
        return None
    if bar.start == before.start:
        return f"the time {_when(bar.start)} is there twice", "leave one of them out"
    if bar.start < before.start:
        return (
            f"the times go back, from {_when(before.start)} to {_when(bar.start)}",
            "put the oldest first",
        )
    if before.end == bar.start:
        return None
    return (
        f"it starts at {_when(bar.start)}, and the one before ends at {_when(before.end)}",
        "bars of one timeframe may not overlap",
    )


def _when(micros: int) -> str:
    return from_micros(micros).isoformat()
