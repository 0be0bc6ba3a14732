"""Bars for tests: minutes and days with prices that a reader can follow."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from closingbell.core.bar import Bar
from closingbell.core.clock import SimulatedClock, to_micros

MINUTE, HOUR, DAY = 60_000_000, 3_600_000_000, 86_400_000_000
EVER = 1 << 62
#: A Monday.
START = to_micros(datetime(2024, 1, 1, tzinfo=UTC))


def number(value: str | int) -> Decimal:
    return Decimal(value)


def bar(
    start: int, price: str | int = 100, *, symbol: str = "X", length: int = MINUTE, volume: int = 1
) -> Bar:
    """A bar of one price."""
    one = Decimal(price)
    return Bar(symbol, start, start + length, one, one, one, one, Decimal(volume))


def series(
    count: int, *, symbol: str = "X", step: int = MINUTE, start: int = START, first: int = 100
) -> list[Bar]:
    """Bars one after the other, each a unit dearer."""
    return [
        bar(start + row * step, first + row, symbol=symbol, length=step) for row in range(count)
    ]


def clock(when: datetime | None = None) -> SimulatedClock:
    """A clock long after all bars, or at an instant."""
    return SimulatedClock(when or datetime(2030, 1, 1, tzinfo=UTC))


def weekday_hours(first: date, last: date) -> list[tuple[date, int, int]]:
    """Sessions from Monday to Friday, 14:30 to 21:00 UTC."""
    sessions = []
    day = first
    while day <= last:
        if day.weekday() < 5:
            midnight = to_micros(datetime(day.year, day.month, day.day, tzinfo=UTC))
            sessions.append((day, midnight + 870 * MINUTE, midnight + 1_260 * MINUTE))
        day += timedelta(days=1)
    return sessions
