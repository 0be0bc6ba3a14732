"""Conservation: whatever happens to an account, cash, quantities and gains add up to the last digit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from closingbell.core.amount import ZERO, split_quantity
from closingbell.core.bar import Bar, CorporateAction, Dividend, Split
from closingbell.core.book import Book
from closingbell.core.entry import Entry, EntryKind
from closingbell.core.error import TradingError
from closingbell.trading import valuation
from closingbell.trading.broker.simulated import SimulatedBroker
from tests.unit.trading.rig import SESSION, Rig, day

SYMBOLS = ("AAPL", "IBM")


@dataclass(frozen=True)
class Ask:
    """An order that somebody wants to place after a bar."""

    symbol: str
    side: str
    quantity: Decimal
    type: str
    #: Of limit and stop, as fractions of the last price.
    limit: Decimal
    stop: Decimal
    tif: str
    priority: int


@dataclass(frozen=True)
class Step:
    """One session: its bars, what happens before, and what is asked for after."""

    bars: tuple[Bar, ...]
    actions: tuple[CorporateAction, ...]
    asks: tuple[Ask, ...]
    deposit: Decimal


def prices(least: int = 1, most: int = 500_000) -> st.SearchStrategy[Decimal]:
    return st.integers(least, most).map(lambda cents: Decimal(cents) / 100)


def fractions(least: int, most: int) -> st.SearchStrategy[Decimal]:
    return st.integers(least, most).map(lambda percent: Decimal(percent) / 100)


QUANTITIES = st.one_of(
    st.integers(1, 50).map(Decimal),
    st.integers(1, 10**10).map(lambda units: Decimal(units).scaleb(-8)),
)
RATIOS = st.sampled_from(
    [Decimal(2), Decimal("1.5"), Decimal("0.1"), Decimal(7), Decimal(1) / Decimal(3)]
)


@st.composite
def bars(draw: st.DrawFn, number: int, symbol: str) -> Bar:
    found = [draw(prices()) for _ in range(4)]
    volume = draw(st.integers(0, 200))
    start = day(number)
    return Bar(
        symbol,
        start,
        start + SESSION,
        found[0],
        max(found),
        min(found),
        found[3],
        Decimal(volume),
    )


ASKS = st.builds(
    Ask,
    symbol=st.sampled_from(SYMBOLS),
    side=st.sampled_from(["buy", "sell"]),
    quantity=QUANTITIES,
    type=st.sampled_from(["market", "market", "limit", "stop", "stop_limit", "market_on_close"]),
    limit=fractions(50, 150),
    stop=fractions(50, 150),
    tif=st.sampled_from(["gtc", "day"]),
    priority=st.integers(1, 9),
)


@st.composite
def steps(draw: st.DrawFn) -> list[Step]:
    made = []
    for number in range(draw(st.integers(2, 9))):
        traded = draw(st.sampled_from([SYMBOLS, SYMBOLS, ("AAPL",), ("IBM",)]))
        actions: list[CorporateAction] = []
        if draw(st.booleans()):
            symbol = draw(st.sampled_from(SYMBOLS))
            actions.append(Split(symbol, day(number), draw(RATIOS)))
        if draw(st.booleans()):
            actions.append(
                Dividend(draw(st.sampled_from(SYMBOLS)), day(number), draw(prices(1, 500)))
            )
        made.append(
            Step(
                tuple(draw(bars(number, symbol)) for symbol in traded),
                tuple(actions),
                tuple(draw(st.lists(ASKS, max_size=4))),
                draw(st.sampled_from([ZERO, ZERO, Decimal("123.45"), Decimal(-50)])),
            )
        )
    return made


BROKERS = st.fixed_dictionaries(
    {
        "fees": st.sampled_from([None, "0.1%", "1 per order", "0.005 per unit, min 1"]),
        "slippage": st.sampled_from([None, "0.25%", "random 1%", "impact 0.1"]),
        "fill": st.sampled_from(["next_open", "close"]),
        "volume_share": st.sampled_from([None, "0.1", "1"]),
        "seed": st.integers(0, 3),
    }
)
TERMS = st.fixed_dictionaries(
    {
        "cash": st.sampled_from([Decimal(0), Decimal("1000.01"), Decimal(100_000)]),
        "short": st.booleans(),
        "leverage": st.sampled_from([Decimal(1), Decimal(3)]),
        "lot": st.sampled_from([None, None, Decimal(1), Decimal("0.01")]),
        "max_drawdown": st.sampled_from([None, Decimal("0.1")]),
    }
)


def ask(rig: Rig, wanted: Ask, run: str) -> None:
    """Place an order where the account has the means; a refusal changes nothing."""
    known = rig.account.prices.get(wanted.symbol)
    version = rig.ledger.account("main").version
    price = known[1] if known else Decimal(10)
    limited = wanted.type in ("limit", "stop_limit")
    stopped = wanted.type in ("stop", "stop_limit")
    try:
        rig.place(
            wanted.side,
            str(wanted.quantity),
            symbol=wanted.symbol,
            type=wanted.type,
            limit=str(price * wanted.limit) if limited else None,
            stop=str(price * wanted.stop) if stopped else None,
            tif=wanted.tif,
            priority=wanted.priority,
            run=run,
            key="it",
        )
    except TradingError:
        assert rig.ledger.account("main").version == version


class Phase(NamedTuple):
    """One thing that happens; market data are walked again after a restart, the rest is not."""

    market: bool
    act: Callable[[Rig], None]


def phases_of(history: list[Step]) -> list[Phase]:
    found = []
    for number, step in enumerate(history):
        found += [
            Phase(True, partial(begin_day, step=step)),
            Phase(True, partial(trade_day, step=step)),
            Phase(True, partial(end_day, number=number, at=step.bars[0].end)),
            Phase(False, partial(flow, amount=step.deposit)),
            *(
                Phase(False, partial(ask, wanted=wanted, run=f"{number}-{place}"))
                for place, wanted in enumerate(step.asks)
            ),
            Phase(False, partial(snap, at=step.bars[0].end)),
        ]
    return found


def begin_day(rig: Rig, step: Step) -> None:
    rig.open(*step.bars, actions=step.actions)


def trade_day(rig: Rig, step: Step) -> None:
    rig.close(*step.bars)


def end_day(rig: Rig, number: int, at: int) -> None:
    rig.desk.daily_close(at, "XNYS", str(number))


def snap(rig: Rig, at: int) -> None:
    rig.desk.snapshot(at)


def flow(rig: Rig, amount: Decimal) -> None:
    if amount > 0 or (amount and -amount <= rig.account.free_cash()):
        rig.desk.deposit("main", amount)


def check_sums(rig: Rig) -> None:
    """Nothing came from nowhere, and nothing is lost."""
    account, book = rig.account, rig.account.book
    cost = sum((holding.cost for holding in book.holdings.values()), ZERO)
    assert account.cash() + cost == account.flows() + account.realized()
    value = account.flows() + account.realized() + account.unrealized()
    assert account.value() == value
    assert account.value() == valuation.value_of(book, account.prices, "USD")
    entries = rig.ledger.entries("main")
    assert account.cash() == sum((entry.amount - entry.fee for entry in entries), ZERO)
    for symbol in SYMBOLS:
        assert book.quantity(symbol) == added_up(entries, symbol)
    again = Book.of(entries)
    assert (again.cash, again.holdings) == (book.cash, book.holdings)
    if not account.terms.short:
        assert all(holding.quantity >= 0 for holding in book.holdings.values())
    if account.terms.leverage == 1 and not account.terms.short:
        assert account.cash() >= 0


def added_up(entries: list[Entry], symbol: str) -> Decimal:
    quantity = ZERO
    for entry in entries:
        if entry.symbol == symbol and entry.kind == EntryKind.SPLIT:
            quantity = split_quantity(quantity, entry.price)
        elif entry.symbol == symbol and entry.kind == EntryKind.FILL:
            quantity += entry.quantity
    return quantity


def check_orders(rig: Rig) -> None:
    """No order traded more than was ordered, and what ended does not work."""
    for order in rig.ledger.orders("main"):
        assert 0 <= order.filled <= order.quantity
        assert (order.id in rig.account.orders) == order.is_working
    # Each trade of an order has a name of its own.
    names = [entry.external_id for entry in rig.ledger.entries("main") if entry.external_id]
    assert len(names) == len(set(names))


@settings(max_examples=150, deadline=None)
@given(broker=BROKERS, terms=TERMS, history=steps())
def test_whatever_happens_cash_quantities_and_gains_add_up(
    broker: dict[str, Any], terms: dict[str, Any], history: list[Step]
) -> None:
    rig = Rig(SimulatedBroker(**broker), **terms)
    for phase in phases_of(history):
        phase.act(rig)
        check_sums(rig)
        check_orders(rig)


def ledger_of(rig: Rig) -> tuple[Any, ...]:
    """Everything that was written, but for the version, which counts the writes."""
    ledger, account = rig.ledger, rig.account
    orders = sorted(ledger.orders("main"), key=lambda order: order.id)
    return (
        ledger.entries("main"),
        orders,
        [ledger.order_history(order.id) for order in orders],
        ledger.snapshots("main"),
        (account.peak, account.breached, account.value(), account.prices),
    )


@settings(max_examples=75, deadline=None)
@given(broker=BROKERS, terms=TERMS, history=steps(), data=st.data())
def test_desk_that_starts_again_anywhere_writes_the_same_ledger(
    broker: dict[str, Any], terms: dict[str, Any], history: list[Step], data: st.DataObject
) -> None:
    phases = phases_of(history)
    whole = Rig(SimulatedBroker(**broker), **terms)
    for phase in phases:
        phase.act(whole)
    crash = data.draw(st.integers(1, len(phases)), label="crash after so many phases")
    rig = Rig(SimulatedBroker(**broker), **terms)
    for phase in phases[:crash]:
        phase.act(rig)
    again = Rig(SimulatedBroker(**broker), ledger=rig.ledger, clock=rig.clock, **terms)
    again.facts = rig.facts
    for phase in phases[:crash]:
        if phase.market:
            phase.act(again)
    for phase in phases[crash:]:
        phase.act(again)
    assert ledger_of(again) == ledger_of(whole)
    assert again.facts == whole.facts


@settings(max_examples=50, deadline=None)
@given(broker=BROKERS, terms=TERMS, history=steps())
def test_order_in_which_bars_and_actions_are_told_changes_nothing(
    broker: dict[str, Any], terms: dict[str, Any], history: list[Step]
) -> None:
    rigs = [Rig(SimulatedBroker(**broker), **terms) for _ in range(2)]
    turned = [
        Step(step.bars[::-1], step.actions[::-1], step.asks, step.deposit) for step in history
    ]
    for rig, told in zip(rigs, (history, turned), strict=True):
        for phase in phases_of(told):
            phase.act(rig)
    assert ledger_of(rigs[0]) == ledger_of(rigs[1])
