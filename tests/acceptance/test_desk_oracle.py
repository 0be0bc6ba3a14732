"""Trades equal those of backtesting.py on the same rules and the same data.

The rules: an average of ten closes crosses one of thirty; buy so many units on the way up, close
the position on the way down, each at the next open. backtesting.py (AGPL) is a test's oracle
only: nothing of it is in the product.
"""

from __future__ import annotations

import warnings
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from closingbell import App, create_app
from closingbell.core.book import RoundTrip
from closingbell.core.clock import from_micros

FAST, SLOW, UNITS, CASH = 10, 30, 10, 100_000
D = Decimal


class Trip(NamedTuple):
    """A position from its opening to its end."""

    opened: str
    closed: str
    entry: Decimal
    exit: Decimal
    pnl: Decimal


def average(closes: list[Any], length: int) -> Any:
    return sum(closes[-length:]) / length


@pytest.fixture(scope="module")
def google() -> Any:
    """Google's daily bars as backtesting.py ships them, a data frame."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from backtesting.test import GOOG
    return GOOG


def theirs(frame: Any, commission: float) -> tuple[list[Trip], Decimal]:
    """Trips and final equity of the other library."""
    from backtesting import Backtest, Strategy

    class Cross(Strategy):  # type: ignore[misc]
        def init(self) -> None:
            return None

        def next(self) -> None:
            # As decimals, so that equal averages are equal on both sides.
            closes = [D(repr(float(close))) for close in self.data.Close[-SLOW - 1 :]]
            if len(closes) <= SLOW:
                return
            before, now = closes[:-1], closes
            was = average(before, FAST) > average(before, SLOW)
            is_above = average(now, FAST) > average(now, SLOW)
            if is_above and not was:
                self.buy(size=UNITS)
            elif was and not is_above:
                self.position.close()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        test = Backtest(frame, Cross, cash=CASH, commission=commission, finalize_trades=False)
        stats = test.run()
    trips = [
        Trip(
            row.EntryTime.date().isoformat(),
            row.ExitTime.date().isoformat(),
            D(repr(float(row.EntryPrice))),
            D(repr(float(row.ExitPrice))),
            D(repr(float(row.PnL))),
        )
        for row in stats["_trades"].itertuples()
    ]
    return trips, D(repr(float(stats["Equity Final [$]"])))


def ours(app: App, frame: Any, fee: str | None) -> tuple[list[RoundTrip], Decimal]:
    """Round trips and final equity here."""

    @app.task(session="XNYS close")
    def cross(algorithm: Any) -> None:
        closes = algorithm.get_market_data("GOOG", limit=SLOW + 1).closes()
        if len(closes) <= SLOW:
            return
        before, now = closes[:-1], closes
        was = average(before, FAST) > average(before, SLOW)
        is_above = average(now, FAST) > average(now, SLOW)
        if is_above and not was:
            algorithm.create_buy_order("GOOG", quantity=UNITS)
        elif was and not is_above and algorithm.get_positions():
            algorithm.close_position("GOOG")

    report = app.backtest(
        data={"GOOG": frame.rename_axis("date").reset_index()}, fee=fee, store=False
    )
    app.stop()
    return list(report.round_trips), report.equity[-1].value


@pytest.mark.parametrize(("fee", "commission"), [(None, 0.0), ("0.2%", 0.002)])
def test_trades_of_a_crossing_of_averages_equal_the_other_librarys(
    tmp_path: Path, google: Any, fee: str | None, commission: float
) -> None:
    app = create_app(tmp_path / "desk.db", guardian=False)
    app.add_account(cash=CASH)
    wanted, their_equity = theirs(google, commission)
    found, equity = ours(app, google, fee)

    assert len(wanted) > 30
    assert [
        (
            from_micros(trip.opened_at).date().isoformat(),
            from_micros(trip.closed_at).date().isoformat(),
            trip.entry_price,
            trip.exit_price,
        )
        for trip in found
    ] == [trip[:4] for trip in wanted]
    assert [float(trip.pnl) for trip in found] == pytest.approx(
        [float(trip.pnl) for trip in wanted], abs=1e-6
    )
    assert float(equity) == pytest.approx(float(their_equity), abs=1e-6)
