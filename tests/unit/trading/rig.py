"""A desk on a clock that stands still, with an in-memory ledger and bars made by hand."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from closingbell.core.bar import Bar, CorporateAction, Slice
from closingbell.core.clock import SimulatedClock, from_micros, to_micros
from closingbell.core.ledger import Fact, Holder
from closingbell.core.order import Order, OrderType, Side
from closingbell.trading.account import Account
from closingbell.trading.broker.protocol import Broker
from closingbell.trading.broker.simulated import SimulatedBroker
from closingbell.trading.desk import Desk
from closingbell.trading.memory_ledger import MemoryLedger
from closingbell.trading.placement import Placement
from closingbell.trading.terms import AccountTerms
from closingbell.trading.ticket import Ticket

START = datetime(2012, 11, 19, 14, 30, tzinfo=UTC)
DAY = 86_400_000_000
#: A session of six and a half hours.
SESSION = 23_400_000_000


def day(number: int) -> int:
    """Return the instant at which session `number` opens."""
    return to_micros(START) + number * DAY


def d(text: str | int) -> Decimal:
    return Decimal(text)


def bar(
    number: int,
    open: str | int,
    high: str | int | None = None,
    low: str | int | None = None,
    close: str | int | None = None,
    *,
    symbol: str = "AAPL",
    volume: str | int = 1000,
) -> Bar:
    """Return the daily bar of session `number`; what is left out is the open price."""
    prices = [d(open if price is None else price) for price in (open, high, low, close)]
    first, top, bottom, last = prices
    return Bar(
        symbol,
        day(number),
        day(number) + SESSION,
        first,
        max(first, top, last),
        min(first, bottom, last),
        last,
        d(volume),
    )


def seen(*values: Any) -> tuple[Any, ...]:
    """Return values as they are, to be compared with whole numbers too."""
    return values


class Rig:
    """A desk with one account, "main", and what it told."""

    def __init__(
        self,
        broker: Broker | None = None,
        *,
        ledger: MemoryLedger | None = None,
        wanted: Any = None,
        clock: SimulatedClock | None = None,
        shared: bool = False,
        **terms: Any,
    ) -> None:
        self.facts: list[Fact] = []
        self.clock = clock or SimulatedClock(START - timedelta(hours=1))
        self.ledger = ledger or MemoryLedger(on_facts=self.facts.extend)
        self.desk = Desk(
            ledger=self.ledger,
            clock=self.clock,
            wanted=wanted or (lambda fact_type: fact_type != "market_data_update"),
            keep_round_trips=True,
            shared=shared,
        )
        given: dict[str, Any] = {"cash": d(1000), **terms}
        self.account: Account = self.desk.add(AccountTerms(**given), broker or SimulatedBroker())
        self._runs = 0

    # --- market data ---------------------------------------------------------------------

    def open(self, *bars: Bar, actions: Sequence[CorporateAction] = ()) -> None:
        self._go(bars[0].start)
        self.desk.opening(bars[0].start, [Slice(bars[0].start, bars[0].end, bars, tuple(actions))])

    def close(self, *bars: Bar) -> None:
        self._go(bars[0].end)
        self.desk.closing(bars[0].end, [Slice(bars[0].start, bars[0].end, bars)])

    def walk(self, *bars: Bar) -> None:
        """Let daily bars of one symbol pass, each with its opening and its closing."""
        for one in bars:
            self.open(one)
            self.close(one)

    def _go(self, at: int) -> None:
        if at > self.clock.micros():
            self.clock.advance(from_micros(at))

    # --- orders --------------------------------------------------------------------------

    def place(
        self,
        side: str,
        quantity: str | int,
        *,
        symbol: str = "AAPL",
        type: str = "market",
        limit: str | int | None = None,
        stop: str | int | None = None,
        tif: str = "gtc",
        key: str | None = None,
        run: str | None = None,
        fence: int = 1,
        holder: Holder | None = None,
        at: int | None = None,
        task: str = "strategy",
        priority: int = 5,
    ) -> Order:
        """Place an order of a run of its own, effective now."""
        if run is None:
            self._runs += 1
            run = f"run-{self._runs}"
        ticket = Ticket(
            "main",
            symbol,
            Side(side),
            OrderType(type),
            d(quantity),
            None if limit is None else d(limit),
            None if stop is None else d(stop),
            tif,
            key,
        )
        effective = self.clock.micros() if at is None else at
        by = Placement(run, fence, task, priority, effective, fence)
        return self.desk.place(ticket, holder, by)

    def order(self, order: Order) -> Order:
        """Return an order as it stands now."""
        stored = self.ledger.order(order.id)
        assert stored is not None
        return stored

    # --- what is there -------------------------------------------------------------------

    @property
    def cash(self) -> Decimal:
        return self.account.book.cash["USD"]

    def held(self, symbol: str = "AAPL") -> Decimal:
        return self.account.book.quantity(symbol)

    def fills(self) -> list[tuple[Any, Any]]:
        """Return (signed quantity, price) of each fill."""
        return [(e.quantity, e.price) for e in self.ledger.entries("main", kind="fill")]

    def told(self, fact_type: str) -> list[dict[str, Any]]:
        return [dict(fact.data) for fact in self.facts if fact.type == fact_type]
