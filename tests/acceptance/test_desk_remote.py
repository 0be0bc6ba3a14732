"""A live account at a remote broker: asked again and again, and never trusted with the books."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import Any

import pytest

from closingbell.broker_poll import BrokerPoll
from closingbell.core.bar import Quote
from closingbell.core.error import BrokerUnavailable
from closingbell.core.order import Order, OrderState
from closingbell.core.run import RunState
from closingbell.trading.broker.protocol import Activity, Broker, Execution, OrderReport
from tests.acceptance.desk import StandingClock, ended, eventually
from tests.acceptance.trading_days import MONDAY, TradingDays


class Exchange(Broker):
    """An exchange in memory that fills when the test says so, and fails when it is told to."""

    kind = "exchange"
    mode = "live"

    def __init__(self, clock: StandingClock) -> None:
        self.clock = clock
        self.orders: dict[str, Order] = {}
        self.executions: list[Execution] = []
        self.price = Decimal(100)
        self.is_down = False
        self.loses_answers = False
        self.asked = 0
        self._lock = threading.Lock()

    def submit(self, order: Order) -> OrderReport:
        if self.is_down:
            raise BrokerUnavailable(self.kind, "no answer")
        self.orders[order.id] = order
        if self.loses_answers:
            raise BrokerUnavailable(self.kind, "the connection was cut")
        return OrderReport(order.id, f"x-{order.id}", OrderState.OPEN, symbol=order.symbol)

    def cancel(self, order: Order) -> OrderReport:
        self.orders.pop(order.id, None)
        return OrderReport(order.id, None, OrderState.CANCELLED, order.filled, order.symbol)

    def find(self, order: Order) -> OrderReport | None:
        if self.is_down or self.loses_answers:
            raise BrokerUnavailable(self.kind, "no answer")
        known = self.orders.get(order.id)
        return OrderReport(order.id, f"x-{order.id}", OrderState.OPEN) if known else None

    def activity(self, orders: Sequence[Order], sync: Mapping[str, Any]) -> Activity:
        with self._lock:
            self.asked += 1
        if self.is_down:
            raise BrokerUnavailable(self.kind, "no answer")
        return Activity(tuple(self.executions), sync={"seen": len(self.executions)})

    def quote(self, symbol: str) -> Quote | None:
        return Quote(symbol, self.clock.micros(), self.price)

    def fill(self) -> None:
        for order in self.orders.values():
            self.executions.append(
                Execution(
                    order.id,
                    self.clock.micros(),
                    order.quantity,
                    self.price,
                    Decimal("0.5"),
                    external_id=f"t-{order.id}",
                )
            )


class Remote(TradingDays):
    """A desk whose main account is at an exchange."""

    exchange: Exchange


@pytest.fixture
def desk(sqlite_address: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Remote]:
    monkeypatch.setattr("closingbell.trading_floor.BrokerPoll", partial(BrokerPoll, poll_s=0.02))
    desk = Remote(sqlite_address, MONDAY)
    desk.exchange = Exchange(desk.clock)
    desk.app.add_account(cash=1_000, broker=desk.exchange, calendar="24/7")
    yield desk
    desk.app.stop()


def test_live_order_is_sent_once_and_its_trades_are_booked_as_they_are_told(desk: Remote) -> None:
    @desk.app.task(retries=0)
    def trader(algorithm: Any) -> list[str]:
        order = algorithm.create_buy_order("ACME", quantity=3, order_type="LIMIT", price=101)
        return [algorithm.mode, order.id, str(order.state)]

    @desk.app.task(on_event="order_filled")
    def filled(symbol: str, quantity: float) -> None:
        desk.seen.append((symbol, quantity))

    desk.app.start(block=False)
    mode, order_id, state = desk.app.submit(trader).result(10)
    sent = list(desk.exchange.orders)
    desk.exchange.fill()
    fills = eventually(desk.fills, "the trade is booked")
    eventually(lambda: desk.seen, "the fill starts a task")
    desk.exchange.price = Decimal(110)
    eventually(lambda: desk.app.portfolio().total_value != 999.5, "the mark follows the price")

    assert (mode, state, sent) == ("live", "open", [order_id])
    assert fills == [("ACME", 3, 100, "19 13:30")]
    assert desk.seen == [("ACME", 3.0)]
    assert desk.app.portfolio().total_value == 1_000 - 300 - Decimal("0.5") + 330


def test_order_whose_answer_was_lost_is_found_and_not_sent_twice(desk: Remote) -> None:
    @desk.app.task(retries=0)
    def trader(algorithm: Any) -> None:
        algorithm.create_buy_order("ACME", quantity=3)

    desk.app.start(block=False)
    desk.exchange.loses_answers = True
    run = ended(desk.app, desk.app.submit(trader).id)
    [left] = desk.app.store.ledger.orders("main")
    desk.exchange.loses_answers = False

    def settled() -> Any:
        [order] = desk.app.store.ledger.orders("main")
        return order if order.state is not OrderState.NEW else None

    order = eventually(settled, "the broker is asked what became of it")
    assert run.state is RunState.FAILED
    assert left.state is OrderState.NEW
    assert (order.state, order.broker_id) == (OrderState.OPEN, f"x-{order.id}")
    assert list(desk.exchange.orders) == [order.id]


def test_broker_that_does_not_answer_is_one_alert_and_asked_again(
    desk: Remote, caplog: pytest.LogCaptureFixture
) -> None:
    desk.app.start(block=False)
    eventually(lambda: desk.exchange.asked, "the broker is asked")
    desk.exchange.is_down = True
    [alert] = eventually(lambda: desk.app.store.alerts.open(), "an alert")
    asked = desk.exchange.asked
    eventually(lambda: desk.exchange.asked > asked + 1, "it is asked again")
    desk.exchange.is_down = False
    eventually(lambda: "answers again" in caplog.text)

    assert alert["type"] == "desk_failure"
    assert "account 'main' is not in step with its broker" in alert["message"]
    assert len(desk.app.store.alerts.open()) == 1
