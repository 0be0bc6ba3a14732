"""The task page's desk: every block of the page as its authors wrote it, on one app.

What the page leaves to its reader is here: the data provider, the alert manager, the mail, and
the methods that it names and does not write. A task of the tests trades first, so that there is
something to look after, and another one writes down what there is.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from closingbell import App, Task
from closingbell.core.task import TaskDefinition

PAGE = Path(__file__).parent / "task_page"
#: What the page's own line is; the folder is another one on a machine of ours.
BACKUPS = 'f"/backups/'


@dataclass
class Look:
    """What there was at one instant."""

    at: datetime
    value: Decimal
    initial: Decimal
    peak: Decimal
    positions: dict[str, tuple[Decimal, Decimal]]
    trades: list[Any]
    archived: int
    orders: dict[str, str]
    stored: list[Any]

    @property
    def drawdown(self) -> str:
        return f"{(self.peak - self.value) / self.peak:.2%}"

    @property
    def change(self) -> str:
        return f"{abs(self.value / self.initial - 1) * 100:.2f}%"


@dataclass
class PageDesk:
    """The page's tasks on an app, and what came of them.

    Attributes:
        first, second: what is traded: most of the money in the first.
        printed: every line that the page's code printed, by block.
        mailed: reports; alerts: sent to the alert manager; handled: failures of the robust task.
        done: names of what the page leaves to its reader, as often as it was called.
    """

    app: App
    first: str
    second: str
    backups: Path
    now: Callable[[], datetime] | None = None
    late: Any = None
    printed: dict[str, list[str]] = field(default_factory=dict)
    mailed: list[str] = field(default_factory=list)
    alerts: list[tuple[str, str]] = field(default_factory=list)
    handled: list[str] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)
    resting: list[str] = field(default_factory=list)
    tasks: dict[str, Task] = field(default_factory=dict)

    # --- the page's own objects ----------------------------------------------------------

    def get_latest_data(self, symbol: str) -> dict[str, Any]:
        """The data provider."""
        if symbol == "DOWN":
            raise ConnectionError("no line")
        return {"price": 0.875}

    def send_alert(self, message: str, severity: str) -> None:
        """The alert manager."""
        self.alerts.append((severity, message))

    # --- its blocks ----------------------------------------------------------------------

    def block(self, name: str, **replaced: Any) -> dict[str, Any]:
        """Run a block; what it prints is noted, and it reads the desk's clock where one is given."""
        path = PAGE / f"{name}.py"
        source = path.read_text().replace(BACKUPS, f'f"{self.backups}/')
        space: dict[str, Any] = {"__name__": "page"}
        lines = self.printed.setdefault(name, [])
        space["print"] = lambda *words: lines.append(" ".join(map(str, words)))
        exec(compile(source, str(path), "exec"), space)
        if self.now is not None and "datetime" in space:
            space["datetime"] = _clock(replaced.get("now") or self.now)
        return space

    def add(self, kind: Any, *arguments: Any, **methods: Any) -> Task:
        """Add a task of a class of the page, with the methods that it leaves to its reader."""
        completed = type(kind.__name__, (kind,), methods)
        task: Task = completed(*arguments)
        self.app.add_task(task)
        self.tasks[kind.__name__] = task
        return task

    def fill(self) -> None:
        """Add every task of the page, and the two of the tests."""

        def note(word: str) -> Callable[..., None]:
            return lambda *_: self.done.append(word)

        self.app.add_task(Entry(self))
        self.app.add_task(Looker(self))
        self.app.add_task(Failing())
        self.add(
            self.block("market_data_collection")["MarketDataCollector"], ["EUR/USD", "DOWN"], self
        )
        self.add(self.block("portfolio_monitoring")["PortfolioMonitor"], self)
        self.add(
            self.block("performance_reporting")["PerformanceReporter"],
            "quant@example.com",
            send_report_email=lambda _self, report: self.mailed.append(report),
        )
        self.add(
            self.block("risk_management")["RiskManager"],
            0.15,
            0.5,
            check_correlation_risk=note("correlation"),
        )
        self.add(self.block("database_maintenance", now=self.late)["DatabaseMaintenanceTask"])
        self.add(self.block("task_monitor")["TaskMonitor"])
        self.add(
            self.block("conditional_task")["ConditionalRebalanceTask"],
            execute_rebalance=note("rebalance"),
        )

        def fails(_self: Any, algorithm: Any) -> None:
            raise ConnectionError("the exchange hung up")

        robust = self.add(
            self.block("error_handling")["RobustTask"],
            execute_task_logic=fails,
            handle_task_failure=lambda _self, error: self.handled.append(str(error)),
        )
        if self.now is not None:
            # Outside of a backtest its thirty seconds are the machine's.
            robust.retry_delay = 0.01  # type: ignore[attr-defined]
        self.add(
            self.block("resource_management")["ResourceAwareTask"],
            execute_heavy_computation=note("computed"),
        )
        self.add(
            self.block("task_dependencies")["DependentTask"],
            ["portfolio_monitor"],
            execute_task=note("dependent"),
        )
        for file in ("fixed_intervals", "cron_style"):
            for name, kind in self.block(file).items():
                if isinstance(kind, type) and issubclass(kind, Task) and kind is not Task:
                    self.add(kind, run=note(name))

    # --- what came of it -----------------------------------------------------------------

    @property
    def registered(self) -> dict[str, TaskDefinition]:
        return dict(self.app.registry.list_tasks())

    def lines(self, block: str, start: str) -> list[str]:
        """What a block printed after these words."""
        return [line[len(start) :] for line in self.printed[block] if line.startswith(start)]

    def sales(self) -> list[Any]:
        """Fills of the page's risk manager, the oldest first."""
        return [trade for trade in self.looks[-1].trades if trade.task == "risk_manager"]


