"""A whole desk in a backtest: the task page's tasks, strategies, events, on the shipped history."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from runpy import run_path
from typing import Any

import pytest

from closingbell import App, Task, create_app
from closingbell.core.clock import to_micros
from closingbell.simulation.report import Report, read_report

PAGE = Path(__file__).parent / "task_page"


def of_page(block: str, name: str) -> Any:
    return run_path(str(PAGE / f"{block}.py"))[name]


class AlertManager:
    """What the page's portfolio monitor is given by its reader."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    def send_alert(self, message: str, severity: str) -> None:
        self.sent.append(f"{severity} {message}")


class DataProvider:
    """What the page's collector is given: its clock is the machine's."""

    def get_latest_data(self, symbol: str) -> dict[str, Any]:
        return {"time": datetime.now(), "price": 123.5}  # noqa: DTZ005


class BuyAndHold(Task):
    """Buy two stocks on the first morning."""

    def __init__(self) -> None:
        super().__init__(name="buy_and_hold", session="XNYS open+5m", priority=1)

    def run(self, algorithm: Any) -> None:
        """Buy once."""
        if not algorithm.get_positions() and not algorithm.get_orders():
            algorithm.create_buy_order(target_symbol="AAPL", percentage=0.5)
            algorithm.create_buy_order(target_symbol="IBM", percentage=0.2)


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    app = create_app(tmp_path / "desk.db", timezone="America/New_York", guardian=False)
    yield app
    app.stop()


def desk_of_the_page(app: App) -> AlertManager:
    """Give an app every task of the page that needs nothing but its algorithm."""
    app.add_account(cash=100_000, max_drawdown=0.15, fee="0.1%")
    alerts = AlertManager()
    robust = of_page("error_handling", "RobustTask")

    class Unlucky(robust):  # type: ignore[misc, valid-type]
        def execute_task_logic(self, algorithm: Any) -> None:
            raise ConnectionError("no line")

    dependent = of_page("task_dependencies", "DependentTask")

    class Dependent(dependent):  # type: ignore[misc, valid-type]
        def execute_task(self, algorithm: Any) -> None:
            print("prerequisites met")

    risk = of_page("risk_management", "RiskManager")

    class HourlyRisk(risk):  # type: ignore[misc, valid-type]
        def __init__(self) -> None:
            super().__init__(max_drawdown=0.15, max_position_size=0.6)
            Task.__init__(self, name="risk_manager", interval="1h", once_per_breach=True)

        def check_correlation_risk(self, algorithm: Any) -> None:
            return None

    for task in (
        BuyAndHold(),
        HourlyRisk(),
        of_page("portfolio_monitoring", "PortfolioMonitor")(alerts),
        of_page("database_maintenance", "DatabaseMaintenanceTask")(),
        of_page("performance_reporting", "PerformanceReporter")(),
        of_page("market_data_collection", "MarketDataCollector")(["EUR/USD"], DataProvider()),
        of_page("conditional_task", "ConditionalRebalanceTask")(),
        of_page("task_monitor", "TaskMonitor")(),
        Unlucky(),
        Dependent(["risk_manager"]),
    ):
        app.add_task(task)

    @app.task(on_event="drawdown_breach", priority=1)
    def breach(algorithm: Any, account: str) -> None:
        algorithm.send_alert(f"{account} fell", "CRITICAL")

    return alerts


def run(app: App, **changes: Any) -> Report:
    return app.backtest("2000-09-25", "2000-10-06", **{"freeze": True, "seed": 5, **changes})


def test_the_pages_tasks_run_on_the_shipped_history_and_act_on_its_crash(app: App) -> None:
    alerts = desk_of_the_page(app)
    report = run(app)

    counts = report.tasks
    assert {name: count.failed for name, count in counts.items() if count.failed} == {}
    # Twelve days of five-minute tasks, and as many of each hour.
    assert counts["portfolio_monitor"].success == 12 * 24 * 12
    assert counts["risk_manager"].success == 12 * 24
    assert counts["database_maintenance"].success == counts["performance_reporter"].success == 12
    assert counts["market_data_collector"].success == 12 * 24 * 60
    # Its thirty seconds between three tries are simulated ones.
    assert counts["robust_task"].sleep_s == counts["robust_task"].runs * 60.0
    assert report.not_done["backup_database"] == 12

    # AAPL lost half on 2000-09-29: the account fell below its limit, and the risk task sold.
    (alert,) = [alert for alert in report.alerts if alert.task == "breach"]
    assert alert.message == "main fell"
    crash = to_micros(datetime.fromisoformat("2000-09-29T13:30:00+00:00"))
    assert alert.at == crash
    sales = [trade for trade in report.trades if trade.quantity < 0 and trade.at >= crash]
    assert {trade.task for trade in sales} == {"risk_manager"}
    assert {trade.symbol for trade in sales} == {"AAPL", "IBM"}
    assert any(line.startswith("WARNING Portfolio down") for line in alerts.sent)


