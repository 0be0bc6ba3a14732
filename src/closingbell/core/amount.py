"""Amounts: decimals at the door."""

from __future__ import annotations

from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import Any

from closingbell.core.error import OrderRefused

ZERO = Decimal(0)
ONE = Decimal(1)
#: The smallest part of a quantity or a price, where no lot says otherwise.
QUANTUM = Decimal("1e-8")
#: To which a share of an amount is rounded.
_FINEST = Decimal("1e-12")


def to_decimal(given: Any, name: str) -> Decimal:
    """Return a finite number as a Decimal; a float is taken as it is printed.

    Raises:
        OrderRefused: it is no finite number.
    """
    if type(given) is Decimal and given.is_finite():
        return given
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


def plain(value: Decimal) -> str:
    """Return a decimal as text without an exponent, as ledgers and facts write it."""
    return format(value, "f")


def rounded(value: Decimal) -> Decimal:
    """Return a price or an amount with 8 decimals at most."""
    cut = value.quantize(QUANTUM, ROUND_HALF_EVEN)
    return value if cut == value else cut


def round_down(quantity: Decimal, lot: Decimal | None) -> Decimal:
    """Return the largest multiple of `lot` (None = of 8 decimals) that is not above it."""
    if lot is None:
        cut = quantity.quantize(QUANTUM, ROUND_DOWN)
        return quantity if cut == quantity else cut
    return quantity // lot * lot


def share_of(whole: Decimal, part: Decimal, total: Decimal) -> Decimal:
    """Return `part / total` of an amount, to 12 decimals; all of it for all."""
    if part == total:
        return whole
    share = whole * part / total
    cut = share.quantize(_FINEST, ROUND_HALF_EVEN)
    return share if cut == share else cut


def split_quantity(quantity: Decimal, ratio: Decimal) -> Decimal:
    """Return a quantity after a split of `ratio` new units for each, to 8 decimals."""
    return rounded(quantity * ratio)
