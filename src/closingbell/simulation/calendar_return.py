"""Returns by calendar: what each month and each year brought."""

from __future__ import annotations

from typing import NamedTuple
from zoneinfo import ZoneInfo

from closingbell.core.clock import from_micros
from closingbell.simulation.growth import Growth


class MonthReturn(NamedTuple):
    """What one month brought; the first and the last may be part of a month only."""

    year: int
    month: int
    value: float


def monthly_returns(growth: Growth, timezone: str = "UTC") -> list[MonthReturn]:
    """Return the months that a curve touches, in order, with their compounded returns.

    A period counts for the month in which it ends, told in the zone; an end at midnight still
    belongs to the day before it.
    """
    zone = ZoneInfo(timezone)
    found: list[MonthReturn] = []
    opened = 1.0
    for before, value, at in zip(growth.curve, growth.curve[1:], growth.at[1:], strict=False):
        day = from_micros(at - 1).astimezone(zone)
        if found and (found[-1].year, found[-1].month) == (day.year, day.month):
            found.pop()
        else:
            opened = before
        found.append(MonthReturn(day.year, day.month, value / opened - 1.0))
    return found


def yearly_returns(months: list[MonthReturn]) -> dict[int, float]:
    """Return the years of a list of months, in order, with their compounded returns."""
    found: dict[int, float] = {}
    for month in months:
        found[month.year] = (1.0 + found.get(month.year, 0.0)) * (1.0 + month.value) - 1.0
    return found
