"""Fees of a simulated or paper broker: what a trade costs on top.

    "0.1%"  or  0.001                 a fraction of what is traded
    "0.005 per unit"                  for each unit ("per share" is the same)
    "1 per order"                     once, with the first trade of an order
    "0.005 per unit, min 1"           at least so much for each trade
    "0.05% + 2 per order"             added up
    lambda order, quantity, price: ...    a function of your own

Fees are in the symbol's currency and have 8 decimals at most.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from closingbell.core.amount import ZERO, rounded
from closingbell.core.error import BrokerNonsense, SettingError
from closingbell.core.order import Order

#: Takes (order, quantity, price) of a trade; returns the fee, 0 or more.
FeeModel = Callable[[Order, Decimal, Decimal], Decimal]

_FORMS = "None, '0.1%', 0.001, '0.005 per unit', '1 per order', '0.1%, min 1', or a function"
_NUMBER = r"(\d+(?:\.\d*)?|\.\d+)"
_FRACTION = re.compile(rf"{_NUMBER}\s*(%?)")
_PER = re.compile(rf"{_NUMBER}\s+per\s+(unit|share|order)")
_LEAST = re.compile(rf"min(?:imum)?\s+{_NUMBER}")


@dataclass(frozen=True, slots=True)
class Fee:
    """The parts of a fee, added up.

    Attributes:
        fraction: of what is traded.
        per_unit: for each unit.
        per_order: once, with the first trade of an order.
        minimum: of each trade.
    """

    fraction: Decimal = ZERO
    per_unit: Decimal = ZERO
    per_order: Decimal = ZERO
    minimum: Decimal = ZERO

    def __call__(self, order: Order, quantity: Decimal, price: Decimal) -> Decimal:
        """Return the fee of one trade."""
        fee = ZERO
        if self.fraction:
            fee += quantity * price * self.fraction
        if self.per_unit:
            fee += quantity * self.per_unit
        if self.per_order and not order.filled:
            fee += self.per_order
        return rounded(max(fee, self.minimum))


NO_FEE = Fee()


def to_fee(given: Any) -> FeeModel:
    """Return the fee that somebody means; see the module for the forms.

    Raises:
        SettingError: it cannot be read.
    """
    if given is None:
        return NO_FEE
    if isinstance(given, Fee):
        return given
    if callable(given):
        return _checked(given)
    if isinstance(given, bool):
        raise SettingError("fee", given, _FORMS)
    if isinstance(given, (int, float, Decimal)):
        return Fee(_fraction(given, Decimal(repr(given) if isinstance(given, float) else given)))
    if not isinstance(given, str):
        raise SettingError("fee", given, _FORMS)
    parts = {"fraction": ZERO, "per_unit": ZERO, "per_order": ZERO, "minimum": ZERO}
    for text in re.split(r"[+,]", given.strip().lower()):
        name, value = _part(given, text.strip())
        if parts[name]:
            raise SettingError("fee", given, f"one {name.replace('_', ' ')} only")
        parts[name] = value
    return Fee(**parts)


def _part(given: str, text: str) -> tuple[str, Decimal]:
    if found := _FRACTION.fullmatch(text):
        value = Decimal(found[1])
        return "fraction", _fraction(given, value / 100 if found[2] else value)
    if found := _PER.fullmatch(text):
        return "per_order" if found[2] == "order" else "per_unit", Decimal(found[1])
    if found := _LEAST.fullmatch(text):
        return "minimum", Decimal(found[1])
    raise SettingError("fee", given, _FORMS)


def _fraction(given: object, value: Decimal) -> Decimal:
    if not value.is_finite() or not 0 <= value < 1:
        raise SettingError("fee", given, "a fraction below 1 (0.001 is 0.1%), or '1 per order'")
    return value


def _checked(model: Callable[[Order, Decimal, Decimal], Any]) -> FeeModel:
    """Return a function whose result is a fee, whatever it returned."""

    def fee(order: Order, quantity: Decimal, price: Decimal) -> Decimal:
        made = model(order, quantity, price)
        try:
            value = Decimal(repr(made) if isinstance(made, float) else made)
        except (InvalidOperation, TypeError, ValueError):
            value = Decimal("NaN")
        if not value.is_finite() or value < 0:
            raise BrokerNonsense("simulated", f"the fee function returned {made!r}, not a fee")
        return rounded(value)

    return fee
