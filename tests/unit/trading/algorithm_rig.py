"""An algorithm at the desk of the rig: attempts of runs, and surroundings that only note."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from closingbell.core.bar import Bar
from closingbell.core.call import Call
from closingbell.core.clock import from_micros
from closingbell.core.outcome import Returned
from closingbell.core.run import Claim
from closingbell.core.task import TaskDefinition
from closingbell.trading.algorithm import Algorithm
from closingbell.trading.market.memory import MemoryBars
from closingbell.trading.market.overlay import OverlayBars
from closingbell.trading.market.reader import MarketReader
from closingbell.trading.memory_ledger import MemoryLedger
from tests.unit.trading.rig import Rig, bar, day

NEW_YORK = ZoneInfo("America/New_York")


def _handler(algorithm: Any) -> None: ...


class Surroundings:
    """Notes what it is asked for."""

    def __init__(self, ledger: MemoryLedger, catalogue: OverlayBars) -> None:
        self.ledger = ledger
        self.catalogue = catalogue
        self.maintenance = self
        self.asked: list[Any] = []
        self.status: dict[str, dict[str, Any]] = {}

    def task_status(self) -> Mapping[str, Mapping[str, Any]]:
        return self.status

    def event_of(self, call: Call) -> str | None:
        return None

    def last_result(self, task: str) -> Any:
        return {"of": task}

    def trigger_event(self, event_type: str, data: Mapping[str, Any]) -> list[str]:
        self.asked.append((event_type, dict(data)))
        return ["run-of-event"]

    def send_alert(
        self, message: str, severity: str, call: Call | None, data: Mapping[str, Any]
    ) -> None:
        self.asked.append((message, severity, call and call.claim.id, dict(data)))

    def backup(self, path: str) -> Mapping[str, Any]:
        self.asked.append(("backup", path))
        return {"path": path, "bytes": 1, "format": "sql"}

    def rebuild_indices(self) -> None:
        self.asked.append("rebuild")

    def update_statistics(self) -> None:
        self.asked.append("statistics")


class AlgorithmRig(Rig):
    """A rig with market data that tasks can read, and with tasks."""

    def __init__(self, bars: Sequence[Bar] = (), **terms: Any) -> None:
        super().__init__(**terms)
        self.bars = list(bars)
        self.source = OverlayBars(MemoryBars(self.bars), self.clock)
        self.surroundings = Surroundings(self.ledger, self.source)

    def algorithm(
        self,
        *,
        task: str = "strategy",
        run: str = "run-1",
        fence: int = 1,
        once: bool = False,
        priority: int = 5,
        account: str = "main",
    ) -> Any:
        """Return what one attempt of a run receives that is due now, untyped as scripts use it."""
        now = self.clock.micros()
        claim = Claim(
            run, fence, task, "{}", fence, 4, 300.0, now, now, None, None, "thread", 0, None, now
        )
        definition = TaskDefinition(
            name=task, handler=_handler, priority=priority, once_per_breach=once
        )
        call = Call(claim, definition, lambda _: None, lambda *_: Returned(None), lambda *_: None)
        return Algorithm(
            desk=self.desk,
            market=MarketReader(self.source, self.clock.micros),
            call=call,
            clock=self.clock,
            zone=NEW_YORK,
            services=self.surroundings,
            account=account,
        )

    def pass_days(self, *days: int) -> None:
        """Let the bars of these sessions pass, each with its opening and its closing."""
        for number in days:
            self.open_day(number)
            self.close_day(number)

    def open_day(self, number: int) -> None:
        self.open(*(one for one in self.bars if one.start == day(number)))

    def close_day(self, number: int) -> None:
        self.close(*(one for one in self.bars if one.start == day(number)))

    def advance(self, micros: int) -> None:
        self.clock.advance(from_micros(self.clock.micros() + micros))


def history(*closes: int | str, symbol: str = "AAPL") -> list[Bar]:
    """Return daily bars that open and close at these prices, from session 0 on."""
    return [bar(number, close, symbol=symbol) for number, close in enumerate(closes)]


def local(text: str) -> datetime:
    """Return a naive time, as trading scripts write it."""
    return datetime.fromisoformat(text)


def seat_of(algorithm: Algorithm) -> Any:
    """Return the attempt's seat, for tests that end it."""
    return algorithm._seat
