"""Money: a Decimal that trading scripts can use beside floats.

Scripts write `weight - 0.1` and `value > 5000`. A plain Decimal refuses the first and compares
the second with a binary fraction. At the `algorithm` door amounts, prices and quantities are
`Money`: a float beside one counts as the decimal number that it prints, so that no cent is lost
and `Money("0.1") == 0.1`. Everything that comes of it is `Money` again.

As a key of a dict it is the Decimal that it equals; look it up with a Decimal or an int.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from numbers import Rational
from typing import Any, overload

#: What arithmetic takes beside Money.
Number = Decimal | int | float
#: What it is compared with.
Comparable = Decimal | float | Rational


def _plain(other: object) -> Any:
    """Return an operand; a float as the decimal number that it prints."""
    if isinstance(other, float):
        # A subclass of float, such as numpy's, may print itself with its name.
        return Decimal(float.__repr__(other))
    return other


class Money(Decimal):
    """An exact decimal number that also takes floats."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"Money('{self}')"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self),)

    __hash__ = Decimal.__hash__

    # --- sums and products ---------------------------------------------------------------

    def __add__(self, other: Number, /) -> Money:
        return _money(Decimal.__add__(self, _plain(other)))

    def __radd__(self, other: Number, /) -> Money:
        return _money(Decimal.__radd__(self, _plain(other)))

    def __sub__(self, other: Number, /) -> Money:
        return _money(Decimal.__sub__(self, _plain(other)))

    def __rsub__(self, other: Number, /) -> Money:
        return _money(Decimal.__rsub__(self, _plain(other)))

    def __mul__(self, other: Number, /) -> Money:
        return _money(Decimal.__mul__(self, _plain(other)))

    def __rmul__(self, other: Number, /) -> Money:
        return _money(Decimal.__rmul__(self, _plain(other)))

    # --- divisions -----------------------------------------------------------------------

    def __truediv__(self, other: Number, /) -> Money:
        return _money(Decimal.__truediv__(self, _divisor(self, _plain(other))))

    def __rtruediv__(self, other: Number, /) -> Money:
        return _money(Decimal.__rtruediv__(_divisor(other, self), _plain(other)))

    def __floordiv__(self, other: Number, /) -> Money:
        return _money(Decimal.__floordiv__(self, _divisor(self, _plain(other))))

    def __rfloordiv__(self, other: Number, /) -> Money:
        return _money(Decimal.__rfloordiv__(_divisor(other, self), _plain(other)))

    def __mod__(self, other: Number, /) -> Money:
        return _money(Decimal.__mod__(self, _divisor(self, _plain(other))))

    def __rmod__(self, other: Number, /) -> Money:
        return _money(Decimal.__rmod__(_divisor(other, self), _plain(other)))

    def __divmod__(self, other: Number, /) -> tuple[Money, Money]:
        return self // other, self % other

    def __rdivmod__(self, other: Number, /) -> tuple[Money, Money]:
        return other // self, other % self

    def __pow__(self, other: Number, modulo: Number | None = None, /) -> Money:
        if modulo is not None:
            return _money(Decimal.__pow__(self, _plain(other), _plain(modulo)))
        return _money(Decimal.__pow__(self, _plain(other)))

    def __rpow__(self, other: Number, modulo: Any = None, /) -> Money:
        return _money(Decimal.__rpow__(self, _plain(other)))

    # --- one operand ---------------------------------------------------------------------

    def __neg__(self) -> Money:
        return Money(Decimal.__neg__(self))

    def __pos__(self) -> Money:
        return Money(Decimal.__pos__(self))

    def __abs__(self) -> Money:
        return Money(Decimal.__abs__(self))

    @overload
    def __round__(self) -> int: ...

    @overload
    def __round__(self, ndigits: int) -> Money: ...

    def __round__(self, ndigits: int | None = None) -> int | Money:
        if ndigits is None:
            return Decimal.__round__(self)
        return Money(Decimal.__round__(self, ndigits))

    # --- comparisons ---------------------------------------------------------------------

    def __eq__(self, other: object) -> bool:
        return Decimal.__eq__(self, _plain(other))

    def __ne__(self, other: object) -> bool:
        return Decimal.__ne__(self, _plain(other))

    def __lt__(self, other: Comparable, /) -> bool:
        return not _is_nan(other) and Decimal.__lt__(self, _plain(other))

    def __le__(self, other: Comparable, /) -> bool:
        return not _is_nan(other) and Decimal.__le__(self, _plain(other))

    def __gt__(self, other: Comparable, /) -> bool:
        return not _is_nan(other) and Decimal.__gt__(self, _plain(other))

    def __ge__(self, other: Comparable, /) -> bool:
        return not _is_nan(other) and Decimal.__ge__(self, _plain(other))


def _money(result: Any) -> Money:
    # What neither operand knows is NotImplemented, which goes back to Python.
    made: Money = Money(result) if isinstance(result, Decimal) else result
    return made


def _is_nan(other: object) -> bool:
    # An indicator that is not warm yet is a float's NaN: no comparison with it is true.
    return isinstance(other, float) and other != other


def _divisor(dividend: object, divisor: Any) -> Any:
    """Return the divisor, or refuse a zero; 0 / 0 is the same mistake to whoever divides."""
    if isinstance(divisor, (Decimal, int)) and not divisor and not _is_nan(dividend):
        raise ZeroDivisionError(f"{dividend} divided by zero: look first whether there is a value")
    return divisor


def as_json(value: Any) -> Any:
    """Return event or alert data with its amounts as JSON numbers, which conditions compare."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, Mapping):
        return {key: as_json(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_json(inner) for inner in value]
    return value
