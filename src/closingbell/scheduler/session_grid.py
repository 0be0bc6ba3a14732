"""FiringGrid: every firing of a session rule, worked out once from the calendars."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from typing import Any, Literal, NamedTuple, TypeVar

from closingbell.scheduler.calendar import Calendar
from closingbell.scheduler.session_rule import Edge, SessionRule

Outside = Literal["clamp", "skip"]
Span = tuple[int, int]
_Row = TypeVar("_Row", bound=tuple[Any, ...])


class Unit(NamedTuple):
    """What counts as one session of a rule: its date and the spans of open trading, in seconds."""

    date: int
    spans: tuple[Span, ...]


@dataclass(frozen=True, eq=False)
class FiringGrid:
    """Firings as runs of equal steps; one firing is a run of length one.

    Attributes:
        starts, lasts: first and last firing of each run, in seconds since 1970, in order.
        step: seconds between the firings of a run.
        dates: the session date (ordinal) of each run.
        clamped: runs whose firing was moved to stay within its session.
        known_from, known_until: ordinals of the dates that all calendars know.
    """

    starts: array[int]
    lasts: array[int]
    step: int
    dates: array[int]
    clamped: frozenset[int]
    known_from: int
    known_until: int

    def next_after(self, second: int) -> int | None:
        """Return the first firing after a second, or None after the last known one."""
        run = bisect_right(self.lasts, second)
        if run == len(self.lasts):
            return None
        start = self.starts[run]
        if second < start:
            return start
        return start + ((second - start) // self.step + 1) * self.step

    def run_of(self, second: int) -> int | None:
        """Return the run that fires at a second, or None."""
        run = bisect_right(self.starts, second) - 1
        if run < 0 or second > self.lasts[run] or (second - self.starts[run]) % self.step:
            return None
        return run


def firing_grid(rule: SessionRule, outside: Outside, calendars: tuple[Calendar, ...]) -> FiringGrid:
    """Work out every firing of a rule.

    Args:
        rule: the rule.
        outside: what becomes of an offset that leaves its session.
        calendars: those of the rule's venues, in their order.
    """
    known_from = max(calendar.known_from.toordinal() for calendar in calendars)
    known_until = min(calendar.known_until.toordinal() for calendar in calendars)
    plain = len(calendars) == 1 and not rule.which and outside == "clamp"
    if plain and rule.edge is not None and rule.edge.name in ("open", "close"):
        return _plain_grid(rule.edge, calendars[0], known_from, known_until)
    if rule.edge is None:
        runs = _windows(rule, _chosen(rule, _units(rule, calendars), known_from, known_until))
        step = rule.step_s
    else:
        if rule.combine in ("all", "any"):
            points = _joint_points(rule.combine, rule.edge, calendars, outside)
        else:
            points = _points(rule.edge, _units(rule, calendars), outside)
        runs = (
            (point[0], point[0], day, point[1])
            for day, point in _chosen(rule, points, known_from, known_until)
            if point is not None
        )
        step = 1
    return _ordered(runs, step, known_from, known_until)


def _plain_grid(edge: Edge, calendar: Calendar, known_from: int, known_until: int) -> FiringGrid:
    """Return the grid of the commonest rule, each session's open or close, in one pass."""
    offset = edge.offset_s
    if edge.name == "open":
        wanted = [opened + offset for opened in calendar.opens]
        bounds: Sequence[int] = calendar.closes
        kept = [min(pair) for pair in zip(wanted, bounds, strict=True)] if offset > 0 else wanted
    else:
        wanted = [closed + offset for closed in calendar.closes]
        bounds = calendar.opens
        kept = [max(pair) for pair in zip(wanted, bounds, strict=True)] if offset < 0 else wanted
    clamped: frozenset[int] = frozenset()
    if kept != wanted:
        pairs = enumerate(zip(wanted, kept, strict=True))
        clamped = frozenset(index for index, (want, keep) in pairs if want != keep)
    firings = array("q", kept)
    dates = array("l", calendar.dates)
    return FiringGrid(firings, firings, 1, dates, clamped, known_from, known_until)


