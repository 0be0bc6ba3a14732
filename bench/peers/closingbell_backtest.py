"""closingbell: a task of each bar's close, by the same engine that runs it live."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

from bench.crossing import CASH, FAST, SLOW, SYMBOL, UNITS, Line, Trip, trip

DISTRIBUTIONS = ("closingbell",)
_DAY = 86_400_000_000


def prepare(lines: list[Line], folder: Path) -> Callable[[], Any]:
    """Return what runs the backtest; the bars are made beforehand."""
    from closingbell import create_app
    from closingbell.core.bar import Bar
    from closingbell.core.clock import from_micros

    bars = [Bar(SYMBOL, *line[:2], *map(Decimal, line[2:])) for line in lines]
    daily = lines[0].end - lines[0].start > _DAY // 24
    timezone = "America/New_York" if daily else "UTC"
    app = create_app(folder / "bench.db", timezone=timezone, guardian=False)
    if daily:
        app.add_account(cash=CASH, calendar="XNYS", timeframe="1d")
    else:
        app.add_account(cash=CASH, calendar="24/7", timeframe="1m")
    closes: deque[Decimal] = deque(maxlen=SLOW)
    sums = [Decimal(0), Decimal(0)]
    state = {"was": 0}

    when: dict[str, Any] = {"session": "XNYS close"} if daily else {"interval": "1m"}

    @app.task(**when)
    def crossing(algorithm: Any) -> None:
        price = algorithm.get_price(SYMBOL)
        if len(closes) == SLOW:
            sums[1] -= closes[0]
        if len(closes) >= FAST:
            sums[0] -= closes[-FAST]
        closes.append(price)
        sums[0] += price
        sums[1] += price
        if len(closes) < SLOW:
            return
        side = 1 if sums[0] * SLOW > sums[1] * FAST else -1
        if side != state["was"] and state["was"]:
            if side > 0:
                algorithm.create_buy_order(SYMBOL, quantity=UNITS)
            elif algorithm.get_positions():
                algorithm.close_position(SYMBOL)
        state["was"] = side

    def run() -> Any:
        start = from_micros(bars[0].end)
        report = app.backtest(start, data={SYMBOL: bars}, store=False, fee=0)
        app.stop()
        if report.tasks["crossing"].last_error:
            raise RuntimeError(report.tasks["crossing"].last_error)
        return report

    return run


def trips(report: Any) -> list[Trip]:
    return [trip(one.entry_price, one.exit_price) for one in report.round_trips]
