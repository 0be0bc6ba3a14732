"""The scheduler-centre document's event integration, with the ready tasks that it names."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from closingbell import App, create_app
from closingbell.core.clock import from_micros
from closingbell.tasks import DataSync, PerformanceReport, RiskScan


class Feed:
    """A feed of one rate, that changes once a day."""

    def __init__(self) -> None:
        self.asked = 0

    def get_latest_data(self, symbol: str) -> dict[str, Any]:
        self.asked += 1
        return {"time": "2012-11-01T12:00:00+00:00", "price": 1.25}


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    app = create_app(tmp_path / "desk.db", timezone="America/New_York", guardian=False)
    app.add_account(cash=10_000_000)
    app.add_task(DataSync(["EUR/USD"], Feed(), interval=None))
    app.add_task(RiskScan(max_weight=None, interval=None))
    app.add_task(PerformanceReport(interval=None))

    @app.task(session="XNYS open+1m", retries=0)
    def buys(algorithm: Any) -> None:
        algorithm.create_buy_order("IBM", value=600_000)

    task_scheduler = app.scheduler

    # As the document has it, from here ...
    # fmt: off
    async def register_trading_events() -> None:
        # Market data events
        task_scheduler.schedule_event_trigger(
            "data_sync", "market_data_update",
            {"source": "real_time_feed"}, priority=1
        )

        # Risk events
        task_scheduler.schedule_event_trigger(
            "risk_scan", "position_change",
            {"threshold": 1000000}, priority=2
        )

        # Performance events
        task_scheduler.schedule_event_trigger(
            "performance_report", "daily_close",
            {"report_type": "daily_summary"}, priority=3
        )
    # fmt: on
    # ... to here.

    asyncio.run(register_trading_events())
    yield app
    app.stop()


def test_events_of_the_desk_start_the_documents_tasks(app: App) -> None:
    report = app.backtest("2012-11-05", "2012-11-09", store=False, symbols="IBM")
    runs = {name: count.success for name, count in report.tasks.items()}
    order = [line.task for line in report.firings() if line.at == report.equity[-1].at]

    # Five sessions: their bars (the rate that a run of them stores starts nothing), the fills but
    # the last day's, and the closes.
    assert runs == {"data_sync": 5, "risk_scan": 4, "performance_report": 5, "buys": 5}
    assert {count.failed for count in report.tasks.values()} == {0}
    assert order == ["data_sync", "performance_report"]
    # The second purchase made it more than a million.
    [alert] = [alert for alert in report.alerts if alert.task == "risk_scan"]
    assert alert.message == "the exposure is above its limit of 1000000"
    assert from_micros(alert.at).date().isoformat() == "2012-11-07"


class Ticker:
    """A feed whose rate is another one each time."""

    def __init__(self) -> None:
        self.asked = 0

    def get_latest_data(self, symbol: str) -> dict[str, Any]:
        self.asked += 1
        return {"time": f"2012-11-01T12:00:{self.asked:02}+00:00", "price": 1 + self.asked / 100}


def test_data_sync_that_its_own_kind_of_event_starts_does_not_start_itself_again(
    tmp_path: Path,
) -> None:
    feed = Ticker()
    app = create_app(tmp_path / "desk.db", guardian=False)
    app.add_task(DataSync(["EUR/USD"], feed, interval=None))
    app.on("market_data_update", "data_sync")
    with app.running(scheduler=False):
        app.market_data.store("IBM", {"time": "2012-11-01T12:00:00+00:00", "price": 190})
        [run] = app.list_runs()
        app.handle(run.id).result(timeout=30)

        # An event and the runs that it starts are stored with the data, before the run ends.
        assert len(app.list_runs()) == 1
        assert [event["data"]["symbol"] for event in app.store.events.recent()] == ["IBM"]
        # Asked for by a person, it tells.
        app.submit("data_sync").result(timeout=30)
        assert app.store.events.recent(limit=1)[0]["data"]["symbol"] == "EUR/USD"
    app.stop()
