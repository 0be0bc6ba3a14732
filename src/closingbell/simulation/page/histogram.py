"""Histogram: how often returns of each size came."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from closingbell.simulation.figure_text import percent
from closingbell.simulation.page.markup import Markup, tag
from closingbell.simulation.page.scale import round_steps


class Bin(NamedTuple):
    """How many values (`size`) are in [low, high)."""

    low: float
    high: float
    size: int


def bins_of(values: Sequence[float], limit: int = 41) -> list[Bin]:
    """Return bins of one round width that hold all values, one edge of them at zero.

    Args:
        values: at least one.
        limit: about how many bins there may be between the tails; the width follows from where
            the middle 98 percent are, and what is beyond goes into the outermost bins.
    """
    ordered = sorted(values)
    low = ordered[math.floor((len(ordered) - 1) * 0.01)]
    high = ordered[math.ceil((len(ordered) - 1) * 0.99)]
    spread = max(high, 0.0) - min(low, 0.0)
    if not spread:
        return [Bin(min(0.0, ordered[0]), max(0.0, ordered[-1]) or 1.0, len(ordered))]
    rough = spread / limit
    size = 10.0 ** math.floor(math.log10(rough))
    width = next(size * factor for factor in (1, 2, 2.5, 5, 10) if size * factor >= rough)
    first, last = math.floor(min(low, 0.0) / width) - 1, math.ceil(max(high, 0.0) / width)
    counts = dict.fromkeys(range(first, last + 1), 0)
    for value in ordered:
        counts[min(max(math.floor(value / width), first), last)] += 1
    return [Bin(n * width, (n + 1) * width, count) for n, count in counts.items()]


def histogram(
    title: str, returns: Sequence[float], marks: Sequence[tuple[str, float | None]]
) -> Markup:
    """Return the distribution of returns, losses and gains in their colours.

    Args:
        title: the heading.
        returns: fractions.
        marks: values to mark with a name, such as the value at risk.
    """
    moved = [value for value in returns if value]
    still = len(returns) - len(moved)
    note = f"{still:,} days without a change are left out." if still else None
    caption = tag("figcaption", tag("h3", title), tag("p", note, class_="note") if note else None)
    if len(moved) < 2:
        empty = tag("p", "Too few returns to draw.", class_="empty")
        return tag("figure", caption, empty, class_="chart")
    bins = bins_of(moved)
    low, high, top = bins[0].low, bins[-1].high, max(each.size for each in bins)
    width = 1000 / len(bins)
    bars = [
        tag(
            "rect",
            tag("title", f"{percent(each.low)} to {percent(each.high)}: {each.size:,}"),
            class_="bar loss" if each.low + each.high < 0 else "bar gain",
            x=f"{n * width + 0.5:.1f}",
            y=f"{1000 - each.size / top * 960:.1f}",
            width=f"{width - 1:.1f}",
            height=f"{each.size / top * 960:.1f}",
        )
        for n, each in enumerate(bins)
    ]

    def left(value: float) -> str:
        return f"{min(max((value - low) / (high - low), 0.0), 1.0) * 100:.2f}%"

    lines = [
        tag("span", tag("b", name), class_="mark", style=f"left:{left(value)}")
        for name, value in marks
        if value is not None and low <= value <= high
    ]
    ticks = [
        tag("span", percent(value, 1), class_="x", style=f"left:{left(value)}")
        for value in round_steps(low, high, 4)
        if 0.03 <= (value - low) / (high - low) <= 0.97
    ]
    said = ", ".join(f"{name} {percent(value)}" for name, value in marks if value is not None)
    drawing = tag(
        "svg", bars, viewBox="0 0 1000 1000", preserveAspectRatio="none", aria_hidden="true"
    )
    plot = tag(
        "div",
        drawing,
        tag("div", lines, class_="axis"),
        tag("div", ticks, class_="days"),
        class_="plot low wide",
        role="img",
        aria_label=f"{title}: {len(returns):,} returns between {percent(min(returns))} and "
        f"{percent(max(returns))}. {said}",
    )
    return tag("figure", caption, tag("div", plot, class_="stage"), class_="chart")
