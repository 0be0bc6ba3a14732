"""Buckets of time, and which of them make up a window.

Figures are kept by the minute for a day, by the hour for a month, by the UTC day for
a little more than a year, and in one sum since ever. A window is put together from
few rows, however many runs there were.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from closingbell.monitor.figures import Figures

_SECOND = 1_000_000
#: Widths of buckets, in seconds. 0 is the one bucket since ever.
EVER, MINUTE, HOUR, DAY = 0, 60, 3_600, 86_400
#: Under this name stands what all tasks' runs add up to, so that a sum over tasks is one row.
TOTAL = ""
#: How far back a window may begin to be cut to the width, in seconds.
_CUT = {MINUTE: 25 * HOUR, HOUR: 32 * DAY}
#: For how long buckets of a width are kept, in seconds; the sum since ever stays.
KEPT = {MINUTE: 26 * HOUR, HOUR: 33 * DAY, DAY: 400 * DAY}


class Span(NamedTuple):
    """Buckets of one width that follow each other; times are microseconds since the epoch.

    Attributes:
        width_s: of each bucket.
        since: the start of the first.
        until: where the last one ends, or None when there is no end.
    """

    width_s: int
    since: int
    until: int | None


class FigureReader(Protocol):
    """Where figures are kept, to be read."""

    def read(self, span: Span, tasks: Sequence[str] | None = None) -> Sequence[tuple[str, bytes]]:
        """Return the task and the encoded figures of each row in a span, `TOTAL` on demand only."""
        ...


def bucket_of(at: int, width_s: int) -> int:
    """Return the start of the bucket in which an instant lies."""
    return at - at % (width_s * _SECOND) if width_s else 0


def spans_of(since: int, now: int) -> list[Span]:
    """Return the spans that together cover `since` to `now`, each instant once.

    The window begins with the minute of `since`, when that is at most 25 hours ago; with its
    hour, when it is at most 32 days ago; with its UTC day before that.
    """
    back = (now - since) / _SECOND
    cut = next((width for width, far in _CUT.items() if back <= far), DAY)
    at, spans = bucket_of(since, cut), []
    for width, larger in ((MINUTE, HOUR), (HOUR, DAY)):
        end = -(-at // (larger * _SECOND)) * larger * _SECOND
        if at < end:
            spans.append(Span(width, at, end))
        if end > now:
            return spans
        at = end
    return [*spans, Span(DAY, at, None)]


def read_figures(
    reader: FigureReader,
    now: int,
    task: str | Sequence[str] | None = None,
    window_us: int | None = None,
) -> dict[str, Figures]:
    """Return the figures of each task in the window that ends now.

    Args:
        reader: where they are kept.
        now: the desk's time.
        task: only this task's, or these tasks'.
        window_us: how far back, in microseconds; None = since ever. See `spans_of`.
    """
    spans = [Span(EVER, 0, None)] if window_us is None else spans_of(now - window_us, now)
    tasks = [task] if isinstance(task, str) else task
    found: dict[str, Figures] = {}
    for span in spans:
        for name, data in reader.read(span, tasks):
            if name not in found:
                found[name] = Figures()
            found[name].take(data)
    return dict(sorted(found.items()))
