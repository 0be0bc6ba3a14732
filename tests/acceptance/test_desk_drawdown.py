"""The drawdown alert on AAPL, 2000 to 2013: the crash is one, a split is none.

AAPL lost 52 % overnight on 2000-09-29. Its splits by two of 2000-06-21 and 2005-02-28 look like
that in prices as they were traded, and took nothing from anybody.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from closingbell import App, create_app
from closingbell.core.clock import from_micros
from closingbell.session_hours import session_hours
from closingbell.simulation.report import Report
from closingbell.tasks import RiskScan
from closingbell.trading.market.demo import demo_bars
from closingbell.trading.market.memory import MemoryBars

LIMIT = 0.5
CRASH, SPLITS = "2000-09-29", ("2000-06-21", "2005-02-28")


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    folder = tmp_path_factory.mktemp("drawdown")
    app = create_app(folder / "desk.db", timezone="America/New_York", guardian=False)
    app.add_account(cash=100_000, max_drawdown=LIMIT)
    limits: dict[str, Any] = {
        "days": 60,
        "max_weight": None,
        "max_correlated": None,
        "max_value_at_risk": None,
    }
    app.add_task(RiskScan(max_drawdown=LIMIT, session="XNYS close", **limits))

    @app.task(session="XNYS open", retries=0)
    def hold(algorithm: Any) -> None:
        """Put all of it into AAPL once there is a price."""
        if not algorithm.get_orders() and algorithm.get_market_data("AAPL", limit=1):
            algorithm.create_buy_order("AAPL", percentage=1)

    @app.task(on_event="drawdown_breach", priority=1)
    def breach(algorithm: Any, value: float, peak: float) -> None:
        algorithm.send_alert(f"the account fell to {value / peak:.0%} of its peak", "CRITICAL")

    yield app
    app.stop()


@pytest.fixture(scope="module")
def history(app: App) -> Report:
    """All thirteen years."""
    return app.backtest(store=False, symbols="AAPL")


def alerts(report: Report, task: str) -> list[tuple[str, str]]:
    """When a task raised an alert (sessions lie within a UTC day), and what it said."""
    return [
        (from_micros(alert.at).date().isoformat(), alert.message)
        for alert in report.alerts
        if alert.task == task
    ]


@pytest.mark.parametrize("task", ["breach", "risk_scan"])
def test_alert_fires_on_the_crash_and_on_no_split(history: Report, task: str) -> None:
    days = [day for day, _ in alerts(history, task)]

    assert days[0] == CRASH
    assert not set(SPLITS) & set(days)
    # Back above its peak in 2005, it lost more than half once more, in the autumn of 2008.
    assert [day[:7] for day in days] == ["2000-09", "2008-10"]
    assert history.positions[0].quantity == pytest.approx(4 * history.trades[0].quantity)


def test_alert_comes_with_the_price_that_crosses_the_limit(app: App) -> None:
    """Of 53.50 it opened at 28.19, which is 47 % less, and closed at 25.75, which is 52 %."""
    report = app.backtest("2000-09-25", "2000-10-06", store=False, symbols="AAPL")
    [alert] = [alert for alert in report.alerts if alert.task == "breach"]

    assert from_micros(alert.at) == datetime.fromisoformat("2000-09-29T20:00:00+00:00")
    assert alert.message == "the account fell to 48% of its peak"


def test_without_its_corporate_actions_the_split_would_be_the_crash(app: App) -> None:
    """What the tests above would show if splits were not followed."""
    source = demo_bars(session_hours("XNYS"))
    first, last = source.span("1d") or (0, 0)
    bare = MemoryBars(source.bars("AAPL", "1d", first, last))
    report = app.backtest("2000-03-01", "2000-07-31", bare, store=False)

    assert alerts(report, "breach")[0][0] == SPLITS[0]
