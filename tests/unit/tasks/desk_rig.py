"""A desk in memory for one task at a time: prices, time and results are the test's to set."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from closingbell.core.bar import Bar, Quote
from closingbell.core.call import Call
from closingbell.core.clock import SimulatedClock, to_micros
from closingbell.core.order import OrderState
from closingbell.core.outcome import Outcome, Returned
from closingbell.core.run import Claim
from closingbell.executor.binding import Binding
from closingbell.executor.result import outcome_of
from closingbell.task import Task, define, define_task
from closingbell.trading.algorithm import Algorithm
from closingbell.trading.broker.paper import PaperBroker
from closingbell.trading.desk import Desk
from closingbell.trading.market.memory import MemoryBars
from closingbell.trading.market.overlay import OverlayBars
from closingbell.trading.market.reader import MarketReader
from closingbell.trading.memory_ledger import MemoryLedger
from closingbell.trading.terms import AccountTerms

#: A Monday.
START = datetime(2026, 3, 2, 21, 0, tzinfo=UTC)


class SleepingClock(SimulatedClock):
    """A clock that a sleeper itself moves on."""

    def sleep(self, seconds: float) -> None:
        self.advance(timedelta(seconds=seconds))


class Alert(NamedTuple):
    message: str
    severity: str
    data: Mapping[str, Any]


class RigMaintenance:
    """Writes a file of five bytes as a backup."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def backup(self, path: str) -> Mapping[str, Any]:
        self.calls.append("backup")
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text("copy\n")
        return {"path": path, "bytes": 5, "format": "sql"}

    def rebuild_indices(self) -> None:
        self.calls.append("rebuild")

    def update_statistics(self) -> None:
        self.calls.append("statistics")


class DeskRig:
    """The desk, and what is around it.

    Attributes:
        alerts: that tasks raised.
        status: what `get_task_status` answers, with aware times.
        results: what `get_last_result` answers, as JSON text; `run` keeps them.
    """

    def __init__(
        self, *, cash: int = 10_000, actions: tuple[Any, ...] = (), zone: str = "UTC", **terms: Any
    ) -> None:
        self.clock = SleepingClock(START)
        self.ledger = MemoryLedger()
        self.desk = Desk(ledger=self.ledger, clock=self.clock)
        given = {"calendar": "24/7", **terms}
        self.desk.add(AccountTerms(cash=Decimal(cash), **given), PaperBroker())
        self.catalogue = OverlayBars(MemoryBars(actions=actions), self.clock)
        self.maintenance = RigMaintenance()
        self.alerts: list[Alert] = []
        self.status: dict[str, dict[str, Any]] = {}
        self.results: dict[str, str | None] = {}
        self._zone = ZoneInfo(zone)
        self._runs = 0

    # --- services ------------------------------------------------------------------------

    def task_status(self) -> Mapping[str, Mapping[str, Any]]:
        return self.status

    def event_of(self, call: Call) -> str | None:
        return None

    def last_result(self, task: str) -> Any:
        text = self.results.get(task)
        return None if text is None else msgspec.json.decode(text)

    def trigger_event(self, event_type: str, data: Mapping[str, Any]) -> list[str]:
        return []

    def send_alert(
        self, message: str, severity: str, call: Call | None, data: Mapping[str, Any]
    ) -> None:
        self.alerts.append(Alert(message, severity, data))

    # --- what tests do -------------------------------------------------------------------

    def price(self, account: str = "main", /, **prices: Any) -> None:
        """Let a minute pass, and then trade at these prices."""
        self.clock.advance(timedelta(minutes=1))
        at = self.clock.micros()
        quotes = [Quote(s.replace("_", "/"), at, Decimal(str(p))) for s, p in prices.items()]
        self.desk.quotes(account, quotes)

    def days(self, days: float) -> None:
        """Let days pass."""
        self.clock.advance(timedelta(days=days))

    def buy(self, symbol: str, quantity: Any, account: str = "main") -> None:
        """Buy at once, at the last price."""
        algorithm = self.algorithm("hand", account)
        side = algorithm.create_buy_order if Decimal(quantity) > 0 else algorithm.create_sell_order
        order = side(symbol, quantity=abs(Decimal(quantity)))
        self.price(account, **{symbol.replace("/", "_"): algorithm.get_price(symbol)})
        done = algorithm.get_order(order.id)
        assert done is not None
        assert done.state is OrderState.FILLED

    def store(self, symbol: str, closes: list[Any], *, hours: float = 6.5) -> None:
        """Store a daily bar of so many hours for each close; the last one ends now."""
        end = self.clock.now()
        bars = []
        for age, close in enumerate(reversed(closes)):
            over = to_micros(end - timedelta(days=age))
            price = Decimal(str(close))
            start = over - round(hours * 3_600_000_000)
            bars.append(Bar(symbol, start, over, price, price, price, price, Decimal(1)))
        self.catalogue.store(symbol, bars[::-1], timeframe="1d")

    def run(self, task: Task, account: str | None = None, **payload: Any) -> Any:
        """Run a task once as the engine does; return what it returned, as JSON values."""
        algorithm = self.algorithm(task, account)
        binding = Binding("task", task.run)
        args, kwargs = binding.arguments(payload, algorithm._seat.call, algorithm)
        value = task.run(*args, **kwargs)
        outcome: Outcome = outcome_of("task", value)
        if not isinstance(outcome, Returned):
            return outcome
        name = define_task(task, "UTC").name
        self.results[name] = outcome.result
        return None if outcome.result is None else msgspec.json.decode(outcome.result)

    def algorithm(self, task: Task | str, account: str | None = None) -> Algorithm:
        """The algorithm of a new run."""
        if isinstance(task, str):
            definition = define(lambda algorithm: None, task, {}, "UTC")
        else:
            definition = define_task(task, "UTC")
        self._runs += 1
        now = self.clock.micros()
        claim = Claim(
            f"{self._runs:032x}", 1, definition.name, "{}", 1, 4, 300.0, now, None, None, None,
            "thread", 0, None, now,
        )  # fmt: skip
        call = Call(
            claim,
            definition,
            lambda call: None,
            lambda call, value: Returned(None),
            lambda call, outcome: None,
        )
        return Algorithm(
            desk=self.desk,
            market=MarketReader(self.catalogue, self.clock.micros),
            call=call,
            clock=self.clock,
            zone=self._zone,
            services=self,
            account=account or definition.account,
        )
