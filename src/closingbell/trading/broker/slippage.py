"""Slippage of a simulated or paper broker: by how much a trade is worse than the price.

    "0.05%"  or  0.0005        a fraction of the price
    "0.02 per unit"            a fixed amount
    "random 0.1%"              a fraction between 0 and this one, by the broker's seed
    "impact 0.1"               a fraction of 0.1 x (quantity / volume)^2
    lambda order, price, quantity: ...    a function of your own; returns the price

It applies to market orders, market-on-close orders and stops; a limit order never trades
beyond its limit. Prices have 8 decimals at most and stay above 0.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from random import Random
from typing import Any, ClassVar, Protocol

from closingbell.core.amount import ONE, QUANTUM, ZERO, rounded
from closingbell.core.error import BrokerNonsense, SettingError
from closingbell.core.order import Order

_FORMS = "None, '0.05%', 0.0005, '0.02 per unit', 'random 0.1%', 'impact 0.1', or a function"
_NUMBER = r"(\d+(?:\.\d*)?|\.\d+)"
_FRACTION = re.compile(rf"(random\s+)?{_NUMBER}\s*(%?)")
_AMOUNT = re.compile(rf"{_NUMBER}\s+per\s+(?:unit|share)")
_IMPACT = re.compile(rf"impact\s+{_NUMBER}")
_BILLION = 1_000_000_000


class SlippageModel(Protocol):
    """Makes a price worse."""

    @property
    def needs_volume(self) -> bool:
        """Whether it looks at the volume."""
        ...

    def slip(
        self,
        order: Order,
        price: Decimal,
        quantity: Decimal,
        volume: Decimal | None,
        dice: Callable[[], Random],
    ) -> Decimal:
        """Return the price at which an order really trades.

        Args:
            order: which.
            price: without slippage.
            quantity: how much of it trades.
            volume: of the bar, or at an opening of the one before; None = not known.
            dice: makes a random source that is the same for this trade whatever else happens.
        """
        ...


@dataclass(frozen=True, slots=True)
class Slippage:
    """By a fraction of the price, and a fixed amount.

    Attributes:
        fraction: of the price.
        amount: per unit.
    """

    needs_volume: ClassVar[bool] = False
    fraction: Decimal = ZERO
    amount: Decimal = ZERO

    def slip(
        self,
        order: Order,
        price: Decimal,
        quantity: Decimal,
        volume: Decimal | None,
        dice: Callable[[], Random],
    ) -> Decimal:
        return _worse(order, price, price * self.fraction + self.amount)


NO_SLIPPAGE = Slippage()


@dataclass(frozen=True, slots=True)
class RandomSlippage:
    """By a fraction of the price between 0 and `most`, evenly."""

    needs_volume: ClassVar[bool] = False
    most: Decimal

    def slip(
        self,
        order: Order,
        price: Decimal,
        quantity: Decimal,
        volume: Decimal | None,
        dice: Callable[[], Random],
    ) -> Decimal:
        drawn = Decimal(dice().randrange(_BILLION + 1)) / _BILLION
        return _worse(order, price, price * self.most * drawn)


@dataclass(frozen=True, slots=True)
class ImpactSlippage:
    """By `impact` x (quantity / volume)^2 of the price.

    An order of the whole volume, or one of which no volume is known, has the full impact.
    """

    needs_volume: ClassVar[bool] = True
    impact: Decimal

    def slip(
        self,
        order: Order,
        price: Decimal,
        quantity: Decimal,
        volume: Decimal | None,
        dice: Callable[[], Random],
    ) -> Decimal:
        share = min(quantity / volume, ONE) if volume else ONE
        return _worse(order, price, price * self.impact * share * share)


@dataclass(frozen=True, slots=True)
class OwnSlippage:
    """By a function (order, price, quantity) that returns the price."""

    needs_volume: ClassVar[bool] = False
    function: Callable[[Order, Decimal, Decimal], Any]

    def slip(
        self,
        order: Order,
        price: Decimal,
        quantity: Decimal,
        volume: Decimal | None,
        dice: Callable[[], Random],
    ) -> Decimal:
        made = self.function(order, price, quantity)
        try:
            value = Decimal(repr(made) if isinstance(made, float) else made)
        except (InvalidOperation, TypeError, ValueError):
            value = Decimal("NaN")
        if not value.is_finite() or value <= 0:
            raise BrokerNonsense("simulated", f"the slippage function returned {made!r}")
        return max(rounded(value), QUANTUM)


def to_slippage(given: Any) -> SlippageModel:
    """Return the slippage that somebody means; see the module for the forms.

    Raises:
        SettingError: it cannot be read.
    """
    if given is None:
        return NO_SLIPPAGE
    if isinstance(given, (Slippage, RandomSlippage, ImpactSlippage, OwnSlippage)):
        return given
    if callable(given):
        return OwnSlippage(given)
    if isinstance(given, bool):
        raise SettingError("slippage", given, _FORMS)
    if isinstance(given, (int, float, Decimal)):
        value = Decimal(repr(given) if isinstance(given, float) else given)
        return Slippage(_fraction(given, value))
    text = given.strip().lower() if isinstance(given, str) else ""
    if found := _FRACTION.fullmatch(text):
        value = _fraction(given, Decimal(found[2]) / (100 if found[3] else 1))
        return RandomSlippage(value) if found[1] else Slippage(value)
    if found := _AMOUNT.fullmatch(text):
        return Slippage(amount=Decimal(found[1]))
    if found := _IMPACT.fullmatch(text):
        return ImpactSlippage(_fraction(given, Decimal(found[1])))
    raise SettingError("slippage", given, _FORMS)


def _fraction(given: object, value: Decimal) -> Decimal:
    if not value.is_finite() or not 0 <= value < 1:
        raise SettingError("slippage", given, "a fraction below 1 (0.0005 is 0.05%)")
    return value


def _worse(order: Order, price: Decimal, by: Decimal) -> Decimal:
    return max(rounded(price + order.side.sign * by), QUANTUM) if by else price