def test_the_report_adds_up_and_is_read_again_as_it_was(app: App, tmp_path: Path) -> None:
    desk_of_the_page(app)
    report = run(app)

    account = report.account()
    assert account.equity[0].value == 100_000
    assert account.equity[-1].value == account.equity[-1].cash + sum(
        position.value or 0 for position in account.positions
    )
    lines = list(report.firings())
    assert len(lines) == sum(
        count.runs + count.skipped_firings + count.unfinished for count in report.tasks.values()
    )
    again = read_report(app.store.backtests, report.id)
    assert again.to_json() == report.to_json()
    assert list(again.firings()) == lines
    assert report.to_html(tmp_path / "report.html").stat().st_size > 10_000


def test_the_same_seed_gives_the_same_bytes_and_more_readers_the_same_curve(
    app: App, tmp_path: Path
) -> None:
    desk_of_the_page(app)
    first, second = run(app, store=False), run(app, store=False)
    assert first.to_json() == second.to_json()

    @app.task(interval="7m")
    def looks(algorithm: Any) -> Any:
        return float(algorithm.get_portfolio().get_total_value())

    @app.task(interval="1h", retries=2)
    def fails(algorithm: Any) -> None:
        raise RuntimeError("again and again")

    third = run(app, store=False)
    assert third.tasks["looks"].success > 2_000
    assert third.equity == first.equity
    assert third.trades == first.trades


def test_a_backtest_leaves_the_live_store_alone_but_for_its_report(app: App) -> None:
    ran: list[str] = []

    @app.task(interval="1d")
    def submits(algorithm: Any) -> None:
        ran.append(app.submit("other").id)
        app.trigger_event("something", {"n": 1})
        algorithm.trigger_event("something", {"n": 2})
        algorithm.store_market_data("NEW", {"time": algorithm.now(), "price": 5})
        algorithm.send_alert("look")
        assert app.get_task_status()["submits"]["running"] == 1

    @app.task
    def other() -> None:
        return None

    @app.task(on_event="something")
    def hears(n: int) -> int:
        return n

    report = app.backtest("2001-01-02", "2001-01-05")

    assert report.tasks["submits"].failed == 0
    assert report.tasks["other"].success == len(ran) == 4
    assert report.tasks["hears"].success == 8
    assert app.list_runs() == []
    assert app.store.alerts.open() == []
    assert "NEW" not in app.market_data.symbols()
    assert [record.id for record in app.store.backtests.recent()] == [report.id]


def test_accounts_trade_side_by_side_each_on_its_own_terms(app: App) -> None:
    app.add_account("main", cash=10_000)
    app.add_account("careful", cash=5_000, fee="1 per order", lot=1)

    @app.task(session="XNYS open+1m")
    def bold(algorithm: Any) -> None:
        if not algorithm.get_positions():
            algorithm.create_buy_order(target_symbol="MSFT", percentage=0.9)

    @app.task(session="XNYS open+1m", account="careful")
    def careful(algorithm: Any) -> None:
        if not algorithm.get_positions():
            algorithm.create_buy_order(target_symbol="IBM", quantity=3)

    report = app.backtest("2004-01-05", "2004-02-05", store=False)

    assert {trade.symbol for trade in report.account("main").trades} == {"MSFT"}
    (trade,) = report.account("careful").trades
    assert (trade.symbol, str(trade.quantity), str(trade.fee)) == ("IBM", "3", "1")
    assert report.account("careful").equity[0].value == 5_000


def test_options_of_the_call_lead_over_the_accounts(app: App) -> None:
    app.add_account(cash=10_000, fee="0.1%")

    @app.task(session="XNYS close")
    def buys(algorithm: Any) -> None:
        if not algorithm.get_positions() and not algorithm.get_orders():
            algorithm.create_buy_order(target_symbol="IBM", quantity=1)

    def first_trade(**options: Any) -> Any:
        report = app.backtest("2004-01-05", "2004-01-30", store=False, **options)
        return report, report.trades[0]

    usual, trade = first_trade()
    changed, other = first_trade(cash=777, fee=0, fill="close", symbols=["IBM"], tasks=[buys])

    assert usual.equity[0].value == 10_000
    assert changed.equity[0].value == 777
    assert trade.fee > 0
    assert other.fee == 0
    assert trade.at > other.at  # the next open, and the close itself
    assert changed.account().terms["cash"] == "777"


def test_tasks_of_a_running_app_go_on_while_it_is_backtested(app: App) -> None:
    @app.task(interval="1d")
    def work() -> str:
        return "done"

    with app.running():
        handle = app.submit("work")
        report = app.backtest("2001-01-02", "2001-03-05")
        assert handle.result(30) == "done"
        assert app.submit("work").result(30) == "done"
    assert report.tasks["work"].success == 63
