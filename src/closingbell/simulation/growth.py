"""Growth: what one unit of money became, deposits and withdrawals taken off."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple, Protocol


class Mark(Protocol):
    """A point of an equity curve; `Snapshot` of the ledger is one."""

    @property
    def at(self) -> int:
        """When, in microseconds since the epoch."""
        ...

    @property
    def value(self) -> Decimal:
        """Cash and positions at their marks."""
        ...

    @property
    def flows(self) -> Decimal:
        """Net deposits so far, what the account began with included."""
        ...

    @property
    def exposure(self) -> Decimal:
        """The absolute worth of all positions."""
        ...


class Growth(NamedTuple):
    """A time-weighted growth curve.

    Attributes:
        at: instants, one more than there are returns; empty when nothing was ever worth anything.
        curve: what one unit at `at[0]` is at each instant; begins with 1.0.
        returns: of each period, as fractions: 0.01 is one percent.
        emptied_at: when the account was worth nothing or less, by losses or by a withdrawal;
            the curve ends there.
    """

    at: tuple[int, ...]
    curve: tuple[float, ...]
    returns: tuple[float, ...]
    emptied_at: int | None = None

    @property
    def total(self) -> float | None:
        """The whole return, or None where there is no period."""
        return self.curve[-1] - 1.0 if self.returns else None


def growth_of(points: Sequence[Mark]) -> Growth:
    """Return the growth curve of an equity curve, oldest point first.

    A period's return is (value - flows of the period) / value before - 1: what comes in or goes
    out counts from the period's end on. Points before the first with a value above zero are left
    out. The curve ends with the first period that leaves nothing (its return is -1 or less when
    losses did it): what comes later cannot be measured against nothing.
    """
    first = next((n for n, point in enumerate(points) if point.value > 0), len(points))
    kept = points[first:]
    if not kept:
        return Growth((), (), ())
    at, curve, returns = [kept[0].at], [1.0], []
    before = anchor = kept[0]
    anchored = 1.0
    for point in kept[1:]:
        flow = point.flows - before.flows
        worth = point.value - flow
        at.append(point.at)
        returns.append(float(worth / before.value) - 1.0)
        # From the last flow on, not from the last point: so the way back to a value is exact.
        curve.append(anchored * float(worth / anchor.value))
        # A deposit can hide that everything was lost before it came.
        if min(point.value, worth) <= 0:
            return Growth(tuple(at), tuple(curve), tuple(returns), point.at)
        if flow:
            anchor, anchored = point, curve[-1]
        before = point
    return Growth(tuple(at), tuple(curve), tuple(returns))
