"""Series: how runs went over time, in as many points as a chart can show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from closingbell.monitor.figures import Figures
from closingbell.monitor.window import DAY, HOUR, KEPT, MINUTE, TOTAL, Span, bucket_of

_SECOND = 1_000_000
#: Rows of one worker that a series is made of, at most.
_MOST_ROWS = 400
#: Points of a series, at most, but for the one that is not over.
MOST_POINTS = 100
#: How long points may last, in seconds: what people read off an axis.
_STEPS = tuple(
    width * count
    for width, counts in (
        (MINUTE, (1, 2, 5, 10, 15, 30)),
        (HOUR, (1, 2, 3, 6, 12)),
        (DAY, (1, 2, 5)),
    )
    for count in counts
)


class Point(NamedTuple):
    """How runs went in a span of time; instants are microseconds since the epoch.

    Attributes:
        at: where it begins.
        until: where it ends; of the last one perhaps after now.
        figures: of the runs that ended in it.
    """

    at: int
    until: int
    figures: Figures


class BucketReader(Protocol):
    """Where figures are kept, to be read bucket by bucket."""

    def buckets(self, span: Span, task: str) -> Sequence[tuple[int, bytes]]:
        """Return the start and the encoded figures of each row of one task in a span."""
        ...


def read_series(
    reader: BucketReader, now: int, window_us: int, task: str | None = None
) -> list[Point]:
    """Return how runs went in the window that ends now, from its first to its last point.

    The points follow each other without gaps, also where nothing ended. The cost does not
    depend on how many runs, or tasks, there are.

    Args:
        reader: where the figures are kept.
        now: the desk's time.
        window_us: how far back, in microseconds, up to 400 days; the first point begins where
            its bucket does.
        task: only this task's; None = of all together.
    """
    width, step = _grain(window_us // _SECOND)
    first = bucket_of(now - window_us, step)
    points = [
        Point(at, at + step * _SECOND, Figures()) for at in range(first, now + 1, step * _SECOND)
    ]
    span = Span(width, first, None)
    for at, data in reader.buckets(span, TOTAL if task is None else task):
        place = (at - first) // (step * _SECOND)
        if place < len(points):
            points[place].figures.take(data)
    return points


def _grain(window_s: int) -> tuple[int, int]:
    """Return the width of the buckets that are read, and how long a point lasts."""
    width = next(
        (
            width
            for width in (MINUTE, HOUR)
            if window_s <= KEPT[width] - width and window_s // width <= _MOST_ROWS
        ),
        DAY,
    )
    step = next(step for step in _STEPS if step >= width and window_s // step <= MOST_POINTS)
    return width, step
