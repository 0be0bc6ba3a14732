"""The desk and the real broker together: what the books say after an exchange has spoken."""

from __future__ import annotations

import time
from decimal import Decimal
from typing import Any

import pytest

from closingbell.core.clock import SystemClock
from closingbell.core.error import (
    AccountMismatch,
    BrokerRejected,
    BrokerUnavailable,
    FenceLost,
    OrderRefused,
)
from closingbell.core.ledger import Holder
from closingbell.core.order import Order, OrderState, OrderType, Side
from closingbell.trading.desk import Desk
from closingbell.trading.memory_ledger import MemoryLedger
from closingbell.trading.placement import Placement
from closingbell.trading.reconciliation import reconcile
from closingbell.trading.terms import AccountTerms
from closingbell.trading.ticket import Ticket
from tests.exchange import fault
from tests.exchange.server import LocalExchange

D = Decimal
RUN = "01a2"


class Attempt:
    """A desk with one account at the exchange, and the attempt that trades there."""

    def __init__(
        self, exchange: LocalExchange, ledger: MemoryLedger, fence: int = 1, **options: Any
    ) -> None:
        self.ledger = ledger
        self.fence = fence
        self.desk = Desk(ledger=ledger, clock=SystemClock())
        self.broker = exchange.broker(**options)
        self.account = self.desk.add(AccountTerms(cash=D(10_000), currency="USDT"), self.broker)

    def place(
        self,
        side: Side = Side.BUY,
        type: OrderType = OrderType.MARKET,
        quantity: str = "0.1",
        symbol: str = "BTC/USDT",
        **more: Any,
    ) -> Order:
        ticket = Ticket("main", symbol, side, type, D(quantity), **more)
        by = Placement(RUN, self.fence, "buy", 5, time.time_ns() // 1000, self.fence)
        return self.desk.place(ticket, Holder(RUN, self.fence), by)

    def order(self, order: Order) -> Order:
        stored = self.ledger.order(order.id)
        assert stored is not None
        return stored

    def differences(self) -> list[str]:
        found = reconcile(
            self.account,
            self.ledger,
            sync=lambda: self.desk.sync("main"),
            now=time.time_ns() // 1000,
        )
        return [difference.message for difference in found]


def agrees(attempt: Attempt, exchange: LocalExchange) -> bool:
    """Say whether the books hold what the exchange holds, to the last digit."""
    book = attempt.account.book
    held: dict[str, Decimal] = dict(book.cash)
    for holding in book.holdings.values():
        base = holding.symbol.split("/")[0]
        held[base] = held.get(base, D(0)) + holding.quantity
    assets = held.keys() | exchange.books.balances.keys()
    return all(held.get(asset, D(0)) == exchange.total(asset) for asset in assets)


def test_round_trip_leaves_the_books_as_the_exchange_has_them(
    local_exchange: LocalExchange,
) -> None:
    attempt = Attempt(local_exchange, MemoryLedger())

    bought = attempt.place(quantity="0.1234567")
    held = attempt.account.book.quantity("BTC/USDT")
    local_exchange.set_price("BTC/USDT", 21_000)
    sold = attempt.place(Side.SELL, quantity=str(held))

    assert (bought.state, bought.quantity) == (OrderState.FILLED, D("0.12345"))
    assert held == D("0.12345") * D("0.999")
    assert sold.state is OrderState.FILLED
    assert sold.quantity == D("0.12332")
    assert agrees(attempt, local_exchange)
    assert attempt.differences() == []


@pytest.mark.parametrize("fee_asset", [None, "USDT", "BNB"], ids=["received", "quote", "third"])
def test_fees_in_any_currency_are_booked_where_they_were_taken(
    local_exchange: LocalExchange, fee_asset: str | None
) -> None:
    local_exchange.books.fee_asset = fee_asset
    attempt = Attempt(local_exchange, MemoryLedger())
    if fee_asset == "BNB":
        local_exchange.books.deposit("BNB", D(50))
        attempt.desk.deposit("main", D(50), "BNB")

    attempt.place()
    attempt.place(Side.SELL, quantity="0.05")

    assert agrees(attempt, local_exchange)
    assert attempt.differences() == []


def test_market_order_that_expires_in_part_is_booked_with_what_it_got(
    local_exchange: LocalExchange,
) -> None:
    local_exchange.books.liquidity["BTCUSDT"] = D("0.03")
    attempt = Attempt(local_exchange, MemoryLedger())

    order = attempt.place()

    assert (order.state, order.filled) == (OrderState.EXPIRED, D("0.03"))
    assert agrees(attempt, local_exchange)


def test_cancelled_order_keeps_what_it_traded_before(local_exchange: LocalExchange) -> None:
    attempt = Attempt(local_exchange, MemoryLedger())
    order = attempt.place(type=OrderType.LIMIT, limit_price=D(19_000))
    local_exchange.fill(order.id, "0.04")

    cancelled = attempt.desk.cancel("main", order.id, Holder(RUN, 1))

    assert (cancelled.state, cancelled.filled) == (OrderState.CANCELLED, D("0.04"))
    assert agrees(attempt, local_exchange)
    assert attempt.differences() == []


def test_cancelled_order_whose_trades_show_late_stays_open_until_they_do(
    local_exchange: LocalExchange,
) -> None:
    attempt = Attempt(local_exchange, MemoryLedger())
    order = attempt.place(type=OrderType.LIMIT, limit_price=D(19_000))
    local_exchange.fill(order.id, "0.04")
    (trade,) = local_exchange.books.trades
    trade.visible_at = time.monotonic() + 3600

    early = attempt.desk.cancel("main", order.id, Holder(RUN, 1))
    trade.visible_at = 0
    attempt.desk.sync("main")
    late = attempt.order(order)

    assert (early.state, early.filled) == (OrderState.OPEN, D(0))
    assert (late.state, late.filled) == (OrderState.CANCELLED, D("0.04"))
    assert agrees(attempt, local_exchange)


def test_every_order_of_the_account_is_cancelled_where_the_exchange_cannot_do_it_at_once(
    local_exchange: LocalExchange,
) -> None:
    attempt = Attempt(local_exchange, MemoryLedger())
    broker: Any = attempt.broker
    broker._client.api.has["cancelAllOrders"] = False
    orders = [
        attempt.place(type=OrderType.LIMIT, limit_price=D(price), quantity=quantity, symbol=symbol)
        for symbol, price, quantity in (
            ("BTC/USDT", 19_000, "0.01"),
            ("BTC/USDT", 18_000, "0.01"),
            ("SOL/USDT", 20, "1"),
        )
    ]

    for order in attempt.ledger.orders("main", working=True):
        attempt.desk.cancel("main", order.id, None)

    assert [attempt.order(order).state for order in orders] == ["cancelled"] * 3
    assert not any(order.is_open for order in local_exchange.orders)
    assert attempt.account.free_cash("USDT") == D(10_000)


def test_second_attempt_meets_the_order_of_the_first_and_sends_nothing(
    local_exchange: LocalExchange,
) -> None:
    ledger = MemoryLedger()
    first = Attempt(local_exchange, ledger).place()

    second = Attempt(local_exchange, ledger, fence=2).place()

    assert second.id == first.id
    assert local_exchange.count("POST order") == 1


def test_attempt_that_lost_its_fence_sends_nothing(local_exchange: LocalExchange) -> None:
    held = Holder(RUN, 2)
    attempt = Attempt(local_exchange, MemoryLedger(holds=lambda holder: holder == held))

    with pytest.raises(FenceLost):
        attempt.place()

    assert local_exchange.count("POST order") == 0


def test_attempt_that_loses_its_fence_while_it_asks_does_not_send_again(
    local_exchange: LocalExchange,
) -> None:
    still: list[bool] = [True]
    attempt = Attempt(local_exchange, MemoryLedger(holds=lambda _: still[0]), window_s=0.3)
    attempt.place(quantity="0.001")
    lost = fault.lost()
    local_exchange.fail(lost)
    find = attempt.account.broker.find

    def find_slowly(order: Order) -> Any:
        found = find(order)
        still[0] = False
        return found

    attempt.account.broker.find = find_slowly  # type: ignore[method-assign]
    with pytest.raises(FenceLost):
        attempt.place(quantity="0.002")

    assert len(local_exchange.orders) == 1
    assert [o.state for o in attempt.ledger.orders("main", working=True)] == [OrderState.NEW]


def test_order_that_nobody_could_ask_about_is_settled_by_recovery(
    local_exchange: LocalExchange,
) -> None:
    attempt = Attempt(local_exchange, MemoryLedger(), window_s=0.2, settle_s=0.1)
    attempt.account.quote("BTC/USDT", 1, D(20_000))
    attempt.account.broker.balances()
    local_exchange.fail(fault.cut())
    for name in ("GET order", "GET openOrders"):
        unwell = fault.error(503, name)
        unwell.times = 20
        local_exchange.fail(unwell)

    with pytest.raises(BrokerUnavailable):
        attempt.place()
    doubtful = attempt.ledger.orders("main", working=True)
    for ordered in local_exchange._faults:
        ordered.times = 0
    (settled,) = attempt.desk.recover("main")
    attempt.desk.sync("main")

    assert [order.state for order in doubtful] == [OrderState.NEW]
    assert settled.state is OrderState.OPEN
    assert attempt.order(settled).state is OrderState.FILLED
    assert len(local_exchange.orders) == 1
    assert agrees(attempt, local_exchange)


def test_order_that_never_arrived_is_sent_again_under_its_own_id(
    local_exchange: LocalExchange,
) -> None:
    attempt = Attempt(local_exchange, MemoryLedger(), window_s=0.3, settle_s=0.1)
    attempt.place(quantity="0.001")
    local_exchange.fail(fault.lost())

    order = attempt.place(quantity="0.002")

    history = [step.state for step in attempt.ledger.order_history(order.id)]
    assert order.state is OrderState.FILLED
    assert [o.client_id for o in local_exchange.orders][1:] == [order.id]
    assert history[:2] == [OrderState.NEW, OrderState.NEW]
    assert agrees(attempt, local_exchange)


def test_order_that_the_exchange_refuses_is_stored_as_rejected_with_its_reason(
    local_exchange: LocalExchange,
) -> None:
    attempt = Attempt(local_exchange, MemoryLedger())

    with pytest.raises(BrokerRejected, match="NOTIONAL"):
        attempt.place(quantity="0.0001")
    (order,) = attempt.ledger.orders("main")

    assert order.state is OrderState.REJECTED
    assert "NOTIONAL" in (order.reason or "")


def test_order_below_the_exchanges_step_is_refused_before_it_is_stored(
    local_exchange: LocalExchange,
) -> None:
    attempt = Attempt(local_exchange, MemoryLedger())

    with pytest.raises((BrokerRejected, OrderRefused)):
        attempt.place(quantity="0.000001")

    assert attempt.ledger.orders("main") == []


def test_order_for_a_session_is_refused_where_there_are_none(
    local_exchange: LocalExchange,
) -> None:
    attempt = Attempt(local_exchange, MemoryLedger())

    with pytest.raises(BrokerRejected, match="no sessions"):
        attempt.place(time_in_force="day")

    assert local_exchange.orders == []
    assert attempt.ledger.orders("main") == []


def test_ledger_of_play_money_does_not_open_for_real_money(local_exchange: LocalExchange) -> None:
    ledger = MemoryLedger()
    Attempt(local_exchange, ledger)

    with pytest.raises(AccountMismatch, match="sandbox"):
        Attempt(local_exchange, ledger, sandbox=False)


def test_sync_without_news_writes_nothing(local_exchange: LocalExchange) -> None:
    attempt = Attempt(local_exchange, MemoryLedger())
    attempt.place(type=OrderType.LIMIT, limit_price=D(19_000))
    before = attempt.ledger.account("main").version

    entries = [attempt.desk.sync("main") for _ in range(3)]

    assert entries == [0, 0, 0]
    assert attempt.ledger.account("main").version == before
