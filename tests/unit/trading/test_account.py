"""An account in memory: what it is worth, and what is free."""

from __future__ import annotations

from decimal import Decimal

import pytest

from closingbell.core.bar import Quote
from closingbell.core.error import NoPrice
from closingbell.trading.drawdown import drawdown_of, moved_peak
from closingbell.trading.valuation import currency_of
from tests.unit.trading.rig import Rig, bar, d, day, seen


@pytest.mark.parametrize(
    ("symbol", "currency"),
    [("AAPL", "USD"), ("BTC/EUR", "EUR"), ("BTC/USDT:USDT", "USDT"), ("EUR/USD", "USD")],
)
def test_symbol_is_quoted_in_what_stands_behind_its_slash(symbol: str, currency: str) -> None:
    assert currency_of(symbol, "USD") == currency


def test_value_is_cash_and_positions_at_the_last_prices() -> None:
    rig = Rig()
    rig.walk(bar(0, 100))
    rig.place("buy", 4)
    rig.open(bar(1, 100))
    assert seen(rig.account.value(), rig.cash) == (1000, 600)
    rig.close(bar(1, 100, close=110))
    account = rig.account
    assert account.value() == 1040
    assert seen(account.realized(), account.unrealized(), account.flows()) == (0, 40, 1000)
    assert seen(account.exposure(), account.peak, account.drawdown()) == (440, 1040, 0)
    rig.walk(bar(2, 105, close=91))
    assert account.value() == 964
    assert account.drawdown() == d(76) / d(1040)


def test_foreign_currency_is_valued_at_the_price_of_its_pair_or_the_inverse() -> None:
    rig = Rig()
    rig.desk.deposit("main", 100, "EUR")
    with pytest.raises(NoPrice, match="no price of EUR/USD"):
        rig.account.value()
    rig.desk.quotes("main", [Quote("EUR/USD", 1, d("1.25"))])
    assert rig.account.value() == 1125
    rig.desk.deposit("main", 100, "CHF")
    rig.desk.quotes("main", [Quote("USD/CHF", 1, d("0.8"))])
    assert rig.account.value() == 1250
    assert rig.account.cash() == 1250
    assert rig.account.flows() == 1250
    assert rig.account.watched() == ["CHF/USD", "EUR/USD"]


def test_account_that_cannot_be_valued_is_marked_again_when_the_price_comes() -> None:
    rig = Rig()
    rig.desk.deposit("main", 100, "EUR")
    rig.walk(bar(0, 100))
    with pytest.raises(NoPrice):
        rig.account.value()
    rig.desk.snapshot(day(0))
    assert rig.ledger.snapshots("main") == []
    rig.walk(bar(1, "1.5", symbol="EUR/USD"))
    assert rig.account.value() == 1150
    assert rig.account.peak == 1150


def test_position_in_a_foreign_currency_follows_its_price_and_its_rate() -> None:
    rig = Rig()
    rig.desk.deposit("main", 1000, "EUR")
    rig.walk(bar(0, 2, symbol="EUR/USD"), bar(1, 100, symbol="BTC/EUR"))
    rig.place("buy", 5, symbol="BTC/EUR")
    rig.open(bar(2, 100, symbol="BTC/EUR"))
    assert rig.account.book.cash == {"USD": d(1000), "EUR": d(500)}
    assert rig.account.value() == 3000
    rig.close(bar(2, 100, close=120, symbol="BTC/EUR"))
    assert rig.account.value() == 3200
    rig.walk(bar(3, 1, symbol="EUR/USD"))
    account = rig.account
    assert account.value() == 2100
    assert account.value() == account.flows() + account.realized() + account.unrealized()


def test_working_purchases_keep_their_cash_and_working_sales_their_position() -> None:
    rig = Rig()
    rig.walk(bar(0, 100))
    rig.place("buy", 3)
    rig.walk(bar(1, 100))
    rig.place("buy", 2, type="limit", limit=90)
    rig.place("buy", 1, type="stop", stop=120)
    assert rig.account.free_cash() == 1000 - 300 - 180 - 120
    assert rig.account.free_cash("EUR") == 0
    rig.place("sell", 2, type="limit", limit=150)
    assert rig.account.free_quantity("AAPL") == 1
    assert rig.account.free_quantity("IBM") == 0


def test_leverage_lets_positions_be_a_multiple_of_the_value() -> None:
    rig = Rig(leverage=d(2))
    rig.walk(bar(0, 100))
    assert rig.account.free_cash() == 2000
    rig.place("buy", 15)
    rig.open(bar(1, 100))
    assert rig.cash == -500
    assert rig.account.free_cash() == 500


def test_account_that_owes_more_than_it_has_may_spend_nothing_and_has_lost_more_than_all() -> None:
    rig = Rig(leverage=d(2))
    rig.walk(bar(0, 100))
    rig.place("buy", 20)
    rig.walk(bar(1, 100, close=40))
    assert rig.account.value() == -200
    assert rig.account.free_cash() == 0
    assert rig.account.drawdown() == d("1.2")


@pytest.mark.parametrize(
    ("value", "peak", "drawdown"),
    [
        (80, 100, "0.2"),
        (100, 100, 0),
        (120, 100, 0),
        (5, 0, 0),
        (-5, 0, 0),
        (-5, -1, 0),
        (-5, 10, "1.5"),
    ],
)
def test_drawdown_is_a_fraction_of_a_peak_above_zero(
    value: int, peak: int, drawdown: str | int
) -> None:
    assert drawdown_of(d(value), d(peak)) == d(drawdown)


@pytest.mark.parametrize(
    ("peak", "value", "flow", "moved"),
    [
        (100, d(100), 50, 150),
        (100, d(80), 40, 150),
        (100, d(80), -40, 50),
        (100, None, 50, 150),
        (0, d(0), 50, 50),
        (100, d(-10), 50, 40),
        (100, d(80), -80, 0),
    ],
)
def test_cash_flow_moves_the_peak_so_that_the_drawdown_stays(
    peak: int, value: Decimal | None, flow: int, moved: int
) -> None:
    assert moved_peak(d(peak), value, d(flow)) == moved


def test_empty_account_has_no_drawdown_and_begins_with_its_first_deposit() -> None:
    rig = Rig(cash=d(0))
    assert rig.ledger.entries("main") == []
    assert seen(rig.account.value(), rig.account.peak, rig.account.drawdown()) == (0, 0, 0)
    rig.desk.deposit("main", 500)
    assert seen(rig.account.value(), rig.account.peak) == (500, 500)