def units_of(calendar: Calendar) -> Iterator[Unit]:
    """Return a venue's sessions as units; a break splits one in two spans."""
    breaks = calendar.breaks
    for index, (day, opened, closed) in enumerate(
        zip(calendar.dates, calendar.opens, calendar.closes, strict=True)
    ):
        pause = breaks.get(index)
        if pause is None:
            yield Unit(day, ((opened, closed),))
        else:
            yield Unit(day, ((opened, pause[0]), (pause[1], closed)))


def _units(rule: SessionRule, calendars: tuple[Calendar, ...]) -> Iterable[Unit]:
    if rule.combine == "overlap":
        return _overlap(calendars)
    if rule.combine == "any":
        return _union(calendars)
    return units_of(calendars[0])


def _overlap(calendars: tuple[Calendar, ...]) -> Iterator[Unit]:
    """Yield the spans in which all venues are open, by the first venue's sessions."""
    shared = [
        (start, end, unit.date) for unit in units_of(calendars[0]) for start, end in unit.spans
    ]
    for calendar in calendars[1:]:
        others = [span for unit in units_of(calendar) for span in unit.spans]
        met: list[tuple[int, int, int]] = []
        position = 0
        for start, end, day in shared:
            while position < len(others) and others[position][1] <= start:
                position += 1
            ahead = position
            while ahead < len(others) and others[ahead][0] < end:
                met.append((max(start, others[ahead][0]), min(end, others[ahead][1]), day))
                ahead += 1
        shared = met
    by_day: dict[int, list[Span]] = {}
    for start, end, day in shared:
        by_day.setdefault(day, []).append((start, end))
    for day, spans in by_day.items():
        yield Unit(day, _joined(spans))


def _union(calendars: tuple[Calendar, ...]) -> Iterator[Unit]:
    """Yield the spans in which at least one venue is open, by date."""
    by_day: dict[int, list[Span]] = {}
    for calendar in calendars:
        for unit in units_of(calendar):
            by_day.setdefault(unit.date, []).extend(unit.spans)
    for day in sorted(by_day):
        yield Unit(day, _joined(sorted(by_day[day])))


def _joined(spans: list[Span]) -> tuple[Span, ...]:
    joined: list[Span] = []
    for start, end in spans:
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return tuple(joined)


def _point(edge: Edge, spans: tuple[Span, ...], bounds: Span, outside: Outside) -> Span | None:
    """Return the instant of an edge, and 1 if it was moved to stay within `bounds`; or None."""
    opened, closed = bounds
    if edge.name == "open":
        instant, low, high = spans[0][0], opened, closed
    elif edge.name == "close":
        instant, low, high = spans[-1][1], opened, closed
    elif len(spans) < 2:
        return None
    elif edge.name == "break-start":
        instant, low, high = spans[0][1], opened, spans[1][0]
    else:
        instant, low, high = spans[1][0], spans[0][1], closed
    # Before the open and after the close are outside by intent.
    if (edge.name == "open" and edge.offset_s < 0) or (edge.name == "close" and edge.offset_s > 0):
        return instant + edge.offset_s, 0
    wanted = instant + edge.offset_s
    kept = min(max(wanted, low), high)
    if kept != wanted and outside == "skip":
        return None
    return kept, int(kept != wanted)


def _points(
    edge: Edge, units: Iterable[Unit], outside: Outside
) -> Iterator[tuple[int, Span | None]]:
    for unit in units:
        yield unit.date, _point(edge, unit.spans, (unit.spans[0][0], unit.spans[-1][1]), outside)


