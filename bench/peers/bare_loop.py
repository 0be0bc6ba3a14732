"""No backtester: one loop over the bars with `Decimal`, that keeps cash and a position."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

from bench.crossing import CASH, FAST, SLOW, UNITS, Line, Trip, trip

DISTRIBUTIONS = ()


def prepare(lines: list[Line], folder: Path) -> Callable[[], Any]:
    bars = [(Decimal(line.open), Decimal(line.close)) for line in lines]

    def run() -> list[Trip]:
        closes: deque[Decimal] = deque(maxlen=SLOW)
        fast = slow = Decimal(0)
        cash, held, entry = Decimal(CASH), Decimal(0), Decimal(0)
        was, wanted = 0, 0
        peak, equity, made = cash, [], []
        for opened, closed in bars:
            if wanted > 0:
                cash, held, entry = cash - UNITS * opened, Decimal(UNITS), opened
            elif wanted < 0 and held:
                made.append(trip(entry, opened))
                cash, held = cash + held * opened, Decimal(0)
            wanted = 0
            if len(closes) == SLOW:
                slow -= closes[0]
            if len(closes) >= FAST:
                fast -= closes[-FAST]
            closes.append(closed)
            fast += closed
            slow += closed
            value = cash + held * closed
            peak = max(peak, value)
            equity.append(value)
            if len(closes) < SLOW:
                continue
            side = 1 if fast * SLOW > slow * FAST else -1
            if side != was and was:
                wanted = side
            was = side
        return made

    return run


def trips(made: list[Trip]) -> list[Trip]:
    return made
