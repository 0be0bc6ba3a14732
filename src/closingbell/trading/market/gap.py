"""Gaps: where bars are missing between the first and the last one."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import chain

from closingbell.core.bar import QUOTE, BarSource, SessionHours, timeframe_seconds
from closingbell.core.clock import from_micros
from closingbell.trading.market.protocol import Gap
from closingbell.trading.market.span import sessions_around

_EVER = 1 << 62


def find_gaps(
    source: BarSource, symbol: str, timeframe: str, hours: SessionHours | None
) -> list[Gap]:
    """Return the gaps of one series, oldest first.

    Args:
        source: of which.
        symbol: whose.
        timeframe: which; single prices have no gaps.
        hours: bars are expected in sessions only; None = always.

    Raises:
        CalendarError: the hours are not known for all of it.
    """
    if timeframe == QUOTE:
        return []
    bars = (
        (bar.start, bar.end)
        for part in source.slices(timeframe, -_EVER, _EVER, [symbol])
        for bar in part.bars
    )
    first = next(bars, None)
    if first is None:
        return []
    spans = chain([first], bars)
    if hours is None:
        found = _by_step(spans, timeframe_seconds(timeframe) * 1_000_000)
    else:
        sessions = _sessions(source, timeframe, hours)
        if timeframe == "1d":
            found = _by_session(spans, sessions)
        else:
            found = _in_sessions(spans, timeframe_seconds(timeframe) * 1_000_000, sessions)
    return [Gap(symbol, timeframe, *gap) for gap in found]


def _sessions(source: BarSource, timeframe: str, hours: SessionHours) -> list[tuple[int, int]]:
    start, end = source.span(timeframe) or (0, 0)
    first, last = from_micros(start).date(), from_micros(end).date()
    return [(opens, closes) for _, opens, closes in sessions_around(hours, first, last)]


def _by_step(spans: Iterator[tuple[int, int]], step: int) -> Iterator[tuple[int, int, int]]:
    before = None
    for start, end in spans:
        # A local day is up to an hour longer or shorter than 24 hours.
        if before is not None and (missing := round((start - before) / step)) > 0:
            yield before, start, missing
        before = end


def _by_session(
    spans: Iterator[tuple[int, int]], sessions: Sequence[tuple[int, int]]
) -> Iterator[tuple[int, int, int]]:
    opens = [session[0] for session in sessions]
    expected: int | None = None
    for start, _ in spans:
        place = bisect_right(opens, start) - 1
        if expected is not None and place > expected:
            yield sessions[expected][0], sessions[place - 1][1], place - expected
        expected = max(place + 1, expected or 0)


def _in_sessions(
    spans: Iterator[tuple[int, int]], step: int, sessions: Sequence[tuple[int, int]]
) -> Iterator[tuple[int, int, int]]:
    closes = [session[1] for session in sessions]
    before = None
    for start, end in spans:
        if before is not None and start > before:
            place = bisect_right(closes, before)
            while place < len(sessions) and sessions[place][0] < start:
                since, until = max(before, sessions[place][0]), min(start, sessions[place][1])
                missing = (until - since) // step
                if missing > 0:
                    yield since, since + missing * step, missing
                place += 1
        before = end
