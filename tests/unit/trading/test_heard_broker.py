"""A broker that answers nonsense or raises anything: a clear error, and books that balance."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from closingbell.core.bar import Quote
from closingbell.core.book import Book
from closingbell.core.error import BrokerError, BrokerNonsense, BrokerUnavailable, NoPrice
from closingbell.core.order import Order, OrderState
from closingbell.trading.broker.protocol import (
    Activity,
    Broker,
    Execution,
    Match,
    OrderReport,
)
from tests.unit.trading.exchange import Exchange
from tests.unit.trading.rig import Rig, bar, d

CANCELLED = OrderReport(None, "x1", OrderState.CANCELLED)


def raises(problem: type[Exception]) -> Callable[..., Any]:
    def answer(*_given: Any, **_named: Any) -> Any:
        raise problem("boom")

    return answer


def says(what: Any) -> Callable[..., Any]:
    return lambda *_given, **_named: what


def balanced(rig: Rig) -> bool:
    """Whether the account is what its ledger says."""
    stored, book = Book.of(rig.ledger.entries("main")), rig.account.book
    return (stored.cash, stored.holdings) == (book.cash, book.holdings)


ASK: dict[str, Callable[[Rig, Order], Any]] = {
    "cancel": lambda rig, order: rig.desk.cancel("main", order.id, None),
    "activity": lambda rig, _order: rig.desk.sync("main"),
    "submit": lambda rig, _order: rig.place("buy", 1),
    "fit": lambda rig, _order: rig.place("buy", 1),
    "quote": lambda rig, _order: rig.place("buy", 1, symbol="ELSE"),
    "open_orders": lambda rig, _order: rig.account.broker.open_orders(),
    "balances": lambda rig, _order: rig.account.broker.balances(),
    "trades": lambda rig, _order: rig.account.broker.trades(["AAPL"], 0),
}


@pytest.mark.parametrize("problem", [KeyError, OSError, RecursionError, NoPrice, ArithmeticError])
@pytest.mark.parametrize("call", ASK)
def test_whatever_a_broker_raises_is_a_broker_error(call: str, problem: type[Exception]) -> None:
    exchange = Exchange()
    rig = Rig(exchange)
    order = rig.place("buy", 1)
    setattr(exchange, call, raises(problem))

    with pytest.raises(BrokerNonsense, match="boom") as told:
        ASK[call](rig, order)

    assert isinstance(told.value.__cause__, problem)
    assert balanced(rig)


@pytest.mark.parametrize("answer", [7, "x", object(), {"USD": 1.5}, [None], Quote("AAPL", 1, d(1))])
@pytest.mark.parametrize("call", ASK)
def test_answer_of_the_wrong_kind_is_nonsense(call: str, answer: Any) -> None:
    exchange = Exchange()
    rig = Rig(exchange)
    order = rig.place("buy", 1)
    setattr(exchange, call, says(answer))

    with pytest.raises(BrokerNonsense):
        ASK[call](rig, order)

    assert balanced(rig)
    assert len(rig.ledger.orders("main")) == (2 if call == "submit" else 1)


@pytest.mark.parametrize(
    "more",
    [
        {"filled": None},
        {"filled": d("NaN")},
        {"filled": 1.5},
        {"filled": d(-1)},
        {"reason": 5},
        {"broker_id": 7},
        {"order_id": 7},
        {"order_id": "another"},
        {"state": "open"},
    ],
)
@pytest.mark.parametrize("call", ["submit", "cancel"])
def test_report_that_cannot_be_is_nonsense(call: str, more: dict[str, Any]) -> None:
    exchange = Exchange()
    rig = Rig(exchange)
    order = rig.place("buy", 1)
    setattr(exchange, call, says(CANCELLED._replace(**more)))

    with pytest.raises(BrokerNonsense):
        ASK[call](rig, order)

    assert rig.order(order).state is OrderState.OPEN


def test_nonsense_about_an_order_that_was_sent_is_cleared_up_by_asking() -> None:
    exchange = Exchange()
    rig = Rig(exchange)
    submit = exchange.submit

    def garbled(order: Order) -> Any:
        submit(order)
        return CANCELLED._replace(filled=d("NaN"))

    exchange.submit = garbled  # type: ignore[method-assign]

    assert rig.place("buy", 1).state is OrderState.OPEN
    assert len(exchange.sent) == 1


def test_order_whose_answers_stay_nonsense_stays_new() -> None:
    exchange = Exchange()
    rig = Rig(exchange)
    exchange.plan = ["silent"]
    exchange.find = raises(KeyError)  # type: ignore[method-assign]

    with pytest.raises(BrokerUnavailable):
        rig.place("buy", 1)
    with pytest.raises(BrokerNonsense):
        rig.desk.recover("main", 0)

    assert [order.state for order in rig.ledger.orders("main")] == [OrderState.NEW]


@pytest.mark.parametrize(
    "told",
    [
        Activity(None),  # type: ignore[arg-type]
        Activity("abc"),  # type: ignore[arg-type]
        Activity([None]),  # type: ignore[list-item]
        Activity([], None),  # type: ignore[arg-type]
        Activity([], [None]),  # type: ignore[list-item]
        Activity([], [], None),  # type: ignore[arg-type]
        Activity([], [], {"seen": object()}),
        Activity([], [], {"seen": float("nan")}),
    ],
)
def test_activity_that_cannot_be_is_nonsense_and_books_nothing(told: Activity) -> None:
    exchange = Exchange()
    rig = Rig(exchange)
    order = rig.place("buy", 2)
    trade = Execution(order.id, 5, d(1), d(10), external_id="t1")
    if isinstance(told.executions, list):
        told = told._replace(executions=[trade, *told.executions])
    exchange.activity = says(told)  # type: ignore[method-assign]

    with pytest.raises(BrokerNonsense):
        rig.desk.sync("main")

    assert len(rig.ledger.entries("main")) == 1
    exchange.activity = says(Activity([trade], [], {"seen": ["t1"]}))  # type: ignore[method-assign]
    assert rig.desk.sync("main") == 1
    assert balanced(rig)


@pytest.mark.parametrize("price", [d("NaN"), d(0), d(-1), d("Infinity")])
def test_price_that_is_none_is_no_price(price: Decimal) -> None:
    exchange = Exchange()
    exchange.price = price

    with pytest.raises(NoPrice):
        Rig(exchange).place("buy", 1)


class Odd(Broker):
    """A matching broker of a user's own."""

    kind = "odd"
    mode = "paper"
    matches = True

    def __init__(self, answer: Callable[..., Any]) -> None:
        self.on_open = answer  # type: ignore[method-assign]


@pytest.mark.parametrize(
    "answer",
    [
        says(None),
        says(Match("gone")),  # type: ignore[arg-type]
        says(Match(Execution("another", 5, d(1), d(10)))),
        raises(ZeroDivisionError),
    ],
)
def test_matching_broker_that_answers_nonsense_is_refused_and_the_desk_goes_on(
    answer: Callable[..., Any],
) -> None:
    broker = Odd(says(Match()))
    rig = Rig(broker)
    rig.walk(bar(0, 100))
    order = rig.place("buy", 1)
    broker.on_open = answer  # type: ignore[method-assign]

    with pytest.raises(BrokerError):
        rig.open(bar(1, 100))

    assert rig.fills() == []
    trade = Execution(order.id, 5, d(1), d(10), external_id="t1")
    broker.on_open = says(Match(trade))  # type: ignore[method-assign]
    rig.open(bar(1, 100))
    assert len(rig.fills()) == 1
    assert balanced(rig)
