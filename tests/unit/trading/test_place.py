"""Placing orders: what is refused, and that money is never moved twice."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from closingbell.core.bar import Split
from closingbell.core.error import (
    BrokerNonsense,
    BrokerRejected,
    BrokerUnavailable,
    FenceLost,
    InsufficientFunds,
    InsufficientPosition,
    NoPrice,
    OrderRefused,
    StoreUnavailable,
)
from closingbell.core.ledger import Change, Holder, OrderChange
from closingbell.core.order import OrderState, OrderType, Side, client_order_id
from closingbell.trading.attempt_orders import NEVER_SENT
from closingbell.trading.broker.protocol import OrderReport
from closingbell.trading.memory_ledger import MemoryLedger
from closingbell.trading.placement import Placement
from closingbell.trading.terms import AccountTerms
from closingbell.trading.ticket import Ticket
from tests.unit.trading.exchange import Crash, Exchange
from tests.unit.trading.rig import Rig, bar, d, seen

# --- what is refused -----------------------------------------------------------------------


@pytest.fixture
def rig() -> Rig:
    rig = Rig()
    rig.walk(bar(0, 100))
    return rig


@pytest.mark.parametrize(
    ("ticket", "message"),
    [
        ({"quantity": d(0)}, "quantity is .* above 0"),
        ({"quantity": d(-1)}, "quantity is .* above 0"),
        ({"quantity": d("NaN")}, "quantity is .* finite"),
        ({"quantity": d("Infinity")}, "quantity is .* finite"),
        ({"quantity": d("1e40")}, "quantity is"),
        ({"quantity": d("0.000000001")}, "quantity is"),
        ({"quantity": "many"}, "quantity is"),
        ({"quantity": True}, "quantity is"),
        ({"symbol": ""}, "symbol is"),
        ({"side": "long"}, "side is 'long'.*one of buy, sell"),
        ({"type": "iceberg"}, "order_type is"),
        ({"time_in_force": "fok"}, "time_in_force is"),
        ({"type": OrderType.LIMIT}, "limit_price is None: expected a price"),
        ({"type": OrderType.STOP}, "stop_price is None: expected a price"),
        ({"type": OrderType.STOP_LIMIT, "stop_price": d(5)}, "limit_price is None"),
        ({"limit_price": d(5)}, "limit_price is .*none"),
        ({"stop_price": d(5)}, "stop_price is .*none"),
        ({"type": OrderType.LIMIT, "limit_price": d(0)}, "limit_price is"),
        ({"key": " "}, "key is"),
    ],
)
def test_ticket_that_cannot_be_meant_is_refused_and_nothing_is_stored(
    rig: Rig, ticket: dict[str, Any], message: str
) -> None:
    version = rig.ledger.account("main").version
    given: Any = Ticket("main", "AAPL", Side.BUY, OrderType.MARKET, d(1))._replace(**ticket)
    with pytest.raises(OrderRefused, match=message):
        rig.desk.place(given, None, Placement("run"))
    assert rig.ledger.account("main").version == version
    assert rig.ledger.orders("main") == []


def test_order_without_any_price_is_refused_but_for_one_that_names_it(rig: Rig) -> None:
    with pytest.raises(NoPrice, match="no price of IBM"):
        rig.place("buy", 1, symbol="IBM")
    assert rig.place("buy", 1, symbol="IBM", type="limit", limit=50).state is OrderState.OPEN


def test_purchase_beyond_the_free_cash_is_refused(rig: Rig) -> None:
    rig.place("buy", 4, type="limit", limit=100)
    with pytest.raises(InsufficientFunds, match="700 USD, and 600 USD is free"):
        rig.place("buy", 7)
    assert rig.place("buy", 6).state is OrderState.OPEN


def test_purchase_may_spend_what_an_earlier_market_sale_will_bring(rig: Rig) -> None:
    rig.place("buy", 10)
    rig.walk(bar(1, 100))
    with pytest.raises(InsufficientFunds):
        rig.place("buy", 1)
    rig.place("sell", 4, priority=1)
    rig.place("buy", 3, priority=2)
    with pytest.raises(InsufficientFunds, match="200 USD, and 100 USD is free"):
        rig.place("buy", 2, priority=3)
    with pytest.raises(InsufficientFunds):
        rig.place("buy", 1, priority=0)


def test_purchase_in_a_currency_that_is_not_there_is_refused(rig: Rig) -> None:
    with pytest.raises(InsufficientFunds, match="50 EUR, and 0 EUR is free"):
        rig.place("buy", 1, symbol="BTC/EUR", type="limit", limit=50)


def test_leveraged_purchase_in_a_currency_without_a_rate_is_refused() -> None:
    rig = Rig(leverage=d(2))
    with pytest.raises(NoPrice, match="no price of EUR/USD"):
        rig.place("buy", 1, symbol="BTC/EUR", type="limit", limit=50)


def test_sale_beyond_the_free_position_is_refused_without_short_selling(rig: Rig) -> None:
    rig.place("buy", 5)
    rig.walk(bar(1, 100))
    rig.place("sell", 3, type="limit", limit=150)
    with pytest.raises(InsufficientPosition, match="3 AAPL to sell, and 2 is free"):
        rig.place("sell", 3)
    assert rig.place("sell", 2).state is OrderState.OPEN


def test_short_sale_beyond_what_the_account_is_worth_is_refused() -> None:
    rig = Rig(short=True)
    rig.walk(bar(0, 100))
    with pytest.raises(InsufficientFunds, match="1100 USD, and 1000 USD is free"):
        rig.place("sell", 11)
    rig.place("sell", 10)
    rig.walk(bar(1, 100))
    with pytest.raises(InsufficientFunds):
        rig.place("sell", 1)
    assert rig.place("buy", 10).state is OrderState.OPEN


def test_quantity_is_rounded_down_to_the_lot() -> None:
    rig = Rig(lot=d("0.5"))
    rig.walk(bar(0, 100))
    assert rig.place("buy", "2.74").quantity == d("2.5")
    with pytest.raises(OrderRefused, match=r"at least one lot of 0\.5"):
        rig.place("buy", "0.4")


def test_sale_of_all_that_is_held_keeps_its_size_whatever_the_lot() -> None:
    rig = Rig(lot=d(1))
    rig.walk(bar(0, 100))
    rig.place("buy", 3)
    rig.walk(bar(1, 100))
    rig.open(bar(2, 200), actions=[Split("AAPL", bar(2, 1).start, d("0.5"))])
    assert rig.held() == d("1.5")
    rig.place("sell", "1.5")
    rig.walk(bar(3, 200))
    assert seen(rig.held(), rig.cash) == (0, 1000)


# --- once ------------------------------------------------------------------------------------


def test_order_of_a_run_has_an_id_made_of_the_run_and_its_number(rig: Rig) -> None:
    one = rig.place("buy", 1, run="r")
    two = rig.place("buy", 1, run="r")
    assert (one.id, one.ordinal) == (client_order_id("r", 1), 1)
    assert (two.id, two.ordinal) == (client_order_id("r", 2), 2)


def test_retried_attempt_meets_its_orders_again_in_their_order(rig: Rig) -> None:
    first = [rig.place("buy", quantity, run="r") for quantity in (1, 2)]
    sold = rig.place("buy", 1, run="r", type="limit", limit=90)
    again = [rig.place("buy", quantity, run="r", fence=2) for quantity in (5, 5)]
    assert [order.id for order in again] == [order.id for order in first]
    limit = rig.place("buy", 1, run="r", type="limit", limit=80, fence=2)
    assert (limit.id, limit.limit_price) == (sold.id, d(90))
    new = rig.place("buy", 1, run="r", fence=2)
    assert new.ordinal == 4
    assert len(rig.ledger.orders("main")) == 4


def test_retried_attempt_in_another_process_meets_its_orders_again(rig: Rig) -> None:
    first = rig.place("buy", 1, run="r")
    other = Rig(ledger=rig.ledger, clock=rig.clock)
    other.walk(bar(1, 100))
    assert other.place("buy", 1, run="r", fence=2).id == first.id
    assert other.fills() == [(1, 100)]


def test_earlier_order_is_seen_before_it_is_met(rig: Rig) -> None:
    first = rig.place("buy", 1, run="r")
    ticket = Ticket("main", "AAPL", Side.BUY, OrderType.MARKET, d(1))
    by = Placement("r", 2, attempt=2)
    for _ in range(2):
        found = rig.desk.earlier(ticket, by)
        assert found is not None
        assert found.id == first.id
    assert rig.place("buy", 1, run="r", fence=2).id == first.id
    assert rig.desk.earlier(ticket, by) is None


def test_orders_of_a_run_are_numbered_over_all_its_accounts(rig: Rig) -> None:
    rig.desk.add(AccountTerms(name="other"), rig.account.broker)
    rig.place("buy", 1, run="r")
    ticket = Ticket("other", "AAPL", Side.BUY, OrderType.LIMIT, d(1), d(5))
    placed = rig.desk.place(ticket, None, Placement("r", 1))
    assert placed.ordinal == 2
    again = rig.desk.place(ticket, None, Placement("r", 2, attempt=2))
    assert again.id == placed.id


def test_key_names_one_order_within_and_between_attempts(rig: Rig) -> None:
    first = rig.place("buy", 1, run="r", key="entry")
    assert rig.place("buy", 9, run="r", key="entry").id == first.id
    assert rig.place("buy", 1, run="r", key="other").id != first.id
    assert rig.place("sell", 1, run="r", key="entry", fence=2).id == first.id
    # An order without a key is never taken for one that has one.
    assert rig.place("buy", 1, run="r", fence=2).id == client_order_id("r", 3)


def test_persons_order_is_new_each_time_unless_it_has_an_id(rig: Rig) -> None:
    def place(key: str | None = None) -> str:
        ticket = Ticket("main", "AAPL", Side.BUY, OrderType.MARKET, d(1), key=key)
        return rig.desk.place(ticket, None, Placement()).id

    assert len({place(), place(), place("mine"), place("mine")}) == 3
    rig.place("buy", 1, run="r", key="x")
    with pytest.raises(OrderRefused, match="a name that no other order has"):
        place(client_order_id("r/x", 0))


def test_attempt_that_lost_its_run_places_nothing() -> None:
    rig = Rig(ledger=MemoryLedger(holds=lambda holder: holder.fence == 2))
    rig.walk(bar(0, 100))
    with pytest.raises(FenceLost):
        rig.place("buy", 1, run="r", holder=Holder("r", 1))
    assert rig.ledger.orders("main") == []
    assert rig.place("buy", 1, run="r", fence=2, holder=Holder("r", 2)).ordinal == 1


# --- cancelling ------------------------------------------------------------------------------


def test_order_is_cancelled_once_and_one_that_ended_stays_as_it_is(rig: Rig) -> None:
    order = rig.place("buy", 1)
    assert rig.desk.cancel("main", order.id, None).state is OrderState.CANCELLED
    assert rig.desk.cancel("main", order.id, None).state is OrderState.CANCELLED
    assert len(rig.ledger.order_history(order.id)) == 2
    rig.walk(bar(1, 100))
    assert rig.fills() == []


def test_order_that_is_not_there_cannot_be_cancelled(rig: Rig) -> None:
    with pytest.raises(OrderRefused, match="the id of an order of account 'main'"):
        rig.desk.cancel("main", "x", None)


# --- a remote broker -------------------------------------------------------------------------


def remote(**terms: Any) -> tuple[Rig, Exchange]:
    exchange = Exchange()
    return Rig(exchange, **terms), exchange


def test_order_is_stored_before_it_is_sent() -> None:
    rig, exchange = remote()
    stored: list[OrderState] = []

    def look() -> None:
        stored.extend(order.state for order in rig.ledger.orders("main"))

    exchange.on_submit = look
    order = rig.place("buy", 2)
    assert stored == [OrderState.NEW]
    assert (order.state, order.broker_id) == (OrderState.OPEN, "x1")
    assert [step.state for step in rig.ledger.order_history(order.id)] == ["new", "open"]


def test_trades_are_booked_after_an_order_and_each_once() -> None:
    rig, exchange = remote()
    exchange.trade(client_order_id("r", 1), 2, 101, fee=d("0.5"))
    order = rig.place("buy", 2, run="r")
    assert order.state is OrderState.FILLED
    assert rig.desk.sync("main") == 0
    assert Rig(exchange, ledger=rig.ledger).desk.sync("main") == 0
    assert rig.fills() == [(2, 101)]
    assert rig.cash == d("797.5")
    assert [fact.type for fact in rig.facts] == ["order_filled", "position_change"]


def test_order_that_was_cut_at_the_exchange_ends_when_its_trades_are_booked() -> None:
    rig, exchange = remote()
    order = rig.place("buy", 4)
    exchange.trade(order.id, 1, 100)
    exchange.reports = [OrderReport(order.id, "x1", OrderState.CANCELLED, d(1), reason="there")]
    assert rig.desk.sync("main") == 1
    assert seen(rig.order(order).state, rig.order(order).filled) == (OrderState.CANCELLED, 1)


def test_trade_of_an_order_that_did_not_come_from_here_is_left_out() -> None:
    rig, exchange = remote()
    exchange.trade("somebody-elses", 1, 100)
    assert rig.desk.sync("main") == 0
    assert rig.cash == 1000


def test_fee_in_a_third_currency_is_a_charge_and_one_in_units_makes_the_position_smaller() -> None:
    rig, exchange = remote()
    one = rig.place("buy", 1, symbol="BTC/USD")
    exchange.trade(one.id, 1, 100, fee=d("0.001"), fee_currency="BTC")
    two = rig.place("buy", 1, symbol="ETH/USD")
    exchange.trade(two.id, 1, 50, fee=d("0.01"), fee_currency="BNB")
    rig.desk.sync("main")
    book = rig.account.book
    assert book.quantity("BTC/USD") == d("0.999")
    assert book.quantity("ETH/USD") == 1
    assert book.cash == {"USD": d(850), "BNB": d("-0.01")}
    assert rig.order(one).state is OrderState.FILLED


@pytest.mark.parametrize(
    "more",
    [
        {"quantity": -1},
        {"quantity": 0},
        {"quantity": 3},
        {"price": 0},
        {"price": "NaN"},
        {"quantity": "Infinity"},
        {"fee": Decimal("sNaN")},
        {"fee": 0.5},
        {"fee": Decimal("1e16")},
        {"fee_currency": 7},
        {"external_id": 7},
        {"external_id": "t\x00"},
        {"note": b"x"},
    ],
)
def test_trade_that_cannot_be_is_refused_and_nothing_of_the_answer_is_booked(
    more: dict[str, Any],
) -> None:
    rig, exchange = remote()
    order = rig.place("buy", 2)
    exchange.trade(order.id, 1, 100)
    exchange.trade(order.id, **{"quantity": 1, "price": 100, **more})
    with pytest.raises(BrokerNonsense, match=order.id):
        rig.desk.sync("main")
    assert seen(rig.cash, rig.held()) == (1000, 0)


def test_rebates_are_fees_below_zero_in_whatever_they_are_paid() -> None:
    rig, exchange = remote()
    for number, currency in enumerate([None, "BTC", "BNB"], 1):
        order = rig.place("buy", 1, symbol="BTC/USD")
        exchange.trade(order.id, 1, 100, fee=d("-0.01"), fee_currency=currency)
        rig.desk.sync("main")
        assert len(rig.fills()) == number
    book = rig.account.book
    assert book.quantity("BTC/USD") == d("3.01")
    assert book.cash == {"USD": d("700.01"), "BNB": d("0.01")}
    assert book.holdings["BTC/USD"].realized == d("0.01")
    assert book.charges == {"BNB": d("0.01")}


@pytest.mark.parametrize("answer", [None, "yes", 5, {"state": "open"}])
def test_answer_that_says_nothing_is_nonsense(answer: Any) -> None:
    rig, exchange = remote()
    exchange.activity = lambda orders, sync: answer  # type: ignore[method-assign]
    with pytest.raises(BrokerNonsense, match="tells no trades"):
        rig.desk.sync("main")


def test_order_that_the_broker_rejects_does_not_trade_and_may_be_placed_again() -> None:
    rig, exchange = remote()
    exchange.plan = ["reject"]
    with pytest.raises(BrokerRejected, match="margin"):
        rig.place("buy", 1, run="r")
    (rejected,) = rig.ledger.orders("main")
    assert (rejected.state, rejected.reason) == (OrderState.REJECTED, "margin")
    assert rig.place("buy", 1, run="r", fence=2).ordinal == 2


@pytest.mark.parametrize("fault", ["silent", "nonsense", "broken"])
def test_answer_that_was_lost_is_asked_for_and_nothing_is_sent_twice(fault: str) -> None:
    rig, exchange = remote()
    exchange.plan = [fault]
    order = rig.place("buy", 1)
    assert order.state is OrderState.OPEN
    assert exchange.sent == [order.id]


def test_order_that_never_arrived_is_sent_once_more_under_the_same_id() -> None:
    rig, exchange = remote()
    exchange.plan = ["lost"]
    order = rig.place("buy", 1)
    assert order.state is OrderState.OPEN
    assert exchange.sent == [order.id]


def test_order_of_which_nobody_knows_stays_new_and_the_next_attempt_finds_out() -> None:
    rig, exchange = remote()
    exchange.plan, exchange.blind = ["silent"], True
    with pytest.raises(BrokerUnavailable):
        rig.place("buy", 1, run="r")
    (order,) = rig.ledger.orders("main")
    assert order.state is OrderState.NEW
    exchange.blind = False
    again = rig.place("buy", 1, run="r", fence=2)
    assert (again.id, again.state) == (order.id, OrderState.OPEN)
    assert exchange.sent == [order.id]


def test_price_of_a_new_symbol_is_asked_of_the_broker() -> None:
    rig, exchange = remote()
    assert rig.place("buy", 1, symbol="IBM").state is OrderState.OPEN
    exchange.price = None
    with pytest.raises(NoPrice):
        rig.place("buy", 1, symbol="MSFT")


def test_remote_order_is_cancelled_at_the_broker() -> None:
    rig, exchange = remote()
    order = rig.place("buy", 1)
    assert rig.desk.cancel("main", order.id, None).state is OrderState.CANCELLED
    assert exchange.orders[order.id].state is OrderState.CANCELLED


# --- a crash at every step ---------------------------------------------------------------------


class CrashingLedger(MemoryLedger):
    """The process is gone before or after the n-th change."""

    def __init__(self) -> None:
        super().__init__()
        self.crash_before = self.crash_after = -1
        self.changes = 0

    def record(self, change: Change) -> int:
        self.changes += 1
        if self.changes == self.crash_before:
            raise Crash
        version = super().record(change)
        if self.changes == self.crash_after:
            raise Crash
        return version


CRASHES: dict[str, Callable[[CrashingLedger, Exchange], None]] = {
    "before store": lambda ledger, exchange: setattr(ledger, "crash_before", 1),
    "after store": lambda ledger, exchange: setattr(ledger, "crash_after", 1),
    "before send": lambda ledger, exchange: exchange.plan.append("crash before"),
    "after send": lambda ledger, exchange: exchange.plan.append("crash after"),
    "before answer is stored": lambda ledger, exchange: setattr(ledger, "crash_before", 2),
    "after answer is stored": lambda ledger, exchange: setattr(ledger, "crash_after", 2),
}


@pytest.mark.parametrize("recovers", [True, False])
@pytest.mark.parametrize("crash", CRASHES)
def test_crash_at_any_step_leaves_one_order_and_a_ledger_that_agrees(
    crash: str, recovers: bool
) -> None:
    ledger, exchange = CrashingLedger(), Exchange()
    rig = Rig(exchange, ledger=ledger)
    CRASHES[crash](ledger, exchange)
    with pytest.raises(Crash):
        rig.place("buy", 2, run="r")
    ledger.crash_before = ledger.crash_after = -1
    again = Rig(exchange, ledger=ledger, clock=rig.clock)
    if recovers:
        again.desk.recover("main")
    order = again.place("buy", 2, run="r", fence=2)
    assert list(exchange.orders) == [order.id]
    assert exchange.sent == [order.id]
    exchange.trade(order.id, 2, 100)
    assert again.desk.sync("main") == 1
    (stored,) = ledger.orders("main")
    assert stored.state is OrderState.FILLED
    assert seen(again.held(), again.cash) == (2, 800)


def test_order_that_the_broker_has_is_settled_by_recovery() -> None:
    rig, exchange = remote()
    exchange.plan, exchange.blind = ["silent"], True
    with pytest.raises(BrokerUnavailable):
        rig.place("buy", 1)
    exchange.blind = False
    (order,) = rig.desk.recover("main")
    assert (order.state, order.broker_id) == (OrderState.OPEN, "x1")
    assert rig.desk.recover("main") == []


def test_order_that_never_arrived_is_not_sent_late_by_recovery() -> None:
    rig, exchange = remote()
    rig.ledger._holds = lambda holder: False
    exchange.plan = ["lost", "lost"]
    with pytest.raises(BrokerUnavailable):
        rig.place("buy", 1, run="r")
    (young,) = rig.desk.recover("main")
    assert young.state is OrderState.NEW
    rig.clock.advance(timedelta(seconds=60))
    (order,) = rig.desk.recover("main")
    assert (order.state, order.reason) == (OrderState.CANCELLED, NEVER_SENT)
    assert exchange.sent == []
    assert rig.place("buy", 1, run="r", fence=2).ordinal == 2


@pytest.mark.parametrize("key", [None, "entry"])
def test_order_that_recovery_cancels_while_the_next_attempt_waits_for_it_is_placed_anew(
    key: str | None,
) -> None:
    rig, exchange = remote(shared=True)
    exchange.plan = ["crash before"]
    with pytest.raises(Crash):
        rig.place("buy", 1, run="r", fence=1, key=key)
    (lost,) = rig.ledger.orders("main")
    holding = rig.ledger.holding

    def hold_after_recovery(name: str) -> Any:
        rig.ledger.record(
            Change(
                rig.ledger.account("main"),
                order_changes=[OrderChange(lost.id, OrderState.CANCELLED, 1, reason=NEVER_SENT)],
            )
        )
        rig.ledger.holding = holding  # type: ignore[method-assign]
        return holding(name)

    rig.ledger.holding = hold_after_recovery  # type: ignore[method-assign]
    order = rig.place("buy", 1, run="r", fence=2, key=key)

    assert order.state is OrderState.OPEN
    assert exchange.sent == [order.id]
    assert order.id != lost.id
    assert rig.order(lost).state is OrderState.CANCELLED


def test_order_that_its_attempt_is_sending_is_left_alone_by_recovery() -> None:
    rig, exchange = remote()
    exchange.plan = ["lost", "lost"]
    with pytest.raises(BrokerUnavailable):
        rig.place("buy", 1, run="r")
    rig.clock.advance(timedelta(hours=1))
    (order,) = rig.desk.recover("main")
    assert order.state is OrderState.NEW


def test_attempt_that_lost_its_run_does_not_send_again() -> None:
    rig, exchange = remote()
    held = [True]
    rig.ledger._holds = lambda holder: held[0]
    exchange.plan = ["lost"]
    exchange.on_submit = lambda: held.__setitem__(0, False)
    with pytest.raises(FenceLost):
        rig.place("buy", 1, run="r", holder=Holder("r", 1))
    assert exchange.sent == []


class AwayLedger(MemoryLedger):
    """Takes the first change and no other one."""

    def record(self, change: Change) -> int:
        if change.account.version > 0:
            raise StoreUnavailable("the store is away")
        return super().record(change)


def test_order_that_was_sent_while_the_store_went_away_is_found_again() -> None:
    exchange = Exchange()
    rig = Rig(exchange, ledger=AwayLedger())
    with pytest.raises(StoreUnavailable):
        rig.place("buy", 1, run="r")
    assert len(exchange.sent) == 1
    (order,) = rig.ledger.orders("main")
    assert order.state is OrderState.NEW
