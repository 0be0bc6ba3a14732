"""Reconciliation: what the ledger and a broker tell differently, found twice and never mended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import pytest

from closingbell.core.bar import Quote
from closingbell.core.clock import SimulatedClock, from_micros
from closingbell.core.error import BrokerUnavailable
from closingbell.core.order import Order, OrderState, OrderType, Side
from closingbell.trading.broker.protocol import Activity, Broker, Execution, OrderReport
from closingbell.trading.desk import Desk
from closingbell.trading.memory_ledger import MemoryLedger
from closingbell.trading.placement import Placement
from closingbell.trading.reconciliation import Difference, DifferenceKind, news, reconcile
from closingbell.trading.terms import AccountTerms
from closingbell.trading.ticket import Ticket

D = Decimal
START = 1_700_000_000_000_000


class Bank(Broker):
    """A broker that fills market orders at once, and tells what a test lets it tell."""

    kind = "bank"

    def __init__(self) -> None:
        self.orders: dict[str, Order] = {}
        self.states: dict[str, OrderReport] = {}
        self.told: list[Execution] = []
        self.held: dict[str, Decimal] | None = {"USD": D(1000)}
        self.history: list[Execution] | None = None
        self.fee = D(0)
        self.looks: list[dict[str, Decimal]] = []

    def submit(self, order: Order) -> OrderReport:
        state = OrderState.OPEN
        if order.type is OrderType.MARKET:
            state = OrderState.FILLED
            self.trade(order, order.quantity)
        report = OrderReport(order.id, f"b-{order.id}", state, self.filled(order), order.symbol)
        self.orders[order.id], self.states[order.id] = order, report
        return report

    def trade(self, order: Order, quantity: Decimal) -> None:
        """Let a part of an order trade at 10."""
        name = f"t{len(self.told) + 1}"
        self.told.append(Execution(order.id, START, quantity, D(10), self.fee, external_id=name))
        if self.held is not None:
            sign = order.side.sign
            self.held["USD"] -= sign * quantity * 10 + self.fee
            asset = order.symbol.split("/")[0]
            self.held[asset] = self.held.get(asset, D(0)) + sign * quantity

    def filled(self, order: Order) -> Decimal:
        return sum((t.quantity for t in self.told if t.order_id == order.id), D(0))

    def find(self, order: Order) -> OrderReport | None:
        return self.states.get(order.id)

    def cancel(self, order: Order) -> OrderReport:
        return self.states[order.id]

    def open_orders(self) -> Sequence[OrderReport]:
        return [r for r in self.states.values() if r.state is OrderState.OPEN]

    def activity(self, orders: Sequence[Order], sync: Mapping[str, Any]) -> Activity:
        return Activity(list(self.told), [], sync)

    def trades(self, symbols: Sequence[str], since: int) -> Sequence[Execution] | None:
        told = self.told if self.history is None else self.history
        return [trade._replace(order_id="") for trade in told if trade.at >= since]

    def balances(self) -> Mapping[str, Decimal] | None:
        if self.looks:
            return self.looks.pop(0)
        return self.held

    def quote(self, symbol: str) -> Quote | None:
        return Quote(symbol, START, D(10))


class Office:
    """An account at the bank, and the clock on its wall."""

    def __init__(self, broker: Broker | None = None) -> None:
        self.bank = Bank()
        self.clock = SimulatedClock(from_micros(START))
        self.ledger = MemoryLedger()
        self.desk = Desk(ledger=self.ledger, clock=self.clock)
        terms = AccountTerms(cash=D(1000), currency="USD", short=True)
        self.account = self.desk.add(terms, broker or self.bank)

    def place(self, quantity: str = "5", **more: Any) -> Order:
        ticket = Ticket("main", "ACME/USD", Side.BUY, OrderType.MARKET, D(quantity))
        return self.desk.place(ticket._replace(**more), None, Placement(effective_at=START))

    def reconcile(self, **options: Any) -> list[Difference]:
        return reconcile(
            self.account,
            self.ledger,
            sync=lambda: self.desk.sync("main"),
            now=self.clock.micros(),
            **options,
        )


@pytest.fixture
def office() -> Office:
    return Office()


def told(differences: Sequence[Difference]) -> list[tuple[str, str, str | None, str | None]]:
    return [(d.kind.value, d.subject, d.ours, d.theirs) for d in differences]


def test_books_that_agree_differ_in_nothing(office: Office) -> None:
    office.place()
    office.place(type=OrderType.LIMIT, limit_price=D(9))

    assert office.reconcile() == []


def test_money_that_left_past_the_ledger_is_a_difference_of_the_balance(office: Office) -> None:
    assert office.bank.held is not None
    office.bank.held["USD"] -= 300

    assert told(office.reconcile()) == [("balance", "USD", "1000", "700")]


def test_position_counts_with_the_cash_of_its_asset(office: Office) -> None:
    office.place()
    office.desk.deposit("main", D(2), "ACME")
    assert office.bank.held is not None

    assert told(office.reconcile()) == [("balance", "ACME", "7", "5")]
    office.bank.held["ACME"] += 2
    assert office.reconcile() == []


def test_balances_within_the_tolerance_are_equal(office: Office) -> None:
    assert office.bank.held is not None
    office.bank.held["USD"] += D("0.5")

    assert office.reconcile(tolerance={"USD": D("0.5")}) == []
    assert len(office.reconcile(tolerance={"USD": D("0.4")})) == 1


def test_assets_that_the_ledger_never_had_count_only_when_asked_for(office: Office) -> None:
    assert office.bank.held is not None
    office.bank.held["DOGE"] = D(7)

    assert office.reconcile() == []
    assert told(office.reconcile(foreign=True)) == [("balance", "DOGE", "0", "7")]


def test_order_that_ended_at_the_broker_without_news_is_told(office: Office) -> None:
    order = office.place(type=OrderType.LIMIT, limit_price=D(9))
    report = office.bank.states[order.id]
    office.bank.states[order.id] = report._replace(state=OrderState.CANCELLED)

    assert told(office.reconcile()) == [("order_gone", order.id, "open", "cancelled")]


def test_order_that_the_broker_forgot_is_told(office: Office) -> None:
    order = office.place(type=OrderType.LIMIT, limit_price=D(9))
    del office.bank.states[order.id]

    assert told(office.reconcile()) == [("order_gone", order.id, "open", None)]


def test_order_of_somebody_else_is_told_with_the_name_that_it_has(office: Office) -> None:
    foreign = OrderReport("web_1", "b-77", OrderState.OPEN, symbol="ACME/USD")
    nameless = OrderReport(None, "b-78", OrderState.OPEN)
    office.bank.states |= {"web_1": foreign, "": nameless}

    assert told(office.reconcile()) == [
        ("order_unknown", "b-78", None, "open"),
        ("order_unknown", "web_1", None, "open"),
    ]


def test_order_that_works_there_and_ended_here_is_told(office: Office) -> None:
    order = office.place(type=OrderType.LIMIT, limit_price=D(9))
    report = office.bank.states[order.id]
    office.bank.states[order.id] = report._replace(state=OrderState.CANCELLED)
    office.desk.cancel("main", order.id, None)
    office.bank.states[order.id] = report

    assert told(office.reconcile()) == [("order_unknown", order.id, "cancelled", "open")]


def test_order_of_which_nobody_knows_is_told(office: Office) -> None:
    def lose(order: Order) -> OrderReport:
        raise BrokerUnavailable("bank", "no answer")

    office.bank.submit = office.bank.find = lose  # type: ignore[method-assign]
    with pytest.raises(BrokerUnavailable):
        office.place()
    (order,) = office.ledger.orders("main", working=True)

    assert told(office.reconcile()) == [("order_unresolved", order.id, "new", None)]


def test_trade_that_the_ledger_has_not_is_told(office: Office) -> None:
    office.place()
    extra = Execution("", START + 7, D(1), D(11), D("0.1"), "USD", "t-by-hand")
    office.bank.history = [*office.bank.told, extra]

    (difference,) = office.reconcile()

    assert (difference.kind, difference.subject) == (DifferenceKind.FILL_MISSING, "t-by-hand")
    assert difference.theirs == "1 at 11, fee 0.1 USD"
    assert difference.since == START


def test_trade_that_the_broker_does_not_tell_is_told(office: Office) -> None:
    office.place()
    office.bank.history = []

    assert told(office.reconcile()) == [("fill_unknown", "t1", "5 at 10", None)]


@pytest.mark.parametrize(
    "change",
    [{"price": D(12)}, {"quantity": D(4)}, {"fee": D("0.3"), "fee_currency": "USD"}],
    ids=["price", "quantity", "fee"],
)
def test_trade_that_is_told_otherwise_is_told(office: Office, change: dict[str, Any]) -> None:
    office.bank.fee = D("0.2")
    office.place()
    office.bank.history = [office.bank.told[0]._replace(**change)]

    assert [d.kind for d in office.reconcile()] == [DifferenceKind.FILL_DIFFERS]


@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize("currency", ["USD", "ACME", "BNB"], ids=["quote", "base", "third"])
def test_fee_is_found_wherever_it_was_booked(office: Office, side: Side, currency: str) -> None:
    office.bank.held = None
    office.bank.fee = D("0.2")
    submit = office.bank.submit

    def submit_with_fee(order: Order) -> OrderReport:
        report = submit(order)
        office.bank.told[-1] = office.bank.told[-1]._replace(fee_currency=currency)
        return report

    office.bank.submit = submit_with_fee  # type: ignore[method-assign]
    office.place(side=side)

    assert office.reconcile() == []


def test_trades_before_the_start_of_the_comparison_are_left_out(office: Office) -> None:
    office.place()
    office.bank.history = []

    assert office.reconcile(since=START + 1) == []


def test_what_is_only_on_its_way_is_no_difference(office: Office) -> None:
    office.bank.looks = [{"USD": D(900)}, {"USD": D(1000)}]

    assert office.reconcile() == []


def test_balance_that_moves_between_two_looks_is_no_difference_yet(office: Office) -> None:
    office.bank.looks = [{"USD": D(900)}, {"USD": D(800)}]

    assert office.reconcile() == []


def test_difference_keeps_the_instant_at_which_it_was_first_seen(office: Office) -> None:
    office.bank.held = {"USD": D(700)}
    first = office.reconcile()
    office.clock.advance(from_micros(START + 60_000_000))

    second = office.reconcile(earlier=[Difference.from_json(d.to_json()) for d in first])

    assert [d.since for d in second] == [START]
    assert [d.key for d in second] == [d.key for d in first]


def test_difference_is_news_once_and_again_when_it_comes_back(office: Office) -> None:
    office.bank.held = {"USD": D(700)}
    first = office.reconcile()
    again = office.reconcile(earlier=first)
    office.bank.held = {"USD": D(1000)}
    healed = office.reconcile(earlier=again)

    assert news([], first) == (first, [])
    assert news(first, again) == ([], [])
    assert news(again, healed) == ([], again)


def test_nothing_is_mended(office: Office) -> None:
    office.bank.held = {"USD": D(700)}
    before = office.ledger.entries("main")

    office.reconcile()

    assert office.ledger.entries("main") == before
    assert office.account.book.cash == {"USD": D(1000)}


def test_broker_that_cannot_say_is_not_asked_further(office: Office) -> None:
    office.bank.held = None
    office.bank.trades = lambda symbols, since: None  # type: ignore[method-assign]
    office.place()

    assert office.reconcile() == []


def test_broker_without_books_of_its_own_differs_in_nothing() -> None:
    class Matching(Bank):
        matches = True

    office = Office(Matching())
    office.bank.held = {"USD": D(1)}

    assert office.reconcile() == []


def test_difference_says_in_a_sentence_what_a_person_must_know(office: Office) -> None:
    office.bank.held = {"USD": D(700)}

    (difference,) = office.reconcile()

    assert difference.message == (
        "account 'main', balance USD: the ledger says 1000, the broker 700"
    )
