"""Provenance: which bars a backtest was made on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import msgspec

from closingbell.core.bar import BarSource
from closingbell.core.clock import from_micros

_encode = msgspec.msgpack.Encoder().encode


def describe_data(
    source: BarSource,
    name: str,
    timeframe: str,
    start: int,
    end: int,
    symbols: Iterable[str] | None = None,
) -> dict[str, Any]:
    """Return what the bars and corporate actions of a window were, as JSON values.

    Args:
        source: where they come from.
        name: of it, for people.
        timeframe: of the bars.
        start: of the window, in microseconds.
        end: of it.
        symbols: only these; None = all.

    Returns:
        `source`, `timeframe`, `symbols`, `bars` (how many), `first` and `last` (the first start
        and the last end, in UTC), `actions` (how many), and `sha256` of all of them: other bars
        have another one.
    """
    digest = hashlib.sha256()
    seen: set[str] = set()
    bars = actions = last = 0
    first: int | None = None
    for part in source.slices(timeframe, start, end, symbols):
        digest.update(_encode(part.bars))
        bars += len(part.bars)
        first = part.start if first is None else first
        last = max(last, part.end)
        seen.update(bar.symbol for bar in part.bars)
        for action in part.actions:
            digest.update(_encode([type(action).__name__, action]))
            actions += 1
    return {
        "source": name,
        "timeframe": timeframe,
        "symbols": sorted(seen),
        "bars": bars,
        "first": None if first is None else f"{from_micros(first):%Y-%m-%d %H:%M} UTC",
        "last": None if first is None else f"{from_micros(last):%Y-%m-%d %H:%M} UTC",
        "actions": actions,
        "sha256": digest.hexdigest(),
    }
