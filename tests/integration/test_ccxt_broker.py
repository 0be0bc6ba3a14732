"""CcxtBroker against the local exchange, over real HTTP."""

from __future__ import annotations

import importlib
import inspect
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from decimal import ROUND_HALF_EVEN, Decimal, getcontext
from typing import Any

import pytest

from closingbell.core.error import BrokerRejected, SettingError
from closingbell.core.order import Order, OrderState, OrderType, Side, client_order_id
from closingbell.trading.broker.ccxt_broker import ASKED_BY_CLIENT_ID, CcxtBroker
from tests.exchange.server import LocalExchange

D = Decimal


def make_order(
    number: int = 1,
    side: Side = Side.BUY,
    type: OrderType = OrderType.MARKET,
    quantity: str = "0.1",
    symbol: str = "BTC/USDT",
    **more: Any,
) -> Order:
    """Return an order that was stored just now."""
    now = time.time_ns() // 1000
    stored: dict[str, Any] = {"created_at": now, "effective_at": now, "updated_at": now}
    return Order(
        id=client_order_id(f"run-{symbol}", number),
        account="main",
        symbol=symbol,
        side=side,
        type=type,
        quantity=D(quantity),
        **(stored | more),
    )


def limit(number: int = 1, price: str = "19000", quantity: str = "0.1", **more: Any) -> Order:
    return make_order(number, type=OrderType.LIMIT, quantity=quantity, limit_price=D(price), **more)


def opened(order: Order, broker_id: str | None) -> Order:
    """Return the order as the ledger has it once it was accepted."""
    return replace(order, state=OrderState.OPEN, broker_id=broker_id)


# --- placing ---------------------------------------------------------------------------------


def test_market_order_fills_and_its_trade_has_price_fee_and_name(
    local_exchange: LocalExchange,
) -> None:
    broker, order = local_exchange.broker(), make_order()

    report = broker.submit(order)
    news = broker.activity([opened(order, report.broker_id)], {})

    assert (report.order_id, report.state, report.filled) == (order.id, "filled", D("0.1"))
    (trade,) = news.executions
    assert (trade.quantity, trade.price) == (D("0.1"), D(20000))
    assert (trade.fee, trade.fee_currency) == (D("0.0001"), "BTC")
    assert trade.external_id == f"binance:BTC/USDT:{local_exchange.books.trades[0].id}"
    assert [r.state for r in news.reports] == [OrderState.FILLED]
    assert broker.balances() == {"BTC": D("0.0999"), "USDT": D(8000)}


def test_order_reaches_the_exchange_under_its_own_id(local_exchange: LocalExchange) -> None:
    order = limit()

    local_exchange.broker().submit(order)

    assert [o.client_id for o in local_exchange.orders] == [order.id]
    assert len(order.id) <= 32


def test_partial_fills_of_a_limit_order_are_told_one_by_one(local_exchange: LocalExchange) -> None:
    broker, order = local_exchange.broker(), limit(quantity="0.2")
    order = opened(order, broker.submit(order).broker_id)

    local_exchange.fill(order.id, "0.05")
    first = broker.activity([order], {})
    local_exchange.fill(order.id, "0.1")
    second = broker.activity([replace(order, filled=D("0.05"))], first.sync)

    assert [trade.quantity for trade in first.executions] == [D("0.05")]
    assert [trade.quantity for trade in second.executions] == [D("0.05"), D("0.1")]
    assert len({trade.external_id for trade in second.executions}) == 2
    assert first.reports == second.reports == []


def test_quiet_orders_cost_one_request_for_each_symbol(local_exchange: LocalExchange) -> None:
    broker = local_exchange.broker()
    orders = [limit(n, quantity="0.01") for n in range(1, 6)]
    orders.append(make_order(7, type=OrderType.LIMIT, symbol="ETH/USDT", limit_price=D(1000)))
    orders = [opened(order, broker.submit(order).broker_id) for order in orders]
    before = len(local_exchange.requests)

    news = broker.activity(orders, {})

    assert (news.executions, news.reports) == ([], [])
    assert len(local_exchange.requests) - before == 2


def test_sell_stop_waits_for_its_price_then_sells(local_exchange: LocalExchange) -> None:
    broker = local_exchange.broker()
    broker.submit(make_order(1))
    stop = make_order(2, side=Side.SELL, type=OrderType.STOP, quantity="0.05", stop_price=D(18000))
    stop = opened(stop, broker.submit(stop).broker_id)

    local_exchange.set_price("BTC/USDT", 18_001)
    above = broker.activity([stop], {})
    local_exchange.set_price("BTC/USDT", 17_500)
    below = broker.activity([stop], {})

    assert above.executions == []
    assert [(t.quantity, t.price) for t in below.executions] == [(D("0.05"), D(17500))]


def test_stop_limit_becomes_a_limit_order_at_its_stop(local_exchange: LocalExchange) -> None:
    broker = local_exchange.broker()
    order = make_order(type=OrderType.STOP_LIMIT, stop_price=D(21000), limit_price=D(21100))
    order = opened(order, broker.submit(order).broker_id)

    local_exchange.set_price("BTC/USDT", 21_050)

    (trade,) = broker.activity([order], {}).executions
    assert trade.price <= D(21100)