def _clock(now: Callable[[], datetime]) -> Any:
    class DeskTime(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return now()

    return DeskTime


class Entry(Task):
    """Buys once, and leaves an order far below the market."""

    def __init__(self, desk: PageDesk) -> None:
        super().__init__("entry", session="XNYS open", priority=1, retries=0)
        self.desk = desk

    def run(self, algorithm: Any) -> None:
        if algorithm.get_orders():
            return
        desk = self.desk
        price = algorithm.get_price(desk.second)
        algorithm.create_buy_order(desk.second, value=800)
        algorithm.create_buy_order(desk.first, value=6_000)
        order = algorithm.create_limit_order(desk.second, round(price * 0.2, 2), "buy", 1)
        desk.resting.append(order.id)


class Looker(Task):
    """Writes down what there is; it changes nothing."""

    def __init__(self, desk: PageDesk) -> None:
        super().__init__("looker", interval="1h", priority=9)
        self.desk = desk

    def run(self, algorithm: Any) -> None:
        portfolio = algorithm.get_portfolio()
        known = "EUR/USD" in algorithm.get_symbols()
        self.desk.looks.append(
            Look(
                at=algorithm.now(),
                value=Decimal(portfolio.total_value),
                initial=Decimal(portfolio.initial_value),
                peak=Decimal(portfolio.peak_value),
                positions={
                    p.symbol: (Decimal(p.quantity), Decimal(p.current_value))
                    for p in algorithm.get_positions()
                },
                trades=algorithm.get_trades(archived=None),
                archived=len(algorithm.get_trades(archived=True)),
                orders={order.id: str(order.state) for order in algorithm.get_orders()},
                stored=algorithm.get_market_data("EUR/USD", "quote", limit=2) if known else [],
            )
        )


class Failing(Task):
    """Fails each time."""

    def __init__(self) -> None:
        super().__init__("failing", interval="1h", retries=0)

    def run(self, algorithm: Any) -> None:
        raise ValueError("no price")


def page_app(tmp_path: Path) -> App:
    """The app that the page's first block makes and starts, in a working folder of its own."""
    space: dict[str, Any] = {"__name__": "page", "print": builtins.print}
    path = PAGE / "creating_tasks.py"
    before, App.importing = App.importing, True
    try:
        exec(compile(path.read_text(), str(path), "exec"), space)
    finally:
        App.importing = before
    app: App = space["app"]
    return app
