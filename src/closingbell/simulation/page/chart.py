"""Charts: curves over time as inline SVG that stretches, with labels that do not.

The drawing is stretched to whatever room there is; lines keep their width, and labels are text of
the page. All of it stands without a script; one adds a readout under the pointer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from closingbell.simulation.figure_text import day_text
from closingbell.simulation.page.markup import Content, Markup, data_script, joined, tag
from closingbell.simulation.page.scale import ratio_steps, round_steps, time_ticks

#: An axis of amounts is logarithmic where the highest is so many times the lowest.
STEEP = 3.0
#: Points that are drawn; of more, each stretch keeps its lowest and its highest.
DRAWN_POINTS = 1_500
_SIZE = 1000.0


class Curve(NamedTuple):
    """One line.

    Attributes:
        name: for the legend.
        style: the class that colours it.
        values: one for each instant of the chart; None leaves a gap.
        filled: whether the room between the line and zero, or the bottom, is filled.
    """

    name: str
    style: str
    values: Sequence[float | None]
    filled: bool = False


class Band(NamedTuple):
    """A stretch of time that is marked, with what it is."""

    start: int
    end: int
    name: str


def time_chart(
    title: str,
    description: str,
    at: Sequence[int],
    curves: Sequence[Curve],
    *,
    timezone: str,
    label: Callable[[float], str],
    unit: str,
    height: str = "tall",
    zero: bool = False,
    steep: bool = False,
    bands: Sequence[Band] = (),
    note: Content = None,
) -> Markup:
    """Return a chart of curves over time.

    Args:
        title: the heading.
        description: what a reader who cannot see it is told.
        at: instants in microseconds, in order.
        curves: the first one is the subject.
        timezone: in which days are told.
        label: writes a value on the axis.
        unit: how the readout writes values: "money", "percent" or "ratio".
        height: "tall", "low" or "small".
        zero: whether zero belongs to the axis.
        steep: whether the axis may be logarithmic, where the values ask for it.
        bands: stretches that are marked.
        note: under the heading.
    """
    kept = thinned(at, curves, DRAWN_POINTS)
    instants = [at[n] for n in kept]
    drawn = [curve._replace(values=[curve.values[n] for n in kept]) for curve in curves]
    values = [value for curve in drawn for value in curve.values if value is not None]
    if len(instants) < 2 or not values:
        body: Content = tag("p", "Too few points to draw.", class_="empty")
        return tag("figure", _caption(title, (), note), body, class_="chart")
    ratio = steep and min(values) > 0 and max(values) > STEEP * min(values)
    frame = _Frame(instants[0], instants[-1], *_range(values, zero, ratio), ratio)
    plot = tag(
        "div",
        _drawing(frame, instants, drawn, bands),
        _labels(frame, label, timezone, instants),
        tag("div", class_="cursor", hidden=True),
        class_=f"plot {height}",
        role="img",
        tabindex="0",
        aria_label=f"{title}. {description}",
    )
    data = {
        "unit": unit,
        "left": [round(frame.x(instant), 2) for instant in instants],
        "days": [day_text(instant, timezone) for instant in instants],
        "curves": [
            {"name": curve.name, "values": [_short(value, unit) for value in curve.values]}
            for curve in drawn
        ],
    }
    readout = tag("div", class_="readout", role="status", hidden=True)
    return tag(
        "figure",
        _caption(title, drawn, joined("Logarithmic. " if ratio else None, note)),
        tag("div", plot, readout, class_="stage"),
        data_script(data),
        class_="chart",
        data_chart=True,
    )


def thinned(at: Sequence[int], curves: Sequence[Curve], limit: int) -> list[int]:
    """Return which points to draw: all, or each stretch's first, lowest, highest and last.

    What is lowest and highest is asked of the first curve.
    """
    count = len(at)
    if count <= limit or not curves:
        return list(range(count))
    stretches = limit // 4
    values = [0.0 if value is None else value for value in curves[0].values]
    kept: set[int] = set()
    for number in range(stretches):
        part = range(number * count // stretches, (number + 1) * count // stretches)
        kept |= {part[0], min(part, key=values.__getitem__), max(part, key=values.__getitem__)}
        kept.add(part[-1])
    return sorted(kept)


class _Frame(NamedTuple):
    start: int
    end: int
    low: float
    high: float
    ratio: bool

    @property
    def steps(self) -> list[float]:
        """Where the axis has lines."""
        return (ratio_steps if self.ratio else round_steps)(self.low, self.high)

    def x(self, at: float) -> float:
        """In percent from the left."""
        return (at - self.start) / (self.end - self.start) * 100

    def y(self, value: float) -> float:
        """In percent from the top."""
        low, high = self.low, self.high
        if self.ratio:
            low, high, value = math.log(low), math.log(high), math.log(value)
        return (high - value) / (high - low) * 100


def _range(values: Sequence[float], zero: bool, ratio: bool) -> tuple[float, float]:
    low, high = min(values), max(values)
    if ratio:
        room = (high / low) ** 0.04
        return low / room, high * room
    if zero:
        low, high = min(low, 0.0), max(high, 0.0)
    if low == high:
        low, high = low - (abs(low) or 1.0) * 0.05, high + (abs(high) or 1.0) * 0.05
    room = (high - low) * 0.04
    return (low if zero and low == 0 else low - room), (high if zero and high == 0 else high + room)


def _drawing(
    frame: _Frame, at: Sequence[int], curves: Sequence[Curve], bands: Sequence[Band]
) -> Markup:
    parts = []
    for band in bands:
        left, right = frame.x(band.start) * 10, frame.x(band.end) * 10
        parts.append(
            tag(
                "rect",
                class_="band",
                x=f"{left:.1f}",
                y="0",
                width=f"{max(right - left, 0.5):.1f}",
                height=f"{_SIZE:g}",
            )
        )
    for value in frame.steps:
        y = f"{frame.y(value) * 10:.1f}"
        style = "grid zero" if value == 0 else "grid"
        parts.append(tag("line", class_=style, x1="0", x2=f"{_SIZE:g}", y1=y, y2=y))
    floor = frame.y(min(max(0.0, frame.low), frame.high)) * 10
    for curve in reversed(curves):
        for stretch in _stretches(frame, at, curve.values):
            line = "L".join(f"{x:.1f} {y:.1f}" for x, y in stretch)
            if curve.filled:
                area = f"M{stretch[0][0]:.1f} {floor:.1f}L{line}L{stretch[-1][0]:.1f} {floor:.1f}Z"
                parts.append(tag("path", class_=f"area {curve.style}", d=area))
            parts.append(tag("path", class_=f"line {curve.style}", d=f"M{line}"))
    box = f"0 0 {_SIZE:g} {_SIZE:g}"
    return tag("svg", parts, viewBox=box, preserveAspectRatio="none", aria_hidden="true")


def _stretches(
    frame: _Frame, at: Sequence[int], values: Sequence[float | None]
) -> list[list[tuple[float, float]]]:
    found: list[list[tuple[float, float]]] = [[]]
    for instant, value in zip(at, values, strict=True):
        if value is None:
            found.append([])
        else:
            found[-1].append((frame.x(instant) * 10, frame.y(value) * 10))
    return [stretch for stretch in found if stretch]


def _labels(
    frame: _Frame, label: Callable[[float], str], timezone: str, at: Sequence[int]
) -> Markup:
    values = [
        tag("span", label(value), class_="y", style=f"top:{frame.y(value):.2f}%")
        for value in frame.steps
        if 2 <= frame.y(value) <= 99
    ]
    days = [
        tag(
            "span",
            tick.label,
            class_="x odd" if number % 2 else "x",
            style=f"left:{frame.x(tick.at):.2f}%",
        )
        for number, tick in enumerate(time_ticks(at[0], at[-1], timezone))
        if frame.x(tick.at) <= 97
    ]
    return joined(tag("div", values, class_="axis"), tag("div", days, class_="days"))


def _caption(title: str, curves: Sequence[Curve], note: Content) -> Markup:
    legend = tag(
        "ul",
        [tag("li", tag("i", class_=f"key {curve.style}"), curve.name) for curve in curves],
        class_="legend",
    )
    return tag(
        "figcaption",
        tag("h3", title),
        legend if len(curves) > 1 else None,
        tag("p", note, class_="note") if note else None,
    )


def _short(value: float | None, unit: str) -> float | None:
    # As many digits as the readout shows.
    return None if value is None else round(value, 4 if unit == "percent" else 2)
