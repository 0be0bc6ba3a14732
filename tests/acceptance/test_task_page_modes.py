"""Every call of the task page, in a backtest, on paper and at an exchange: 28 of 28.

The page's blocks run as their authors wrote them, on one app that the page's own first block
makes (`page_desk.py`). Each call is then held to what it did.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psutil
import pytest

import closingbell
import closingbell.app
from closingbell import create_app
from closingbell.app import App
from closingbell.core.clock import ScaledClock, from_micros, to_micros
from closingbell.simulation.report import Report
from closingbell.store.active import StoredActive
from closingbell.store.maintenance import StoredMaintenance
from closingbell.store.restore import restore
from tests.acceptance.desk import eventually
from tests.acceptance.page_desk import Entry, Look, PageDesk, page_app
from tests.exchange.server import LocalExchange

D = Decimal
MODES = ("backtest", "paper", "exchange")
ZONE = ZoneInfo("America/New_York")
#: AAPL fell by half on 29 September 2000.
FIRST, LAST = "2000-09-26", "2000-10-02"
#: Desk seconds in a machine second: the seven days take at least fourteen seconds.
SPEED = 43_200
TWO_HOURS = 7_200_000_000
#: No trade is a year old yet: the page's maintenance looks from so much later.
YEAR = timedelta(days=366)


class PatientClock(ScaledClock):
    """A clock that runs fast, and stops every two hours until the test lets it go on.

    So a busy machine falls behind by so much at most, and the page's desk is not a test of it.
    """

    def __init__(self, start: datetime, speed: float) -> None:
        super().__init__(start, speed)
        self._stop_at = self._start

    def micros(self) -> int:
        return min(super().micros(), self._stop_at)

    def go_on(self, until: int) -> None:
        """Run on to an instant, from where it stands."""
        self._start, self._zero = self.micros(), time.monotonic_ns()
        self._stop_at = until


@dataclass
class Evidence:
    """What one desk leaves behind.

    Attributes:
        fired: the instants of each task's firings (at the exchange, the next one), in local time.
        ran: how many runs of each task ended.
        maintained: calls of the database's own maintenance, by name.
        restored: entries of the ledger in the last backup, once it was restored.
    """

    mode: str
    desk: PageDesk
    fired: dict[str, list[datetime]] = field(default_factory=dict)
    ran: dict[str, int] = field(default_factory=dict)
    maintained: list[str] = field(default_factory=list)
    restored: int = 0
    report: Report | None = None


# --- three ways to run it ---------------------------------------------------------------------


def _local(instant: datetime) -> datetime:
    return instant.astimezone(ZONE).replace(tzinfo=None)


def _backtest(folder: Path) -> Evidence:
    app = page_app(folder)
    app.add_account(cash=10_000, fee="0.1%")
    desk = PageDesk(app, "AAPL", "IBM", folder / "backups")
    desk.fill()

    @app.task(session="XNYS open+30m")
    def asks_for_the_heavy_one() -> None:
        app.submit("ResourceAwareTask")

    report = app.backtest(FIRST, LAST, freeze=True, store=False)
    found = Evidence("backtest", desk, report=report)
    found.maintained = [name for name, count in report.not_done.items() for _ in range(count)]
    for line in report.firings():
        if line.schedule_id is not None:
            found.fired.setdefault(line.task, []).append(_local(from_micros(line.at)))
    found.ran = {name: count.runs for name, count in report.tasks.items()}
    app.stop()
    return found


def _paper(folder: Path, patch: pytest.MonkeyPatch) -> Evidence:
    clock = PatientClock(datetime.fromisoformat(f"{FIRST}T13:00:00+00:00"), SPEED)
    patch.setattr(closingbell.app, "SystemClock", lambda: clock)
    app = page_app(folder)
    app.add_account(cash=10_000, fee="0.1%")

    def now() -> datetime:
        return _local(clock.now())

    desk = PageDesk(app, "AAPL", "IBM", folder / "backups", now=now, late=lambda: now() + YEAR)
    found = Evidence("paper", desk)
    _note_maintenance(found, patch)
    desk.fill()
    app.start(block=False)
    app.submit("ResourceAwareTask")
    active, pump = StoredActive(app.store.database), app.machinery.floor._pump
    assert pump is not None
    # Until eight in the evening of the last day.
    for number in range(1, 6 * 12 + 6):
        until = to_micros(datetime.fromisoformat(f"{FIRST}T13:00:00+00:00")) + number * TWO_HOURS
        clock.go_on(until)
        while (
            clock.micros() < until
            or active.firings_until(until)
            or active.runs_until(until)
            or not pump.wait_for(until, 0.0)
        ):
            time.sleep(0.005)
    _stop(found)
    return found


def _exchange(folder: Path, patch: pytest.MonkeyPatch) -> Evidence:
    def now() -> datetime:
        return _local(datetime.now(UTC))

    with LocalExchange() as exchange:
        app = page_app(folder)
        app.add_account(currency="USDT", cash=10_000, broker=exchange.broker())
        backups = folder / "backups"
        desk = PageDesk(app, "BTC/USDT", "ETH/USDT", backups, now=now, late=lambda: now() + YEAR)
        found = Evidence("exchange", desk)
        _note_maintenance(found, patch)
        desk.fill()
        app.start(block=False, scheduler=False)

        def run(*tasks: str) -> None:
            for task in tasks:
                handle = app.submit(task)
                eventually(lambda: app.get_run(handle.id).state.is_final, task)  # noqa: B023

        def look() -> Look:
            run("looker")
            return desk.looks[-1]

        # Once: the fee leaves the position a trace above its size, too little for the exchange.
        run("entry", "looker", "portfolio_monitor", "risk_manager", "looker")
        run("market_data_collector", "failing", "conditional_rebalance", "robust_task")
        run("ResourceAwareTask", "dependent_task", "weekly_report", "task_monitor")
        exchange.set_price("BTC/USDT", 12_000)
        eventually(lambda: look().value < 9_000, "the account marked at the new price")
        run("portfolio_monitor", *["risk_manager"] * 6, "looker", "performance_reporter")
        run("database_maintenance", "looker")
        for symbol, (quantity, _) in desk.looks[-1].positions.items():
            assert exchange.total(symbol.split("/")[0]) == quantity
        _stop(found)
    return found


def _note_maintenance(found: Evidence, patch: pytest.MonkeyPatch) -> None:
    for name in ("backup", "rebuild_indices", "update_statistics"):
        real = getattr(StoredMaintenance, name)

        def noted(self: Any, *given: Any, _name: str = name, _real: Any = real) -> Any:
            done = _real(self, *given)
            found.maintained.append(_name)
            return done

        patch.setattr(StoredMaintenance, name, noted)


def _stop(found: Evidence) -> None:
    app = found.desk.app
    for name, status in app.get_task_status().items():
        found.fired[name] = [] if status["next_run"] is None else [_local(status["next_run"])]
    app.stop()
    for run in app.list_runs(limit=100_000):
        found.ran[run.task] = found.ran.get(run.task, 0) + 1
        if run.fire_at is not None:
            found.fired[run.task].append(_local(run.fire_at))
        if run.task != "failing":
            assert run.error is None, f"{run.task}: {run.error}"
    app.stop()
    last = sorted(found.desk.backups.iterdir())[-1]
    address = f"sqlite:///{found.desk.backups.parent / 'restored.db'}"
    restore(str(last), address)
    again = create_app(address, guardian=False)
    found.restored = len(again.store.ledger.entries("main"))
    again.stop()


@pytest.fixture(scope="module", params=MODES)
def evidence(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Evidence]:
    """One desk for all calls, in each mode."""
    folder = tmp_path_factory.mktemp(f"page-{request.param}")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("CLOSINGBELL_TIMEZONE", str(ZONE))
        patch.setenv("CLOSINGBELL_GUARDIAN", "false")
        # The load of the machine that runs the tests is not what is tested.
        patch.setattr(psutil, "cpu_percent", lambda interval: 5.0)
        match request.param:
            case "backtest":
                yield _backtest(folder)
            case "paper":
                yield _paper(folder, patch)
            case _:
                yield _exchange(folder, patch)


# --- the calls, and what shows that they did what they say ------------------------------------


def _imports(e: Evidence) -> None:
    assert type(e.desk.app) is App, "the page's own create_app() made it"
    assert all(isinstance(task, closingbell.Task) for task in e.desk.tasks.values())


def _add_task(e: Evidence) -> None:
    assert "data_cleanup" in e.desk.registered, "the page's own first block added it"


def _start(e: Evidence) -> None:
    wanted = {"market_data_collector", "portfolio_monitor", "risk_manager", "task_monitor"}
    assert wanted <= {name for name, count in e.ran.items() if count}


def _name(e: Evidence) -> None:
    assert set(e.desk.registered) >= {
        "market_data_collector", "portfolio_monitor", "performance_reporter", "risk_manager",
        "database_maintenance", "task_monitor", "conditional_rebalance", "robust_task",
        "dependent_task", "data_cleanup", "market_data_collection", "portfolio_report",
        "daily_backup", "weekly_report", "monthly_rebalance",
    }  # fmt: skip


def _interval(e: Evidence) -> None:
    for task, minutes in (("market_data_collector", 1), ("portfolio_monitor", 5), ("looker", 60)):
        at = e.fired[task]
        assert at
        assert {(one.hour * 60 + one.minute) % minutes + one.second for one in at} == {0}
    assert {one.time().isoformat() for one in e.fired["daily_backup"]} == {"23:30:00"}


def _time(e: Evidence) -> None:
    for task, when in (("performance_reporter", "18:00:00"), ("database_maintenance", "03:00:00")):
        assert {one.time().isoformat() for one in e.fired[task]} == {when}


def _cron(e: Evidence) -> None:
    weekly, monthly = e.fired["weekly_report"], e.fired["monthly_rebalance"]
    assert {(one.weekday(), one.hour, one.minute) for one in weekly} == {(0, 9, 0)}
    assert {(one.day, one.hour, one.minute) for one in monthly} == {(1, 0, 0)}
    assert "WeeklyReportTask" in e.desk.done


def _no_options(e: Evidence) -> None:
    assert e.desk.registered["ResourceAwareTask"].trigger is None
    assert "computed" in e.desk.done


def _changes(e: Evidence) -> set[str]:
    return {look.change for look in e.desk.looks}


def _get_portfolio(e: Evidence) -> None:
    told = {message.removeprefix("Portfolio down ") for _, message in e.desk.alerts}
    assert told
    assert {severity for severity, _ in e.desk.alerts} == {"WARNING"}
    assert told & _changes(e), "it is what the account was worth at another task's look"


def _get_positions(e: Evidence) -> None:
    [count] = {
        line for report in e.desk.mailed[-1:] for line in re.findall(r"Positions: (\d+)", report)
    }
    assert int(count) == len(e.desk.looks[-1].positions) == 2, "cash is no position"


def _get_trades(e: Evidence) -> None:
    busy = [report for report in e.desk.mailed if "- Trades: 0" not in report]
    assert busy, "today's trades are found"


def _todays(e: Evidence) -> list[tuple[str, list[Any]]]:
    """Each report of a day with trades, beside the trades of that day."""
    pairs = []
    for report in e.desk.mailed:
        at = datetime.fromisoformat(re.findall(r"Generated at: (.*)", report)[0])
        trades = [t for t in e.desk.looks[-1].trades if t.created_at.date() == at.date()]
        # On a fast clock a report may be so late that it is made in the next morning.
        if trades and (e.mode == "exchange" or at.hour >= 16):
            pairs.append((report, trades))
    assert pairs
    return pairs


def _created_at(e: Evidence) -> None:
    for report, trades in _todays(e):
        assert f"- Trades: {len(trades)}\n" in report


def _cost(e: Evidence) -> None:
    for report, trades in _todays(e):
        assert f"- Volume: ${sum(t.cost for t in trades):,.2f}\n" in report
        # The exchange takes its fee of a purchase, a thousandth, in what is bought.
        most = D("0.0011") if e.mode == "exchange" else D(0)
        assert all(abs(t.cost - t.quantity * t.price) <= t.cost * most for t in trades)


def _fee(e: Evidence) -> None:
    for report, trades in _todays(e):
        fees = sum((t.fee for t in trades), D(0))
        assert fees > 0
        assert f"- Fees: ${fees:,.2f}\n" in report


def _create_sell_order(e: Evidence) -> None:
    """Trimmed to half of the account, and then halved once: not to 1.6 % in six minutes."""
    desk = e.desk
    held: dict[str, Decimal] = {}
    parts: dict[str, list[Decimal]] = {}
    for trade in desk.looks[-1].trades:
        sign = 1 if trade.side == "buy" else -1
        if sign < 0:
            parts.setdefault(trade.symbol, []).append(trade.quantity / held[trade.symbol])
        held[trade.symbol] = held.get(trade.symbol, D(0)) + sign * trade.quantity
    halves = {s: [p for p in each if abs(p - D("0.5")) < D("0.001")] for s, each in parts.items()}
    assert {symbol: len(found) for symbol, found in halves.items()} == {
        desk.first: 1,
        desk.second: 1,
    }
    assert min(parts[desk.first]) < D("0.3"), "what was above half of the account was trimmed"
    alerts = len(desk.lines("risk_management", "RISK ALERT"))
    assert alerts >= 6, f"it looked {alerts} times while the drawdown lasted"


def _cancel_all_orders(e: Evidence) -> None:
    [resting] = e.desk.resting
    states = [look.orders.get(resting) for look in e.desk.looks]
    assert "open" in states
    assert states[-1] == "cancelled"


def _store_market_data(e: Evidence) -> None:
    assert {bar.close for look in e.desk.looks for bar in look.stored} == {D("0.875")}
    printed = set(e.desk.printed["market_data_collection"])
    assert printed == {
        "Collected data for EUR/USD",
        "Failed to collect data for DOWN: no line",
    }


def _archive_trades(e: Evidence) -> None:
    told = e.desk.lines("database_maintenance", "Archived ")
    if e.mode == "backtest":
        # Nothing is a year old in a week; the test of thirteen months below has what is.
        assert (told, e.desk.looks[-1].archived) == ([], 0)
        return
    assert sum(int(count.split(" ")[0]) for count in told) == e.desk.looks[-1].archived >= 2


def _archive_market_data(e: Evidence) -> None:
    assert "Database maintenance completed" in e.desk.printed["database_maintenance"]


def _maintained(e: Evidence, live: str, simulated: str) -> None:
    wanted = simulated if e.mode == "backtest" else live
    assert e.maintained.count(wanted) == len(
        e.desk.lines("database_maintenance", "Database optimization completed")
    )
    assert wanted in e.maintained


def _rebuild(e: Evidence) -> None:
    _maintained(e, "rebuild_indices", "rebuild_database_indices")


def _statistics(e: Evidence) -> None:
    _maintained(e, "update_statistics", "update_database_statistics")


def _backup(e: Evidence) -> None:
    _maintained(e, "backup", "backup_database")
    paths = [Path(one) for one in e.desk.lines("database_maintenance", "Database backed up to ")]
    assert paths
    if e.mode == "backtest":
        assert not any(path.exists() for path in paths), "a backtest leaves the database alone"
        return
    assert sorted(e.desk.backups.iterdir()) == sorted(paths)
    assert e.restored >= 4, "the deposit and the trades until then"


def _get_task_status(e: Evidence) -> None:
    printed = set(e.desk.printed["task_monitor"])
    assert "Task failing failed: ValueError: no price" in printed
    assert "dependent" in e.desk.done, "its prerequisite succeeded within two hours"


def _total_value(e: Evidence) -> None:
    told = {re.findall(r"Value: \$(\S+)", report)[0] for report in e.desk.mailed}
    assert told & {f"{look.value:,.2f}" for look in e.desk.looks}


def _initial_value(e: Evidence) -> None:
    assert {look.initial for look in e.desk.looks} == {D(10_000)}
    _get_portfolio(e)


def _peak_value(e: Evidence) -> None:
    told = {
        line.removesuffix(" exceeds limit")
        for line in e.desk.lines("risk_management", "RISK ALERT: Drawdown ")
    }
    assert told & {look.drawdown for look in e.desk.looks}


def _symbol(e: Evidence) -> None:
    told = e.desk.lines("portfolio_monitoring", "Large position alert: ")
    assert {line.split(" = ")[0] for line in told} == {e.desk.first}


def _current_value(e: Evidence) -> None:
    told = set(e.desk.lines("portfolio_monitoring", f"Large position alert: {e.desk.first} = $"))
    known = {look.positions.get(e.desk.first) for look in e.desk.looks}
    assert told & {f"{value:.2f}" for _, value in filter(None, known)}


#: The table of what the page calls, without what every Python object has.
CALLS: dict[str, Callable[[Evidence], None]] = {
    "import Task, create_app": _imports,
    "app.add_task": _add_task,
    "app.start": _start,
    "Task(name=)": _name,
    "Task(interval=)": _interval,
    "Task(time=)": _time,
    "Task(cron=)": _cron,
    "Task()": _no_options,
    "algorithm.get_portfolio": _get_portfolio,
    "algorithm.get_positions": _get_positions,
    "algorithm.get_trades": _get_trades,
    "algorithm.create_sell_order": _create_sell_order,
    "algorithm.cancel_all_orders": _cancel_all_orders,
    "algorithm.store_market_data": _store_market_data,
    "algorithm.archive_trades": _archive_trades,
    "algorithm.archive_market_data": _archive_market_data,
    "algorithm.rebuild_database_indices": _rebuild,
    "algorithm.update_database_statistics": _statistics,
    "algorithm.backup_database": _backup,
    "algorithm.get_task_status": _get_task_status,
    "portfolio.get_total_value": _total_value,
    "portfolio.get_initial_value": _initial_value,
    "portfolio.get_peak_value": _peak_value,
    "position.symbol": _symbol,
    "position.current_value": _current_value,
    "trade.created_at": _created_at,
    "trade.cost": _cost,
    "trade.fee": _fee,
}


def test_table_has_the_pages_28_calls() -> None:
    assert len(CALLS) == 28


@pytest.mark.timeout(180)
@pytest.mark.parametrize("call", CALLS)
def test_call_of_the_page_does_what_it_says(evidence: Evidence, call: str) -> None:
    CALLS[call](evidence)


def test_no_task_of_the_page_fails(evidence: Evidence) -> None:
    report = evidence.report
    if report is not None:
        failed = {name: count.failed for name, count in report.tasks.items() if count.failed}
        assert set(failed) == {"failing"}
    assert set(evidence.desk.handled) == {"the exchange hung up"}
    assert "rebalance" in evidence.desk.done


def test_thirty_seconds_of_the_robust_task_are_simulated_ones(evidence: Evidence) -> None:
    if evidence.report is None:
        assert evidence.ran["robust_task"] > 0
        return
    count = evidence.report.tasks["robust_task"]
    assert count.sleep_s == 60 * count.runs


def test_maintenance_archives_what_is_older_than_a_year(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page's own year, in a backtest of thirteen months."""
    monkeypatch.chdir(tmp_path)
    app = create_app(timezone=str(ZONE), guardian=False)
    desk = PageDesk(app, "AAPL", "IBM", tmp_path)
    app.add_task(Entry(desk))
    desk.add(desk.block("database_maintenance")["DatabaseMaintenanceTask"])
    known: list[tuple[datetime, datetime, int]] = []

    @app.task(interval="daily", time="04:00")
    def reads(algorithm: Any) -> None:
        bars = algorithm.get_market_data("AAPL")
        known.append((algorithm.now(), bars[0].end, len(algorithm.get_trades())))

    report = app.backtest("2000-03-15", "2001-04-15", freeze=True, store=False)
    app.stop()
    archived = [now for now, _, trades in known if trades == 0]

    assert report.tasks["database_maintenance"].failed == 0
    assert desk.lines("database_maintenance", "Archived ") == ["2 old trades"]
    # Bought on 15 March 2000 at 9:30, and so a year old on the morning of the 16th.
    assert archived[0] == datetime.fromisoformat("2000-03-15T04:00")
    assert archived[1] == datetime.fromisoformat("2001-03-16T04:00")
    year = timedelta(days=365, hours=1)
    assert all(now - oldest <= year for now, oldest, _ in known)
    assert any(now - oldest > timedelta(days=362) for now, oldest, _ in known)
