"""Figures as people read them."""

from __future__ import annotations

from datetime import time
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from closingbell.core.clock import from_micros
from closingbell.simulation.figure import Figure, Unit
from closingbell.simulation.plain import decimal_text

#: What stands for a figure that has no meaning.
NONE = "-"


def figure_text(figure: Figure, value: Any, timezone: str = "UTC") -> str:
    """Return a metric's value as text, in its unit; instants as dates in the zone."""
    if value is None:
        return NONE
    match figure.unit:
        case Unit.FRACTION:
            return percent(value)
        case Unit.RATIO | Unit.MONEY:
            return two_decimals(value)
        case Unit.INSTANT:
            return day_text(value, timezone)
        case Unit.DAYS:
            return f"{value:,.1f}" if isinstance(value, float) else f"{value:,}"
        case Unit.COUNT:
            return f"{value:,}"


def percent(value: float, digits: int = 2) -> str:
    """Return a fraction as percent: '12.50%'."""
    text = f"{value * 100:,.{digits}f}%"
    # A loss of nearly nothing is no loss of nothing.
    return text.removeprefix("-") if not text.strip("-0.%") else text


def two_decimals(value: Decimal | float) -> str:
    """Return a number with thousands apart and two decimals."""
    text = f"{value:,.2f}"
    return text.removeprefix("-") if not text.strip("-0.,") else text


def exact(value: Decimal) -> str:
    """Return a price or a quantity with all its decimals, thousands apart."""
    return f"{Decimal(decimal_text(value)):,}"


def price_text(value: Decimal) -> str:
    """Return a price with all its decimals, two at least, thousands apart."""
    whole, _, rest = exact(value).partition(".")
    return f"{whole}.{rest:0<2}"


def day_text(at: int, timezone: str = "UTC") -> str:
    """Return an instant's date in a zone: '2008-11-20'."""
    return from_micros(at).astimezone(ZoneInfo(timezone)).strftime("%Y-%m-%d")


def instant_text(at: int, timezone: str = "UTC") -> str:
    """Return an instant in a zone, to the second where it has seconds: '2008-11-20 16:00'."""
    local = from_micros(at).astimezone(ZoneInfo(timezone))
    return local.strftime("%Y-%m-%d %H:%M:%S" if local.second else "%Y-%m-%d %H:%M")


def window_text(start: int, end: int, timezone: str) -> str:
    """Return a window as people name it: days where it is made of whole ones, else instants."""
    zone = ZoneInfo(timezone)
    first, last = from_micros(start).astimezone(zone), from_micros(end).astimezone(zone)
    if first.time() == last.time() == time() and last > first:
        return f"{first:%Y-%m-%d} to {day_text(end - 1, timezone)}"
    return f"{instant_text(start, timezone)} to {instant_text(end, timezone)}"


def seconds_text(seconds: float) -> str:
    """Return a length of simulated time: '0 s', '1.5 s', '2 min', '3.5 h', '2 d'."""
    for length, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= length:
            return f"{seconds / length:,.1f}".removesuffix(".0") + f" {unit}"
    return f"{seconds:.1f}".removesuffix(".0") + " s"
