"""Amounts: decimals at the door."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

from closingbell.core.error import OrderRefused

ZERO = Decimal(0)
ONE = Decimal(1)


def to_decimal(given: Any, name: str) -> Decimal:
    """Return a finite number as a Decimal; a float is taken as it is printed.

    Raises:
        OrderRefused: it is no finite number.
    """
    try:
        if isinstance(given, bool) or given is None:
            raise TypeError
        # A subclass of float, such as numpy's, may print itself with its name.
        value = Decimal(float.__repr__(given) if isinstance(given, float) else str(given))
    except (InvalidOperation, TypeError, ValueError):
        raise OrderRefused(name, given, "a number") from None
    if not value.is_finite():
        raise OrderRefused(name, given, "a finite number")
    return value


def positive(given: Any, name: str) -> Decimal:
    """Return a number above zero as a Decimal.

    Raises:
        OrderRefused: it is not.
    """
    value = to_decimal(given, name)
    if value <= 0:
        raise OrderRefused(name, given, "a number above 0")
    return value


def fraction(given: Any, name: str = "percentage") -> Decimal:
    """Return a fraction above 0 and at most 1 as a Decimal: 0.5 is a half.

    Raises:
        OrderRefused: it is not; 50 where 0.5 was meant is refused, never guessed.
    """
    value = to_decimal(given, name)
    if not 0 < value <= 1:
        raise OrderRefused(name, given, "a fraction above 0 and at most 1 (0.5 is a half)")
    return value
