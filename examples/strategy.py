"""A strategy, its limits and its report: the same file in a backtest, on paper and at a broker.

    python examples/strategy.py                                  # eight years, in some seconds
    closingbell backtest examples/strategy.py --from 2009-01-02 --html report.html
    closingbell serve examples/strategy.py                       # the same tasks on paper

The prices are the shipped daily history of five US stocks; import your own with
`closingbell data import`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from closingbell import create_app
from closingbell.app import App
from closingbell.tasks import PerformanceReport

STOCKS = ("AAPL", "GOOG", "IBM", "MSFT")


def make_app(
    database: str | Path = "sqlite:///strategy.db", days: int = 200, **settings: Any
) -> App:
    """Return the desk; a sweep makes it with other numbers of days, a rehearsal with another clock."""
    app = create_app(database, timezone="America/New_York", **settings)
    app.add_account(cash=100_000, fee="0.05%", slippage="0.02%", lot=1, max_drawdown=0.15)

    # Decided when the first session of a week is over, and traded at the next opening.
    @app.task(session="XNYS first-of-week close+5m", priority=3, tags=["strategy"])
    def follow_the_trend(algorithm: Any) -> dict[str, float]:
        """Hold a share of each stock that closed above its average."""
        weights = {}
        for symbol in STOCKS:
            closes = algorithm.get_market_data(symbol, limit=days, adjusted=True).closes()
            if len(closes) == days and closes[-1] > sum(closes) / days:
                weights[symbol] = 0.9 / len(STOCKS)
        algorithm.set_target_weights(weights, tolerance=0.03, close_others=True)
        return weights

    # The account's own limit: the ledger says once for each time that it is crossed.
    @app.task(on_event="drawdown_breach", priority=1)
    def tell_the_owner(algorithm: Any, drawdown: float) -> None:
        """Tell a person that the account is far below its peak."""
        algorithm.send_alert(f"the account is {drawdown:.1%} below its peak", "ERROR")

    app.add_task(PerformanceReport(session="XNYS last-of-month close+1h", folder="reports"))
    return app


app = make_app()


def main() -> None:
    """Backtest it, and write the report's page."""
    report = app.backtest("2005-01-03", "2012-12-31", symbols=STOCKS, name="follow the trend")
    print(report.summary())
    print("the page is", report.to_html("strategy.html"))


if __name__ == "__main__":
    main()
