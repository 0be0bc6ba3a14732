"""investing-algorithm-framework: its event backtest, with a data provider that reads a file."""

from __future__ import annotations

import contextlib
import csv
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.crossing import CASH, FAST, SLOW, SYMBOL, UNITS, Line, Trip, trip

DISTRIBUTIONS = ("investing-algorithm-framework", "pandas", "polars")
# Its window is of calendar days: these hold the fifty sessions.
_WINDOW = 90
_PAIR, _MARKET, _PROVIDER = f"{SYMBOL}/EUR", "BITVAVO", "csv_ohlcv_data_provider"


def prepare(lines: list[Line], folder: Path) -> Callable[[], Any]:
    """Return what runs the backtest; its file of prices is written beforehand."""
    # It makes folders and databases where it runs.
    os.chdir(folder)
    # Its clock ticks at midnight; bars stamped so fill the orders of the same tick at their open.
    days = [datetime.fromtimestamp(line.start // 1_000_000, UTC).date() for line in lines]
    path = folder / "prices.csv"
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["Datetime", "Open", "High", "Low", "Close", "Volume"])
        for day, line in zip(days, lines, strict=True):
            out.writerow([f"{day}T00:00:00.000000+0000", *line[2:]])
    with contextlib.redirect_stdout(sys.stderr):
        return _prepared(path, days[_WINDOW], days[-1])


def _prepared(path: Path, first: Any, last: Any) -> Callable[[], Any]:
    import investing_algorithm_framework as iaf

    shape = {"time_frame": "1d", "market": _MARKET, "symbol": _PAIR, "pandas": True}
    source = iaf.DataSource(
        identifier="prices",
        data_type="OHLCV",
        window_size=_WINDOW,
        data_provider_identifier=_PROVIDER,
        **shape,
    )

    class Crossing(iaf.TradingStrategy):  # type: ignore[misc, name-defined, unused-ignore]
        time_unit = iaf.TimeUnit.DAY
        interval = 1
        symbols = [SYMBOL]  # noqa: RUF012
        data_sources = [source]  # noqa: RUF012
        was = 0

        def run_strategy(self, context: Any, data: Any) -> None:
            prices = data["prices"]
            # It hands out the bar that opens at this tick, too, and on days without a bar the next.
            closes = prices["Close"][prices.index < context.config["INDEX_DATETIME"]]
            if len(closes) < SLOW:
                return
            side = 1 if closes.iloc[-FAST:].mean() > closes.iloc[-SLOW:].mean() else -1
            if side != self.was and self.was:
                if side > 0:
                    context.create_market_order(SYMBOL, order_side="BUY", amount=UNITS)
                elif context.has_position(SYMBOL):
                    context.create_market_order(SYMBOL, order_side="SELL", amount=UNITS)
            Crossing.was = side

    app = iaf.create_app()
    provider = iaf.CSVOHLCVDataProvider(
        storage_path=str(path),
        window_size=_WINDOW,
        data_provider_identifier=_PROVIDER,
        **shape,
    )
    app.add_data_provider(provider, priority=1)
    app.add_market(market=_MARKET, trading_symbol="EUR", initial_balance=CASH)
    app.add_strategy(Crossing)

    def day(date: Any) -> datetime:
        return datetime(date.year, date.month, date.day, tzinfo=UTC)

    span = iaf.BacktestDateRange(start_date=day(first), end_date=day(last))

    def run() -> Any:
        with contextlib.redirect_stdout(sys.stderr):
            return app.run_backtest(span, initial_amount=CASH)

    return run


def trips(backtest: Any) -> list[Trip]:
    (run,) = backtest.get_all_backtest_runs()
    closed = [each for each in run.trades if each.closed_at is not None]
    closed.sort(key=lambda each: each.opened_at)
    return [trip(_price(each, "BUY"), _price(each, "SELL")) for each in closed]


def _price(trade: Any, side: str) -> float:
    """Return what a trade's order filled at; the trade itself keeps the estimate of it."""
    return float([order for order in trade.orders if order.order_side == side][-1].price)
