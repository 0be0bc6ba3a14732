"""Thinning a curve of snapshots to what a chart can show, its lows and highs kept."""

from __future__ import annotations

from collections.abc import Sequence

from closingbell.core.ledger import Snapshot


def thinned(curve: Sequence[Snapshot], most: int) -> list[Snapshot]:
    """Return at most `most` points of a curve: its first and last, and each span's extremes.

    Args:
        curve: the oldest first.
        most: 2 or more.
    """
    if len(curve) <= most:
        return list(curve)
    inner = curve[1:-1]
    spans = (most - 2) // 2
    kept = [curve[0]]
    for number in range(spans):
        start, end = len(inner) * number // spans, len(inner) * (number + 1) // spans
        span = inner[start:end]
        low = min(span, key=lambda point: point.value)
        high = max(span, key=lambda point: point.value)
        kept += sorted({low.at: low, high.at: high}.values(), key=lambda point: point.at)
    kept.append(curve[-1])
    return kept
