"""The ready tasks at work on a live desk, on both stores, over a restart."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from closingbell import create_app
from closingbell.app import App
from closingbell.store.restore import restore
from closingbell.tasks import (
    DatabaseMaintenance,
    PerformanceReport,
    RiskManager,
    RiskScan,
    Settlement,
    TaskWatch,
)
from tests.acceptance.trading_days import CLOSES, TradingDays
from tests.postgres import PostgresServer

D = Decimal


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def fill(app: App, folder: Path) -> None:
    app.add_account(cash=10_000, fee="0.1%")
    app.add_task(Settlement(interest=0.0365))
    app.add_task(PerformanceReport(session="XNYS close+1m"))
    app.add_task(RiskScan(session="XNYS close", max_weight=0.3))
    app.add_task(RiskManager(0.15, 0.5, session="XNYS open+1m"))
    app.add_task(TaskWatch(session="XNYS close"))
    app.add_task(DatabaseMaintenance(backups=folder / "backups", interval=None))

    @app.task(session="XNYS open", retries=0)
    def entry(algorithm: Any) -> None:
        if not algorithm.get_orders():
            algorithm.create_buy_order("AAPL", value=6_000)

    @app.task(session="XNYS open", retries=0)
    def breaks() -> None:
        raise ValueError("no line")


@pytest.fixture
def desk(store_address: str, folder: Path) -> Iterator[TradingDays]:
    desk = TradingDays(store_address)
    fill(desk.app, folder)
    desk.app.start(block=False)
    yield desk
    desk.app.stop()


def evenings(desk: TradingDays, *numbers: int) -> None:
    """Let sessions pass, and a few minutes after each."""
    for number in numbers:
        desk.days(number)
        desk.go(CLOSES[number].replace(":00", ":05"))


def results(app: App, task: str) -> list[Any]:
    """What its runs returned, the oldest first."""
    return [run.result for run in reversed(app.list_runs(task=task, states=["success"]))]


def test_ready_tasks_look_after_a_live_account_over_a_restart(
    desk: TradingDays, store_address: str, folder: Path
) -> None:
    evenings(desk, 0, 1)
    desk.app.stop()
    desk = TradingDays(store_address, clock=desk.clock)
    fill(desk.app, folder)
    desk.app.start(block=False)
    evenings(desk, 2, 3)
    app = desk.app
    settled = results(app, "settlement")
    statements = [result["statements"][0] for result in settled]
    reports = results(app, "performance_report")
    alerts = [alert["message"] for alert in app.store.alerts.open("task_alert")]
    fills = app.store.ledger.entries("main", kind="fill")
    app.stop()

    # Statements balance, and each begins where the one before ended.
    assert [result["session_date"][-2:] for result in settled] == ["19", "20", "21", "23"]
    assert all(statement["balances"] for statement in statements)
    assert [s["opening"] for s in statements[1:]] == [s["closing"] for s in statements[:-1]]
    assert [bool(result["charged"]) for result in settled] == [False, True, True, True]
    # Every trade is in one report: the purchase, and what was above half of the account.
    assert [trade.task for trade in fills] == ["entry", "risk_manager"]
    counts = [int(result["report"].split("Trades")[1].split()[0]) for result in reports]
    assert sum(counts) == 2
    # What lasts is told once, though the app was started anew in between.
    failure, weight = sorted(alerts)
    assert failure == "task breaks failed: ValueError: no line"
    assert weight.startswith("the share of AAPL, 0.6")


def test_maintenance_of_a_live_desk_writes_a_backup_that_is_restored(
    desk: TradingDays, store_address: str, folder: Path, request: pytest.FixtureRequest
) -> None:
    desk.days(0, 1)
    handle = desk.app.submit("database_maintenance")
    desk.settle()
    done = desk.app.get_run(handle.id).result
    entries = desk.app.store.ledger.entries("main")
    if store_address.startswith("sqlite"):
        fresh = f"sqlite:///{folder / 'restored.db'}"
    else:
        server: PostgresServer = request.getfixturevalue("postgres_server")
        database = server.create_database()
        request.addfinalizer(lambda: server.drop_database(database))
        fresh = server.address(database)
    restore(done["backup"], fresh)
    again = create_app(fresh, guardian=False)
    found = again.store.ledger.entries("main")
    again.stop()

    assert done["bytes"] == Path(done["backup"]).stat().st_size > 1_000
    assert found == entries
    assert len(found) >= 3
