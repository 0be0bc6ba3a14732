"""backtesting.py: prices as floats in arrays, indicators computed for all bars at once."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.crossing import CASH, FAST, SLOW, UNITS, Line, Trip, trip

DISTRIBUTIONS = ("backtesting", "pandas")


def prepare(lines: list[Line], folder: Path) -> Callable[[], Any]:
    """Return what runs the backtest; the frame of prices is made beforehand."""
    warnings.simplefilter("ignore")
    import pandas as pd
    from backtesting import Backtest, Strategy

    names = ("Open", "High", "Low", "Close", "Volume")
    frame = pd.DataFrame(
        {name: [float(line[at]) for line in lines] for at, name in enumerate(names, 2)},
        index=pd.to_datetime([line.start for line in lines], unit="us"),
    )

    class Crossing(Strategy):  # type: ignore[misc, unused-ignore]
        def init(self) -> None:
            close = self.data.Close.s
            self.fast = self.I(lambda: close.rolling(FAST).mean())
            self.slow = self.I(lambda: close.rolling(SLOW).mean())
            self.was = 0

        def next(self) -> None:
            side = 1 if self.fast[-1] > self.slow[-1] else -1
            if side != self.was and self.was:
                if side > 0:
                    self.buy(size=UNITS)
                elif self.position:
                    self.position.close()
            self.was = side

    return Backtest(frame, Crossing, cash=CASH, commission=0).run


def trips(stats: Any) -> list[Trip]:
    return [
        trip(bought, sold)
        for bought, sold in zip(
            stats._trades["EntryPrice"], stats._trades["ExitPrice"], strict=True
        )
    ]
