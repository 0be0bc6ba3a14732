"""Tasks that do not trade leave a backtest's equity curve as it is, to the last digit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import psutil
import pytest

from closingbell import App, create_app
from closingbell.core.task import TaskDefinition
from closingbell.simulation.report import Report
from closingbell.task import define_task
from closingbell.tasks import PerformanceReport, PortfolioMonitor, RiskScan, Settlement, TaskWatch
from tests.acceptance.page_desk import PageDesk

TIMEZONE = "America/New_York"


@pytest.fixture(autouse=True)
def free_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "cpu_percent", lambda interval: 5.0)


def trading_app(folder: Path) -> App:
    app = create_app(folder / "desk.db", timezone=TIMEZONE, guardian=False)
    app.add_account(cash=100_000, fee="0.1%", slippage="0.05%")

    @app.task(session="XNYS close", retries=0)
    def swing(algorithm: Any) -> None:
        """Hold what rose over two days, half of the money each, and a stop below it."""
        weights = {}
        for symbol in ("AAPL", "IBM", "MSFT"):
            closes = algorithm.get_market_data(symbol, limit=3).closes()
            if len(closes) == 3 and closes[-1] > closes[0]:
                weights[symbol] = 0.3
        algorithm.cancel_all_orders()
        algorithm.set_target_weights(weights, tolerance=0.05, close_others=True)
        for position in algorithm.get_positions():
            if position.symbol in weights and not algorithm.get_open_orders(position.symbol):
                price = round(position.price * 0.97, 2)
                algorithm.create_stop_order(position.symbol, price, percentage=1)

    return app


def bystanders(app: App, folder: Path) -> Iterator[TaskDefinition]:
    """Ever more tasks that only look: the page's and the ready ones, under ever new names."""
    desk = PageDesk(app, "AAPL", "IBM", folder / "backups")

    def fails(*_: Any) -> None:
        raise ConnectionError("no line")

    def kind(block: str, name: str, **methods: Any) -> Any:
        return type(name, (desk.block(block)[name],), methods)

    makers: list[Any] = [
        lambda: kind("portfolio_monitoring", "PortfolioMonitor")(desk),
        lambda: kind("market_data_collection", "MarketDataCollector")(["EUR/USD", "DOWN"], desk),
        lambda: kind("error_handling", "RobustTask", execute_task_logic=fails)(),
        lambda: kind("performance_reporting", "PerformanceReporter")(),
        lambda: kind("task_monitor", "TaskMonitor")(),
        lambda: kind("conditional_task", "ConditionalRebalanceTask")(),
        lambda: kind("database_maintenance", "DatabaseMaintenanceTask")(),
        lambda: kind("task_dependencies", "DependentTask", execute_task=fails)(["swing"]),
        lambda: RiskScan(interval="1h"),
        lambda: Settlement(),
        lambda: PerformanceReport(),
        lambda: PortfolioMonitor(),
        lambda: TaskWatch(),
    ]
    for number in count():
        task = makers[number % len(makers)]()
        definition = define_task(task, TIMEZONE)
        yield replace(definition, name=f"{definition.name}_{number}")


def run(folder: Path, extra: int) -> Report:
    folder.mkdir()
    app = trading_app(folder)
    for _, definition in zip(range(extra), bystanders(app, folder), strict=False):
        app.add_task(definition)
    report = app.backtest("2000-09-18", "2000-10-06", freeze=True, store=False)
    app.stop()
    return report


def traces(report: Report) -> list[str]:
    """Equity curve, trades and orders, digit by digit."""
    return [repr(part) for part in (report.equity, report.trades, report.orders, report.positions)]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Report:
    return run(tmp_path_factory.mktemp("alone") / "desk", 0)


def test_desk_of_the_comparison_really_trades(alone: Report) -> None:
    kinds = {str(order.type) for order in alone.orders}

    assert len(alone.trades) >= 10
    assert kinds == {"market", "stop"}
    assert any(str(order.state) == "cancelled" for order in alone.orders)


@pytest.mark.parametrize("extra", [1, 5, 20])
def test_tasks_that_do_not_trade_change_no_digit_of_the_equity_curve(
    tmp_path: Path, alone: Report, extra: int
) -> None:
    report = run(tmp_path / "desk", extra)

    assert traces(report) == traces(alone)
    assert len(report.tasks) == extra + 1
    assert sum(count.runs for name, count in report.tasks.items() if name != "swing") > 100 * extra
