"""A whole app that trades at the local exchange."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

from closingbell import App, create_app
from closingbell.trading.algorithm import Algorithm
from closingbell.trading.broker.ccxt_broker import CcxtBroker
from tests.exchange.server import KEY, SECRET, LocalExchange

D = Decimal


@contextmanager
def at_work(address: str, exchange: LocalExchange, broker: CcxtBroker) -> Iterator[App]:
    """An app with one account, whose task does what a test says."""
    app = create_app(address)
    app.add_account(cash=10_000, currency="USDT", broker=broker)

    @app.task
    def place_three(algorithm: Algorithm) -> int:
        for symbol, price, quantity in (
            ("BTC/USDT", 19_000, "0.01"),
            ("BTC", 18_000, "0.01"),
            ("SOL/USDT", 20, "1"),
        ):
            algorithm.create_buy_order(
                symbol, quantity=quantity, order_type="LIMIT", limit_price=price
            )
        return len(algorithm.get_orders())

    @app.task
    def cancel_everything(algorithm: Algorithm) -> int:
        algorithm.cancel_all_orders()
        return len([order for order in algorithm.get_orders() if order.is_open])

    @app.task
    def halve(algorithm: Algorithm) -> dict[str, Any]:
        algorithm.create_buy_order("BTC/USDT", quantity="0.1", order_type="MARKET")
        algorithm.create_sell_order(target_symbol="BTC", percentage=0.5, order_type="MARKET")
        (position,) = algorithm.get_positions()
        return {
            "held": str(position.quantity),
            "trades": len(algorithm.get_trades()),
            "differences": [difference.message for difference in algorithm.reconcile()],
        }

    with app.running():
        yield app


def test_every_order_is_cancelled_where_the_exchange_has_no_such_call(
    sqlite_address: str, local_exchange: LocalExchange
) -> None:
    broker = local_exchange.broker()
    broker._client.api.has["cancelAllOrders"] = False
    with at_work(sqlite_address, local_exchange, broker) as app:
        placed = app.submit("place_three").result(timeout=30)
        foreign = {
            "symbol": "ETHUSDT",
            "side": "BUY",
            "type": "LIMIT",
            "quantity": "1",
            "price": "1000",
            "newClientOrderId": "web_a5b1",
        }
        local_exchange.books.place(foreign)
        left = app.submit("cancel_everything").result(timeout=30)

    assert (placed, left) == (3, 0)
    assert [o.client_id for o in local_exchange.orders if o.is_open] == ["web_a5b1"]
    assert local_exchange.count("DELETE openOrders") == 0
    assert local_exchange.count("DELETE order") == 3


def test_half_of_what_is_held_is_sold_in_the_exchanges_steps(
    sqlite_address: str, local_exchange: LocalExchange
) -> None:
    with at_work(sqlite_address, local_exchange, local_exchange.broker()) as app:
        told = app.submit("halve").result(timeout=30)

    assert told == {"held": "0.04995", "trades": 2, "differences": []}
    assert local_exchange.total("BTC") == D("0.04995")


def test_account_is_declared_by_the_exchanges_name_and_its_key_is_shown_nowhere(
    sqlite_address: str, local_exchange: LocalExchange
) -> None:
    app = create_app(sqlite_address)
    app.add_account(
        "crypto",
        cash=10_000,
        currency="USDT",
        broker="ccxt",
        exchange="binance",
        key=KEY,
        secret=SECRET,
        base_url=local_exchange.address,
        rate=f"60000/1m@{local_exchange.address}",
    )

    account = app.desk.account("crypto")
    balances = account.broker.balances()
    shown = repr((app, app.accounts, account, account.terms, account.broker))
    app.stop()

    assert balances == {"USDT": D(10_000)}
    assert account.record.broker == "ccxt:binance:sandbox"
    assert SECRET not in shown
    assert KEY not in shown
