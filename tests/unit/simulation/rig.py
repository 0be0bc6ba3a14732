"""A rig for simulations: an app's tasks, a small market, and a bare hand to trade with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from closingbell import App, create_app
from closingbell.backtesting.door import SimulatedDoor
from closingbell.backtesting.stand_in import SimulationStandIn
from closingbell.core.bar import Bar
from closingbell.core.call import Call
from closingbell.core.clock import to_micros
from closingbell.core.order import Order, OrderType, Side
from closingbell.core.stand_in import current_stand_in
from closingbell.simulation.result import SimulationResult
from closingbell.simulation.simulation import Simulation, SimulationTerms
from closingbell.trading.broker.simulated import SimulatedBroker
from closingbell.trading.desk import Desk
from closingbell.trading.market.memory import MemoryBars
from closingbell.trading.market.overlay import OverlayBars
from closingbell.trading.market.reader import MarketReader
from closingbell.trading.memory_ledger import MemoryLedger
from closingbell.trading.order_word import Terms
from closingbell.trading.seat import Seat
from closingbell.trading.terms import AccountTerms

START = datetime(2024, 3, 4, tzinfo=UTC)
MINUTE_US = 60_000_000


def minute_bars(prices: Sequence[Any], symbol: str = "BTC/USD", minutes: int = 1) -> list[Bar]:
    """Return a bar for each price from `START` on; it opens at its price and closes at the next."""
    first = to_micros(START)
    step = minutes * MINUTE_US
    bars = []
    for number, price in enumerate(prices):
        opened = Decimal(price)
        closed = Decimal(prices[min(number + 1, len(prices) - 1)])
        bars.append(
            Bar(
                symbol,
                first + number * step,
                first + (number + 1) * step,
                opened,
                max(opened, closed),
                min(opened, closed),
                closed,
                Decimal(1000),
            )
        )
    return bars


class Hand:
    """What a task of the rig is given: no more than the tests need."""

    def __init__(self, call: Call, desk: Desk, services: SimulationStandIn) -> None:
        self.call = call
        self.desk = desk
        self.services = services
        self.clock = desk.clock

    @property
    def at(self) -> timedelta:
        """Time since the start."""
        return self.clock.now() - START

    @property
    def value(self) -> Decimal:
        return self.desk.account("main").value()

    def sleep(self, seconds: float) -> None:
        self.clock.sleep(seconds)

    def buy(self, quantity: Any, symbol: str = "BTC/USD") -> Order:
        return self._trade(Side.BUY, quantity, symbol)

    def sell(self, quantity: Any, symbol: str = "BTC/USD") -> Order:
        return self._trade(Side.SELL, quantity, symbol)

    def _trade(self, side: Side, quantity: Any, symbol: str) -> Order:
        reader = MarketReader(self.services.catalogue, self.clock.micros)
        seat = Seat(self.call, self.clock, self.desk, reader, None)
        account = self.desk.account("main")
        terms = Terms(OrderType.MARKET, None, None, "gtc")
        return seat.place(account, symbol, side, terms, lambda: Decimal(quantity), None)


@dataclass
class Rig:
    """One simulation to be; every run of it is a new one.

    Attributes:
        app: its tasks; nothing of it is ever opened.
        prices: of one symbol, `minutes` each.
        options: of the account.
        broker: its options.
    """

    prices: Sequence[Any] = (100, 101, 102, 103, 104, 105, 106, 107, 108, 109)
    seed: int = 0
    minutes: int = 1
    freeze: bool = False
    length: timedelta | None = None
    timezone: str = "UTC"
    progress: Callable[[int], None] | None = None
    options: dict[str, Any] = field(default_factory=dict)
    broker: dict[str, Any] = field(default_factory=dict)
    app: App = field(default_factory=create_app)

    def run(self) -> SimulationResult:
        bars = minute_bars(self.prices, minutes=self.minutes)
        source = MemoryBars(bars, timeframe=f"{self.minutes}m")
        start = to_micros(START)
        end = (
            bars[-1].end
            if self.length is None
            else start + self.length // timedelta(microseconds=1)
        )
        terms = SimulationTerms(
            start=start, end=end, seed=self.seed, freeze=self.freeze, timezone=self.timezone
        )
        door: list[SimulatedDoor] = []

        def make_door(clock: Any) -> SimulatedDoor:
            triggers = self.app.declared_event_triggers.values()
            door.append(SimulatedDoor(clock, self.app.registry, triggers, self.timezone, 1_000_000))
            return door[0]

        simulation = Simulation(terms, make_door)
        ledger = MemoryLedger(on_facts=simulation.take_facts, holds=simulation.holds)
        desk = Desk(
            ledger=ledger, clock=simulation.clock, wanted=simulation.wants, keep_round_trips=True
        )
        desk.add(
            AccountTerms(
                broker="simulated",
                timeframe=f"{self.minutes}m",
                calendar="24/7",
                **self.options,
            ),
            SimulatedBroker(seed=self.seed, **self.broker),
        )
        overlay = OverlayBars(source, simulation.clock, on_facts=simulation.take_facts)
        services = SimulationStandIn(simulation, door[0], ledger, overlay)

        def inside() -> None:
            current_stand_in.set(services)

        tasks = list(self.app.registry)
        names = {task.name for task in tasks}
        return simulation.run(
            tasks=tasks,
            schedules=[s for s in self.app.declared_schedules.values() if s.task in names],
            desk=desk,
            source=source,
            algorithm=lambda call: Hand(call, desk, services),
            variables=inside,
            progress=self.progress,
        )
