"""Scales: round numbers and calendar steps for the axes of charts."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from closingbell.core.clock import from_micros, to_micros

_DAY = 86_400_000_000


class Tick(NamedTuple):
    """One place on an axis, and what stands there."""

    at: float
    label: str


def round_steps(low: float, high: float, count: int = 5) -> list[float]:
    """Return about `count` round numbers between two values, both ends included or just missed."""
    if not (math.isfinite(low) and math.isfinite(high)) or high <= low:
        return [low]
    rough = (high - low) / count
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(size * factor for factor in (1, 2, 2.5, 5, 10) if size * factor >= rough)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [number * step for number in range(first, last + 1)]


def ratio_steps(low: float, high: float) -> list[float]:
    """Return round numbers for a logarithmic axis: powers of ten, and two and five of them.

    Args:
        low: above 0.
        high: of the axis.
    """
    found = []
    for power in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1):
        found += [factor * 10.0**power for factor in (1, 2, 5)]
    inside = [step for step in found if low <= step <= high]
    return inside if len(inside) > 2 else [step for step in round_steps(low, high) if step > 0]


def time_ticks(start: int, end: int, timezone: str, count: int = 9) -> list[Tick]:
    """Return beginnings of years, months, days or hours between two instants, at most `count`.

    Args:
        start: in microseconds.
        end: in microseconds.
        timezone: in which years and days begin.
        count: how many there may be.
    """
    zone = ZoneInfo(timezone)
    first, last = from_micros(start).astimezone(zone), from_micros(end).astimezone(zone)
    months = (last.year - first.year) * 12 + last.month - first.month
    # Of several years only the years are named.
    for step in (12, 24, 60, 120, 240, 600, 1200) if months > 36 else (1, 2, 3, 6):
        if 2 <= months // step <= count:
            return _monthly(first, last, step)
    return _daily(first, last, count)


def _monthly(first: datetime, last: datetime, step: int) -> list[Tick]:
    found: list[Tick] = []
    month = (first.year * 12 + first.month - 1) // step * step
    while True:
        at = datetime(month // 12, month % 12 + 1, 1, tzinfo=first.tzinfo)
        if at > last:
            return found
        if at >= first:
            yearly = step >= 12 or at.month == 1
            found.append(Tick(to_micros(at), f"{at.year}" if yearly else f"{at:%b %Y}"))
        month += step


def _daily(first: datetime, last: datetime, count: int) -> list[Tick]:
    days = (last - first) / timedelta(days=1)
    if days < 2:
        return _hourly(first, last, count)
    step = max(1, math.ceil(days / count))
    at = datetime(first.year, first.month, first.day, tzinfo=first.tzinfo)
    found = []
    while at <= last:
        if at >= first:
            found.append(Tick(to_micros(at), f"{at.day} {at:%b}"))
        at += timedelta(days=step)
    return found


def _hourly(first: datetime, last: datetime, count: int) -> list[Tick]:
    hours = max(1, math.ceil((last - first) / timedelta(hours=1) / count))
    at = datetime(first.year, first.month, first.day, tzinfo=first.tzinfo)
    found = []
    while at <= last:
        if at >= first:
            found.append(Tick(to_micros(at), f"{at:%H:%M}"))
        at += timedelta(hours=hours)
    return found


def short_number(value: float) -> str:
    """Return a number as an axis shows it: '950', '12.5k', '1.2M'."""
    for size, letter in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.4g}{letter}"
    return f"{value:.4g}"
