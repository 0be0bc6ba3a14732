"""Drawdowns: how far and for how long a growth curve was below its peak."""

from __future__ import annotations

from typing import NamedTuple

from closingbell.simulation.growth import Growth

_DAY = 86_400_000_000


class Drawdown(NamedTuple):
    """One fall from a peak, up to the recovery.

    Attributes:
        depth: the lowest point as a fraction of the peak, below 0: -0.25 is a quarter down.
        peak_at: the last instant at the peak, in microseconds since the epoch.
        trough_at: the first instant at the lowest point.
        recovered_at: the first instant back at the peak or above it; None while it lasts.
        last_at: the recovery, or the curve's end.
    """

    depth: float
    peak_at: int
    trough_at: int
    recovered_at: int | None
    last_at: int

    @property
    def days(self) -> int:
        """Calendar days from the peak to the recovery, or to the curve's end."""
        return round((self.last_at - self.peak_at) / _DAY)

    @property
    def days_down(self) -> int:
        """Calendar days from the peak to the lowest point."""
        return round((self.trough_at - self.peak_at) / _DAY)

    @property
    def days_up(self) -> int | None:
        """Calendar days from the lowest point to the recovery, or None."""
        if self.recovered_at is None:
            return None
        return round((self.recovered_at - self.trough_at) / _DAY)


def drawdowns_of(growth: Growth) -> list[Drawdown]:
    """Return every drawdown, in the order of time."""
    found: list[Drawdown] = []
    if not growth.at:
        return found
    peak, peak_at = growth.curve[0], growth.at[0]
    depth, trough_at = 0.0, peak_at
    for at, value in zip(growth.at, growth.curve, strict=True):
        if value >= peak:
            if depth < 0:
                found.append(Drawdown(depth, peak_at, trough_at, at, at))
                depth = 0.0
            peak, peak_at = value, at
        elif value / peak - 1.0 < depth:
            depth, trough_at = value / peak - 1.0, at
    if depth < 0:
        found.append(Drawdown(depth, peak_at, trough_at, None, growth.at[-1]))
    return found


def underwater(growth: Growth) -> list[float]:
    """Return the fall from the running peak at each instant of the curve: 0, or below it."""
    peak = 0.0
    found = []
    for value in growth.curve:
        peak = max(peak, value)
        found.append(value / peak - 1.0)
    return found
