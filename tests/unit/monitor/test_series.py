"""How runs went over time: which buckets are read, and into which points they are put."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest

from closingbell.monitor.figures import Figures
from closingbell.monitor.series import MOST_POINTS, read_series
from closingbell.monitor.window import DAY, HOUR, KEPT, MINUTE, TOTAL, Span, bucket_of

SECOND = 1_000_000
NOW = 1_772_461_830 * SECOND


class Kept:
    """Buckets that hold one success each, of every width that is kept."""

    def __init__(self) -> None:
        self.asked: list[tuple[Span, str]] = []
        self.rows = 0

    def buckets(self, span: Span, task: str) -> Sequence[tuple[int, bytes]]:
        self.asked.append((span, task))
        figures = Figures()
        figures.success = 1
        width = span.width_s * SECOND
        first = max(span.since, bucket_of(NOW - KEPT[span.width_s] * SECOND, span.width_s))
        found = [(at, figures.encode()) for at in range(first, NOW + 1, width)]
        self.rows = len(found)
        return found


@pytest.mark.parametrize(
    ("window_s", "width", "step"),
    [
        (15 * MINUTE, MINUTE, MINUTE),
        (HOUR, MINUTE, MINUTE),
        (6 * HOUR, MINUTE, 5 * MINUTE),
        (DAY, HOUR, HOUR),
        (7 * DAY, HOUR, 2 * HOUR),
        (30 * DAY, DAY, DAY),
        (400 * DAY, DAY, 5 * DAY),
    ],
)
def test_window_is_read_in_few_rows_and_shown_in_few_points(
    window_s: int, width: int, step: int
) -> None:
    kept = Kept()
    points = read_series(kept, NOW, window_s * SECOND)
    [(span, task)] = kept.asked
    assert (span.width_s, task) == (width, TOTAL)
    assert kept.rows <= 410
    assert 10 <= len(points) <= MOST_POINTS + 1
    assert {point.until - point.at for point in points} == {step * SECOND}
    assert all(one.until == other.at for one, other in pairwise(points))
    assert points[0].at <= NOW - window_s * SECOND < points[0].until
    assert points[-1].at <= NOW < points[-1].until
    assert sum(point.figures.success for point in points) == kept.rows


def test_series_of_a_task_asks_for_that_task_alone() -> None:
    kept = Kept()
    read_series(kept, NOW, HOUR * SECOND, "scan")
    assert [task for _, task in kept.asked] == ["scan"]


def test_spans_in_which_nothing_ended_are_points_too() -> None:
    class Empty(Kept):
        def buckets(self, span: Span, task: str) -> Sequence[tuple[int, bytes]]:
            return []

    points = read_series(Empty(), NOW, HOUR * SECOND)
    assert len(points) == 61
    assert {point.figures.success for point in points} == {0}