def _joint_points(
    combine: str, edge: Edge, calendars: tuple[Calendar, ...], outside: Outside
) -> Iterator[tuple[int, Span | None]]:
    by_day: dict[int, list[Unit]] = {}
    for calendar in calendars:
        for unit in units_of(calendar):
            by_day.setdefault(unit.date, []).append(unit)
    bare = Edge(edge.name)
    for day in sorted(by_day):
        units = by_day[day]
        if combine == "all" and len(units) < len(calendars):
            continue
        bounds = (min(unit.spans[0][0] for unit in units), max(u.spans[-1][1] for u in units))
        reached = [
            (point[0], unit)
            for unit in units
            if (point := _point(bare, unit.spans, bounds, outside)) is not None
        ]
        if not reached or (combine == "all" and len(reached) < len(calendars)):
            yield day, None
            continue
        pick = max if combine == "all" else min
        unit = pick(reached, key=lambda pair: pair[0])[1]
        yield day, _point(edge, unit.spans, bounds, outside)


def period_key(period: str, day: date) -> tuple[int, int]:
    """Return what two days of one week (ISO), month, quarter or year have in common."""
    if period == "week":
        year, week, _ = day.isocalendar()
        return year, week
    if period == "month":
        return day.year, day.month
    if period == "quarter":
        return day.year, (day.month - 1) // 3
    return day.year, 0


def _chosen(
    rule: SessionRule, rows: Iterable[_Row], known_from: int, known_until: int
) -> Iterator[_Row]:
    """Yield the rows of known dates that the rule's `which` picks from each period.

    A period that is not known to its end has no last session yet, and one not known
    from its start no first one.
    """
    known = (row for row in rows if known_from <= row[0] <= known_until)
    if not rule.which:
        yield from known
        return
    before = period_key(rule.period, date.fromordinal(known_from - 1))
    after = period_key(rule.period, date.fromordinal(known_until + 1))
    place = rule.which - 1 if rule.which > 0 else rule.which
    for key, group in groupby(
        known, key=lambda row: period_key(rule.period, date.fromordinal(row[0]))
    ):
        if key == (before if rule.which > 0 else after):
            continue
        members = list(group)
        if -len(members) <= place < len(members):
            yield members[place]


def _windows(rule: SessionRule, units: Iterable[Unit]) -> Iterator[tuple[int, int, int, int]]:
    """Yield the runs of an `every` rule: the grid starts anew when trading resumes."""
    step = rule.step_s
    for unit in units:
        opened, closed = unit.spans[0][0], unit.spans[-1][1]
        start = _bound(rule.start, opened, closed) if rule.start is not None else opened
        end = _bound(rule.end, opened, closed) if rule.end is not None else closed - 1
        spans = list(unit.spans)
        if start < opened:
            spans[0] = (start, spans[0][1])
        for index, (low, high) in enumerate(spans):
            low = max(low, start)
            # The close belongs to the window only where `to` asks for it.
            high = end if index == len(spans) - 1 else min(end, high - 1)
            if low <= high:
                yield low, low + (high - low) // step * step, unit.date, 0


def _bound(edge: Edge, opened: int, closed: int) -> int:
    return (opened if edge.name == "open" else closed) + edge.offset_s


def _ordered(
    runs: Iterable[tuple[int, int, int, int]], step: int, known_from: int, known_until: int
) -> FiringGrid:
    starts, lasts, dates = array("q"), array("q"), array("l")
    clamped: set[int] = set()
    for start, last, day, moved in runs:
        # Windows that reach into the next session end where it begins.
        while starts and start <= lasts[-1]:
            if start > starts[-1]:
                lasts[-1] = starts[-1] + (start - 1 - starts[-1]) // step * step
            else:
                clamped.discard(len(starts) - 1)
                for column in (starts, lasts, dates):
                    column.pop()
        if moved:
            clamped.add(len(starts))
        starts.append(start)
        lasts.append(last)
        dates.append(day)
    return FiringGrid(starts, lasts, step, dates, frozenset(clamped), known_from, known_until)