def test_market_order_without_enough_liquidity_expires_with_what_it_got(
    local_exchange: LocalExchange,
) -> None:
    local_exchange.books.liquidity["BTCUSDT"] = D("0.03")
    broker, order = local_exchange.broker(), make_order()

    report = broker.submit(order)
    news = broker.activity([opened(order, report.broker_id)], {})

    assert (report.state, report.filled) == (OrderState.EXPIRED, D("0.03"))
    assert [trade.quantity for trade in news.executions] == [D("0.03")]


@pytest.mark.parametrize(
    ("order", "problem"),
    [
        (make_order(quantity="5"), "insufficient balance"),
        (make_order(side=Side.SELL), "insufficient balance"),
        (make_order(symbol="DOGE/USDT"), "DOGE/USDT"),
        (make_order(quantity="0.0001"), "NOTIONAL"),
        (make_order(quantity="0.000001"), "smallest order"),
        (make_order(type=OrderType.MARKET_ON_CLOSE), "never closes"),
    ],
    ids=["funds", "position", "symbol", "notional", "step", "close"],
)
def test_order_that_the_exchange_refuses_is_rejected_and_nothing_trades(
    local_exchange: LocalExchange, order: Order, problem: str
) -> None:
    fresh = replace(order, updated_at=time.time_ns() // 1000)

    with pytest.raises(BrokerRejected, match=problem):
        local_exchange.broker().submit(fresh)

    assert local_exchange.books.trades == []
    assert local_exchange.total("USDT") == 10_000


def test_client_id_of_an_open_order_means_that_the_exchange_has_it(
    local_exchange: LocalExchange,
) -> None:
    broker, order = local_exchange.broker(), limit()
    first = broker.submit(order)

    second = broker.submit(order)

    assert second == first
    assert len(local_exchange.orders) == 1


# --- steps of quantity and price ---------------------------------------------------------------


def test_quantity_is_rounded_down_and_prices_to_their_owners_side(
    local_exchange: LocalExchange,
) -> None:
    broker = local_exchange.broker()

    buy = broker.fit(limit(price="19000.019", quantity="0.123456789"))
    sell = broker.fit(limit(price="21000.011", side=Side.SELL))
    stop = broker.fit(make_order(side=Side.SELL, type=OrderType.STOP, stop_price=D("18000.019")))

    assert (buy.quantity, buy.limit_price) == (D("0.12345"), D("19000.01"))
    assert sell.limit_price == D("21000.02")
    assert stop.stop_price == D("18000.01")


def test_order_that_fits_stays_the_same_object(local_exchange: LocalExchange) -> None:
    order = limit()

    assert local_exchange.broker().fit(order) is order


def test_every_digit_of_an_amount_survives_the_way_there_and_back(
    local_exchange: LocalExchange,
) -> None:
    local_exchange.books.balances["BTC"] = [D("12345678.12345678"), D(0)]

    balances = local_exchange.broker().balances()

    assert balances is not None
    assert balances["BTC"] == D("12345678.12345678")


def test_rounding_of_the_callers_decimals_is_left_alone(local_exchange: LocalExchange) -> None:
    broker = local_exchange.broker()
    before = getcontext().copy()

    broker.submit(make_order())
    broker.balances()

    assert getcontext().rounding == ROUND_HALF_EVEN
    assert getcontext().traps == before.traps
    assert getcontext().prec == before.prec


# --- cancelling, finding, asking -------------------------------------------------------------


def test_cancelled_order_is_gone_from_the_exchange(local_exchange: LocalExchange) -> None:
    broker, order = local_exchange.broker(), limit()
    order = opened(order, broker.submit(order).broker_id)

    report = broker.cancel(order)

    assert report.state is OrderState.CANCELLED
    assert not local_exchange.orders[0].is_open
    assert local_exchange.books.balances["USDT"] == [D(10000), D(0)]


def test_cancelling_an_order_that_filled_meanwhile_tells_the_fill(
    local_exchange: LocalExchange,
) -> None:
    broker, order = local_exchange.broker(), limit()
    order = opened(order, broker.submit(order).broker_id)
    local_exchange.fill(order.id, "0.1")

    report = broker.cancel(order)

    assert (report.state, report.filled) == (OrderState.FILLED, D("0.1"))


def test_cancelling_an_order_that_never_arrived_is_no_error(local_exchange: LocalExchange) -> None:
    order = limit()

    report = local_exchange.broker(window_s=0.2, settle_s=0.1).cancel(order)

    assert report.state is OrderState.CANCELLED
    assert "does not know" in (report.reason or "")


def test_cancelling_many_orders_goes_one_by_one_and_leaves_those_of_others(
    local_exchange: LocalExchange,
) -> None:
    broker = local_exchange.broker()
    orders = [limit(n, quantity="0.01") for n in range(1, 4)]
    orders = [opened(order, broker.submit(order).broker_id) for order in orders]
    broker.submit(limit(9, quantity="0.01"))

    for order in orders:
        broker.cancel(order)

    assert [report.order_id for report in broker.open_orders()] == [limit(9).id]
    assert local_exchange.count("DELETE openOrders") == 0


def test_order_is_searched_where_the_exchange_takes_no_client_id(
    local_exchange: LocalExchange,
) -> None:
    broker = local_exchange.broker()
    broker._by_client_id = False
    working, ended = limit(1), make_order(2)
    broker.submit(working)
    broker.submit(ended)

    assert [broker.find(order) for order in (working, ended)] == [
        replace_report(broker.find(working), "open"),
        replace_report(broker.find(ended), "filled"),
    ]
    assert local_exchange.count("GET order") == 0


def replace_report(report: Any, state: str) -> Any:
    """Return the same report, in that state."""
    assert report is not None
    return report._replace(state=OrderState(state))


def test_exchange_without_an_answer_by_client_id_is_cancelled_by_its_own_id(
    local_exchange: LocalExchange,
) -> None:
    broker, order = local_exchange.broker(), limit()
    broker._by_client_id = False
    broker.submit(order)

    report = broker.cancel(order)

    assert report.state is OrderState.CANCELLED


def test_open_orders_name_those_of_others_too(local_exchange: LocalExchange) -> None:
    broker = local_exchange.broker()
    broker.submit(limit(1, quantity="0.01"))
    with local_exchange.books.lock:
        local_exchange.books.place(
            {
                "symbol": "ETHUSDT",
                "side": "BUY",
                "type": "LIMIT",
                "quantity": "1",
                "price": "1000",
                "newClientOrderId": "web_a5b1",
            }
        )

    told = {(r.order_id, r.symbol, r.state) for r in broker.open_orders()}

    assert told == {
        (limit(1).id, "BTC/USDT", OrderState.OPEN),
        ("web_a5b1", "ETH/USDT", OrderState.OPEN),
    }


def test_trades_since_an_instant_are_told_beyond_one_page(local_exchange: LocalExchange) -> None:
    broker, order = local_exchange.broker(), limit(quantity="0.5")
    broker.submit(order)
    for _ in range(1203):
        local_exchange.fill(order.id, "0.0001")
        local_exchange.books.trades[-1].at += len(local_exchange.books.trades)

    told = broker.trades(["BTC/USDT"], order.created_at - 1_000_000)
    news = broker.activity([opened(order, None)], {})

    assert told is not None
    assert len(told) == len(news.executions) == 1203
    assert sum(trade.quantity for trade in told) == D("0.1203")


def test_price_is_the_last_one_and_an_unknown_symbol_has_none(
    local_exchange: LocalExchange,
) -> None:
    broker = local_exchange.broker()
    local_exchange.set_price("ETH/USDT", "1512.34")

    quote = broker.quote("ETH/USDT")

    assert quote is not None
    assert quote.price == D("1512.34")
    assert broker.quote("NO/SUCH") is None


# --- what is declared ------------------------------------------------------------------------


def test_real_money_needs_to_be_asked_for() -> None:
    assert CcxtBroker("binance").mode == "paper"
    assert CcxtBroker("binance", sandbox=False).mode == "live"
    assert "testnet" in CcxtBroker("binance")._client.api.urls["api"]["private"]
    with pytest.raises(SettingError, match="sandbox"):
        CcxtBroker("binance", sandbox="false")  # type: ignore[arg-type]
    with pytest.raises(SettingError, match="sandbox=False"):
        CcxtBroker("kraken")


def test_play_money_and_real_money_are_kept_in_different_ledgers() -> None:
    kinds = {CcxtBroker("binance").kind, CcxtBroker("binance", sandbox=False).kind}

    assert kinds == {"ccxt:binance:sandbox", "ccxt:binance"}


def test_missing_library_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ccxt", None)

    with pytest.raises(SettingError, match=r"closingbell\[ccxt\]"):
        CcxtBroker("binance")


@pytest.mark.parametrize(
    "options",
    [{"exchange": "nyse"}, {"window_s": 0}, {"timeout_s": -1}, {"rate": "many"}],
    ids=["exchange", "window", "timeout", "rate"],
)
def test_impossible_setting_is_refused_before_anything_is_sent(
    local_exchange: LocalExchange, options: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match="expected"):
        local_exchange.broker(**options)

    assert len(local_exchange.requests) == 0


def test_exchanges_that_are_asked_by_client_id_take_one() -> None:
    ccxt = importlib.import_module("ccxt")
    for exchange in ASKED_BY_CLIENT_ID:
        for method in ("fetch_order", "cancel_order"):
            source = inspect.getsource(getattr(getattr(ccxt, exchange), method))
            assert "'clientOrderId'" in source, (exchange, method)


@pytest.mark.parametrize("exchange", ["gate", "coinbase", "htx"])
def test_exchange_that_buys_by_cost_buys_at_a_limit_only(
    exchange: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = CcxtBroker(exchange, sandbox=False)
    keep: Callable[[Order], Order] = lambda order: order  # noqa: E731
    monkeypatch.setattr(broker, "fit", keep)

    with pytest.raises(BrokerRejected, match="by cost"):
        broker.submit(make_order())
