"""Bars of several timeframes and lengths, in the order in which they become known."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from closingbell.core.bar import Bar, Slice
from closingbell.simulation.clock import SimulationClock
from closingbell.simulation.market import Market
from closingbell.simulation.moment import END, TASKS, Moment
from closingbell.simulation.record import Record
from closingbell.simulation.timeline import Timeline
from closingbell.trading.market.memory import MemoryBars
from closingbell.trading.walk import CLOSING, OPENING, MarketWalk

ONE = Decimal(1)


def bar(start: int, end: int, symbol: str = "A") -> Bar:
    return Bar(symbol, start, end, ONE, ONE, ONE, ONE, ONE)


class Source:
    """Slices as they are given, by timeframe."""

    def __init__(self, **slices: Sequence[Slice]) -> None:
        self._slices = slices

    def slices(
        self, timeframe: str, start: int, end: int, symbols: Iterable[str] | None = None
    ) -> Any:
        return iter(self._slices[timeframe])


class Listener:
    """Notes what a desk would be told."""

    def __init__(self, timeline: Timeline) -> None:
        self.heard: list[tuple[int, str, str, int]] = []
        self.timeline = timeline

    def closing(self, at: int, parts: Sequence[Slice], timeframe: str) -> None:
        self.heard.append((at, "closing", timeframe, len(parts)))
        assert self.timeline.clock.at == at

    def opening(self, at: int, parts: Sequence[Slice], timeframe: str) -> None:
        self.heard.append((at, "opening", timeframe, len(parts)))
        assert self.timeline.clock.at == at


def walked(source: Source, *, tasks: Sequence[int] = ()) -> list[Any]:
    """Return what is heard, with the tasks in between."""
    clock = SimulationClock(0, lambda until: None)
    timeline = Timeline(clock, 1_000)
    listener = Listener(timeline)
    desk: Any = listener
    bars: Any = source
    market = Market(desk, bars, ["a", "b"], 0, 1_000, None, timeline, Record(0))
    for at in tasks:
        timeline.add(at, TASKS, lambda moment: listener.heard.append((moment[0], "task", "", 0)))
    timeline.add(1_000, END, lambda moment: None)
    market.begin()
    import heapq

    while timeline.moments:
        moment: Moment = heapq.heappop(timeline.moments)
        timeline.advance(moment[0])
        moment[6](moment)
    return listener.heard


def test_of_one_instant_all_closings_come_before_tasks_and_all_openings_after() -> None:
    short = [Slice(n, n + 10, (bar(n, n + 10),)) for n in (0, 10, 20)]
    long = [Slice(0, 20, (bar(0, 20),)), Slice(20, 40, (bar(20, 40),))]

    assert walked(Source(a=short, b=long), tasks=[0, 10, 20]) == [
        (0, "task", "", 0),
        (0, "opening", "a", 1),
        (0, "opening", "b", 1),
        (10, "closing", "a", 1),
        (10, "task", "", 0),
        (10, "opening", "a", 1),
        (20, "closing", "a", 1),
        (20, "closing", "b", 1),
        (20, "task", "", 0),
        (20, "opening", "a", 1),
        (20, "opening", "b", 1),
        (30, "closing", "a", 1),
        (40, "closing", "b", 1),
    ]


def test_bars_that_begin_together_and_end_apart_open_together() -> None:
    parts = [Slice(0, 10, (bar(0, 10),)), Slice(0, 15, (bar(0, 15, "B"),))]

    assert walked(Source(a=parts, b=[])) == [
        (0, "opening", "a", 2),
        (10, "closing", "a", 1),
        (15, "closing", "a", 1),
    ]


def test_without_bars_nothing_is_told() -> None:
    assert walked(Source(a=[], b=[]), tasks=[5]) == [(5, "task", "", 0)]


lengths = st.lists(st.tuples(st.integers(0, 20), st.integers(1, 15)), max_size=12)


@given(lengths=lengths)
def test_every_bar_opens_and_closes_once_in_order_whatever_overlaps(
    lengths: list[tuple[int, int]],
) -> None:
    slices, start = [], 0
    for gap, length in lengths:
        start += gap
        slices.append(Slice(start, start + length, (bar(start, start + length),)))
    slices.sort(key=lambda part: part[:2])
    walk = MarketWalk(Source(a=slices), "a", 0, 10_000)  # type: ignore[arg-type]
    moments = []
    while (ahead := walk.peek()) is not None:
        moment = walk.pop()
        assert moment[:2] == ahead
        moments.append(moment)

    # A bar that ends where another starts closes first.
    assert [m[:2] for m in moments] == sorted(
        [(part.start, OPENING) for part in slices] + [(part.end, CLOSING) for part in slices]
    )


def test_taking_a_moment_takes_all_of_its_instant_and_phase_and_no_more() -> None:
    walk = MarketWalk(
        MemoryBars([bar(0, 60_000_000), bar(0, 60_000_000, "B")], timeframe="1m"), "1m", 0, 10**9
    )

    assert walk.take(0, CLOSING) == []
    (both,) = walk.take(0, OPENING)
    assert [one.symbol for one in both.bars] == ["A", "B"]
    assert walk.ahead is not None
    assert walk.take(60_000_000, CLOSING) == [both]
    assert walk.ahead is None
