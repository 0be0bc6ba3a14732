"""Drawdown: how far an account has fallen from its peak. Pure functions.

A drawdown is a fraction of the peak. A peak of zero or below has none: it is 0. An account
that owes more than it has can have fallen by more than its peak; the drawdown is above 1.

The limit is breached once when the value falls below peak x (1 - limit). It is armed again
when half of the way is made good: value >= peak x (1 - limit / 2), a new peak among them.
"""

from __future__ import annotations

from decimal import Decimal

from closingbell.core.amount import ONE, ZERO, rounded

_HALF = Decimal("0.5")
_NEVER = Decimal("-Infinity")


def drawdown_of(value: Decimal, peak: Decimal) -> Decimal:
    """Return the fraction of the peak that is lost, 0 or more."""
    if peak <= 0 or value >= peak:
        return ZERO
    return (peak - value) / peak


def drawdown_limits(peak: Decimal, limit: Decimal) -> tuple[Decimal, Decimal]:
    """Return (the value below which the limit is breached, the value that arms it again)."""
    if peak <= 0:
        return _NEVER, _NEVER
    return peak * (ONE - limit), peak * (ONE - limit * _HALF)


def moved_peak(peak: Decimal, value: Decimal | None, flow: Decimal) -> Decimal:
    """Return the peak after cash came in (or went out, below 0).

    It moves in proportion to the value, so that the drawdown stays what it was.

    Args:
        peak: before.
        value: before; None where it was not known, and the peak moves by as much.
        flow: what came in.
    """
    if value is None:
        return peak + flow
    if value == peak or value <= 0 or peak <= 0:
        return max(value + flow, ZERO)
    return rounded(peak * (value + flow) / value)
