"""Market data that passes a desk: fills, marks, facts, corporate actions, and what is written."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from closingbell.core.bar import Dividend, Quote, Split
from closingbell.core.clock import from_micros
from closingbell.core.error import (
    AccountMismatch,
    BrokerNonsense,
    OrderRefused,
    SettingError,
    StoreUnavailable,
    UnknownAccount,
)
from closingbell.core.ledger import Change
from closingbell.core.order import Order, OrderState
from closingbell.trading.broker.paper import ENDED, PaperBroker
from closingbell.trading.broker.protocol import Execution, Match, Means
from closingbell.trading.broker.simulated import SimulatedBroker
from closingbell.trading.memory_ledger import MemoryLedger
from closingbell.trading.terms import AccountTerms
from tests.unit.trading.rig import START, Rig, bar, d, day, seen

# --- the closed form -----------------------------------------------------------------------


def test_three_purchases_of_200_make_100_lose_50_and_20_and_leave_1030() -> None:
    rig = Rig()
    for number, (exit_price, gain) in enumerate([(150, 100), (75, -50), (90, -20)]):
        first = number * 3
        rig.close(bar(first, 100))
        rig.place("buy", 2)
        rig.walk(bar(first + 1, 100))
        rig.place("sell", 2)
        rig.walk(bar(first + 2, exit_price))
        assert rig.account.round_trips is not None
        assert rig.account.round_trips[-1].pnl == gain
    assert rig.cash == d("1030.00")
    assert rig.account.value() == d("1030.00")
    assert rig.account.realized() == 30


def test_three_short_sales_of_200_are_its_mirror() -> None:
    rig = Rig(short=True)
    for number, (exit_price, gain) in enumerate([(50, 100), (125, -50), (110, -20)]):
        first = number * 3
        rig.close(bar(first, 100))
        rig.place("sell", 2)
        rig.walk(bar(first + 1, 100))
        assert rig.account.value() == rig.cash - 200
        rig.place("buy", 2)
        rig.walk(bar(first + 2, exit_price))
        assert rig.account.round_trips is not None
        assert rig.account.round_trips[-1].pnl == gain
    assert rig.cash == d("1030.00")


# --- one instant ---------------------------------------------------------------------------


def test_order_placed_on_a_close_fills_at_the_next_opening_print() -> None:
    rig = Rig()
    rig.walk(bar(0, 100, close=104))
    order = rig.place("buy", 2)
    assert order.state is OrderState.OPEN
    rig.open(bar(1, 107))
    filled = rig.order(order)
    assert seen(filled.state, filled.filled) == (OrderState.FILLED, 2)
    assert rig.fills() == [(2, 107)]
    assert rig.ledger.entries("main", kind="fill")[0].at == day(1)
    assert rig.account.orders == {}


def test_order_placed_at_an_opening_instant_after_its_print_waits_for_the_next_one() -> None:
    rig = Rig()
    rig.walk(bar(0, 100))
    rig.open(bar(1, 101))
    rig.place("buy", 2)
    rig.close(bar(1, 101))
    assert rig.fills() == []
    rig.open(bar(2, 103))
    assert rig.fills() == [(2, 103)]


def test_order_that_is_not_effective_yet_leaves_a_print_out() -> None:
    rig = Rig()
    rig.walk(bar(0, 100))
    rig.place("buy", 2, at=day(2))
    rig.walk(bar(1, 101), bar(2, 102))
    assert rig.fills() == [(2, 102)]


def test_broker_that_fills_at_the_close_fills_an_order_of_that_very_close_at_once() -> None:
    rig = Rig(SimulatedBroker(fill="close"))
    rig.walk(bar(0, 100, close=104))
    order = rig.place("buy", 2)
    assert order.state is OrderState.FILLED
    assert rig.fills() == [(2, 104)]
    rig.open(bar(1, 110))
    rig.place("buy", 1)
    rig.close(bar(1, 110, close=105))
    assert rig.fills() == [(2, 104), (1, 105)]


def test_orders_of_one_print_fill_by_priority_then_task_across_symbols() -> None:
    rig = Rig()
    rig.walk(bar(0, 100))
    rig.place("buy", 10)
    rig.walk(bar(1, 100))
    assert rig.cash == 0
    rig.close(bar(2, 50, symbol="IBM"))
    sold = rig.place("sell", 10, priority=1, task="z")
    bought = rig.place("buy", 15, symbol="IBM", priority=5, task="a")
    rig.open(bar(3, 100), bar(3, 50, symbol="IBM"))
    assert [entry.order_id for entry in rig.ledger.entries("main", kind="fill")[1:]] == [
        sold.id,
        bought.id,
    ]
    assert rig.cash == 250


def test_order_that_needs_the_cash_of_a_later_one_is_cut() -> None:
    rig = Rig()
    rig.walk(bar(0, 100))
    first = rig.place("buy", 8, priority=9)
    rig.desk.cancel("main", first.id, None)
    one = rig.place("buy", 5, priority=5)
    rig.walk(bar(1, 400))
    assert rig.order(one).reason == "cash"
    assert rig.fills() == [(d("2.5"), 400)]
    assert rig.cash == 0


def test_limit_and_stop_orders_fill_when_their_bar_is_over() -> None:
    rig = Rig()
    rig.walk(bar(0, 100))
    rig.place("buy", 2, type="limit", limit=95)
    rig.open(bar(1, 100))
    assert rig.fills() == []
    rig.close(bar(1, 100, low=94, close=99))
    assert rig.fills() == [(2, 95)]
    rig.place("sell", 2, type="stop", stop=90)
    rig.walk(bar(2, 98, low=89, close=97))
    assert rig.fills() == [(2, 95), (-2, 90)]


def test_limit_sale_ahead_of_a_rise_does_not_raise_the_peak_beyond_what_was_owned() -> None:
    rig = Rig()
    rig.walk(bar(0, 100))
    rig.place("buy", 10)
    rig.walk(bar(1, 100))
    rig.place("sell", 10, type="limit", limit=110)
    rig.walk(bar(2, 100, high=150, close=150))
    assert rig.account.value() == rig.account.peak == 1100


def test_stop_that_was_reached_is_told_so_and_trades_on_at_the_open() -> None:
    rig = Rig(SimulatedBroker(volume_share="0.01"), cash=d(10_000))
    rig.walk(bar(0, 100, volume=2000))
    rig.place("buy", 20)
    rig.walk(bar(1, 100, volume=1000))
    assert rig.held() == 20
    order = rig.place("sell", 20, type="stop", stop=90)
    rig.walk(bar(2, 95, low=88, close=89, volume=500))
    assert seen(rig.order(order).reason, rig.order(order).filled) == ("triggered", 5)
    rig.walk(bar(3, 99, volume=500))
    assert rig.fills()[1:] == [(-5, 90), (-5, 99)]


def test_share_of_the_volume_counts_what_the_opening_took() -> None:
    rig = Rig(SimulatedBroker(volume_share="0.1"), cash=d(10_000))
    rig.walk(bar(0, 100, volume=50))
    rig.place("buy", 20)
    rig.place("buy", 20, type="limit", limit=100)
    rig.open(bar(1, 100))
    assert rig.fills() == [(5, 100)]
    rig.close(bar(1, 100, volume=80))
    assert rig.fills() == [(5, 100), (3, 100)]


# --- what is written -----------------------------------------------------------------------


def test_moments_that_change_nothing_but_prices_write_nothing() -> None:
    rig = Rig()
    rig.walk(bar(0, 100))
    rig.place("buy", 2)
    rig.walk(bar(1, 100))
    version = rig.ledger.account("main").version
    rig.walk(*(bar(number, 100 + number) for number in range(2, 30)))
    assert rig.ledger.account("main").version == version
    assert rig.account.peak == rig.account.value() > 1000


def test_prices_peak_and_cursor_travel_with_the_next_change() -> None:
    rig = Rig()
    rig.walk(bar(0, 100))
    rig.place("buy", 2)
    rig.walk(bar(1, 100), bar(2, 150), bar(3, 120))
    rig.desk.snapshot(rig.clock.micros())
    record = rig.ledger.account("main")
    assert seen(record.peak, record.cursor, record.cursor_opened) == (1100, bar(3, 1).end, False)
    assert record.prices == {"AAPL": (bar(3, 1).end, d(120))}


def test_moment_that_was_seen_already_changes_nothing() -> None:
    rig = Rig()
    rig.walk(bar(0, 100))
    rig.place("buy", 2)
    for _ in range(3):
        rig.open(bar(1, 101))
    rig.close(bar(1, 101, close=105))
    rig.open(bar(1, 50))
    rig.close(bar(1, 50))
    assert rig.fills() == [(2, 101)]
    assert rig.account.price("AAPL") == 105


def test_desk_that_starts_again_walks_to_the_same_ledger() -> None:
    bars = [bar(n, 100 + n % 7, high=112, low=92, close=99 + n % 5) for n in range(12)]

    def trade(rig: Rig, number: int) -> None:
        if number % 3 == 0:
            rig.place("buy", 1, run=f"buy-{number}", key="k")
        if number % 4 == 1:
            rig.place("sell", 1, type="limit", limit=104, run=f"sell-{number}", key="k")

    whole = Rig(max_drawdown=d("0.01"))
    for number, one in enumerate(bars):
        whole.walk(one)
        trade(whole, number)
    for crash in range(1, 24):
        ledger = MemoryLedger()
        rig = Rig(ledger=ledger, max_drawdown=d("0.01"))
        steps = 0
        for again in (False, True):
            if again:
                rig = Rig(ledger=ledger, clock=rig.clock, max_drawdown=d("0.01"))
            for number, one in enumerate(bars):
                for step in (rig.open, rig.close):
                    step(one)
                    steps += 1
                    if steps == crash:
                        break
                if steps == crash:
                    steps += 1
                    break
                # The runs of the instants that were not reached are placed by the second walk.
                if rig.clock.micros() == one.end:
                    trade(rig, number)
        assert rig.account.peak == whole.account.peak
        assert rig.account.book.cash == whole.account.book.cash
        assert [entry[:13] for entry in ledger.entries("main")] == [
            entry[:13] for entry in whole.ledger.entries("main")
        ]


class FailingLedger(MemoryLedger):
    """Takes nothing while it fails."""

    failing = False

    def record(self, change: Change) -> int:
        if self.failing:
            raise StoreUnavailable("the store is away")
        return super().record(change)


def test_moment_that_the_store_did_not_take_is_taken_whole_by_the_next_try() -> None:
    ledger = FailingLedger()
    rig = Rig(ledger=ledger)
    rig.walk(bar(0, 100))
    rig.place("buy", 2)
    rig.walk(bar(1, 100))
    order = rig.place("sell", 1)
    ledger.failing = True
    split = Split("AAPL", day(2), d(2))
    with pytest.raises(StoreUnavailable):
        rig.open(bar(2, 50), actions=[split])
    assert rig.held() == 2
    assert rig.account.orders[order.id].quantity == 1
    ledger.failing = False
    rig.open(bar(2, 50), actions=[split])
    assert rig.held() == 2
    assert rig.fills()[-1] == (-2, 50)
    assert rig.account.value() == 1000


# --- another process -------------------------------------------------------------------------


def test_decision_is_taken_again_when_another_process_changed_the_account() -> None:
    rig = Rig()
    rig.walk(bar(0, 100))
    rig.place("buy", 2)
    other = Rig(ledger=rig.ledger, clock=rig.clock)
    other.place("buy", 3, run="elsewhere")
    rig.open(bar(1, 100))
    assert sorted(rig.fills()) == [(2, 100), (3, 100)]
    assert rig.held() == 5
    assert other.held() == 0
    assert other.desk.refresh("main") is True
    assert other.desk.refresh("main") is False
    assert other.held() == 5
    assert other.account.price("AAPL") == 100


def test_moment_that_another_process_was_first_to_apply_is_not_applied_again() -> None:
    rig = Rig(SimulatedBroker(volume_share="0.01"), cash=d(5000))
    rig.walk(bar(0, 100, volume=500))
    rig.place("buy", 20)
    other = Rig(SimulatedBroker(volume_share="0.01"), ledger=rig.ledger, clock=rig.clock)
    for number, (first, second) in enumerate([(rig, other), (other, rig), (rig, other)], 1):
        first.walk(bar(number, 100, volume=500))
        second.walk(bar(number, 100, volume=500))
        assert rig.fills() == [(5, 100)] * number
        assert rig.ledger.account("main").cursor >= day(number)


def test_order_of_another_process_is_seen_by_a_desk_that_shares_its_accounts() -> None:
    rig = Rig(shared=True)
    rig.walk(bar(0, 100))
    rig.desk.snapshot(bar(0, 1).end)
    other = Rig(ledger=rig.ledger, clock=rig.clock, shared=True)
    other.place("buy", 3, run="elsewhere")
    rig.open(bar(1, 100))
    assert rig.fills() == [(3, 100)]


def test_marks_that_are_newer_here_stay_when_another_process_wrote() -> None:
    rig = Rig(shared=True)
    rig.walk(bar(0, 100))
    rig.place("buy", 5)
    rig.walk(bar(1, 100))
    other = Rig(ledger=rig.ledger, clock=rig.clock)
    rig.walk(bar(2, 200))
    other.desk.deposit("main", 750)
    rig.walk(bar(3, 100))
    rig.desk.snapshot(rig.clock.micros())
    account = rig.account
    assert account.price("AAPL") == 100
    assert account.value() == 1750
    # 1500 at the peak; the deposit of 750 moved it in proportion.
    assert account.peak == 2250
    assert rig.ledger.account("main").cursor == bar(3, 1).end


# --- corporate actions -----------------------------------------------------------------------


def test_split_multiplies_position_and_orders_before_the_first_print() -> None:
    rig = Rig()
    rig.walk(bar(0, 100))
    rig.place("buy", 3)
    rig.walk(bar(1, 100))
    sale = rig.place("sell", 2, type="limit", limit=120)
    stop = rig.place("sell", 1, type="stop", stop=70)
    rig.open(bar(2, 50), actions=[Split("AAPL", day(2), d(2))])
    assert rig.held() == 6
    moved = rig.order(sale)
    assert seen(moved.quantity, moved.limit_price) == (4, 60)
    assert rig.order(stop).stop_price == 35
    assert rig.account.value() == 1000
    rig.close(bar(2, 50, high=61, close=60))
    assert rig.fills()[-1] == (-4, 60)


def test_split_is_no_drawdown_and_no_gain_also_without_a_print_of_its_symbol() -> None:
    rig = Rig(max_drawdown=d("0.2"))
    rig.walk(bar(0, 100))
    rig.place("buy", 10)
    rig.walk(bar(1, 100))
    other = bar(2, 7, symbol="IBM")
    rig.open(other, actions=[Split("AAPL", day(2), d(2))])
    assert rig.account.price("AAPL") == 50
    assert rig.account.value() == rig.account.peak == 1000
    assert rig.told("drawdown_breach") == []


def test_partly_filled_order_keeps_its_proportions_through_a_split() -> None:
    rig = Rig(SimulatedBroker(volume_share="0.1"))
    rig.walk(bar(0, 100, volume=40))
    order = rig.place("buy", 6)
    rig.walk(bar(1, 100, volume=0))
    rig.open(bar(2, 50, volume=0), actions=[Split("AAPL", day(2), d(2))])
    assert seen(rig.order(order).quantity, rig.order(order).filled) == (12, 8)


def test_order_of_which_a_reverse_split_leaves_less_than_a_lot_is_cancelled() -> None:
    rig = Rig(lot=d(1))
    rig.walk(bar(0, 100))
    order = rig.place("buy", 2, type="limit", limit=90)
    rig.open(bar(1, 500), actions=[Split("AAPL", day(1), d("0.2"))])
    assert rig.order(order).state is OrderState.CANCELLED


def test_dividend_is_cash_for_who_holds_and_a_charge_for_who_is_short() -> None:
    rig = Rig(short=True)
    rig.walk(bar(0, 100))
    rig.place("buy", 4)
    rig.walk(bar(1, 100))
    rig.open(bar(2, 99), actions=[Dividend("AAPL", day(2), d("0.5"))])
    assert rig.cash == 602
    rig.place("sell", 8)
    rig.walk(bar(3, 100))
    rig.open(bar(4, 100), actions=[Dividend("AAPL", day(4), d("0.25"))])
    assert rig.cash == 602 + 800 - 1
    assert rig.account.realized() == 1


def test_dividend_of_what_is_not_held_writes_nothing() -> None:
    rig = Rig()
    rig.open(bar(0, 99), actions=[Dividend("AAPL", day(0), d("0.5"))])
    assert len(rig.ledger.entries("main")) == 1


# --- facts -----------------------------------------------------------------------------------


def test_fill_tells_the_order_and_the_position() -> None:
    rig = Rig(SimulatedBroker(fees="1 per order"))
    rig.walk(bar(0, 100))
    order = rig.place("buy", 2, run="r1", task="strategy")
    rig.open(bar(1, "101.50"))
    assert rig.told("order_filled") == [
        {
            "account": "main",
            "order_id": order.id,
            "run_id": "r1",
            "task": "strategy",
            "symbol": "AAPL",
            "side": "buy",
            "quantity": "2",
            "price": "101.50",
            "fee": "1",
            "filled": "2",
            "state": "filled",
            "at": from_micros(day(1)).isoformat(),
        }
    ]
    assert rig.told("position_change") == [
        {
            "account": "main",
            "symbol": "AAPL",
            "currency": "USD",
            "quantity": "2",
            "previous_quantity": "0",
            "change": "2",
            "average_price": "101.50",
            "price": "101.50",
            "value": "203.00",
            "exposure": "203.00",
            "at": from_micros(day(1)).isoformat(),
        }
    ]


def test_facts_that_nobody_waits_for_are_not_made() -> None:
    rig = Rig(wanted=lambda fact_type: False, max_drawdown=d("0.01"))
    rig.walk(bar(0, 100))
    rig.place("buy", 2)
    rig.walk(bar(1, 100, close=50))
    rig.desk.daily_close(bar(1, 1).end, "XNYS", "2012-11-20")
    assert rig.facts == []


def test_market_data_is_told_once_by_the_first_account_of_its_timeframe() -> None:
    rig = Rig(wanted=lambda fact_type: fact_type == "market_data_update")
    rig.desk.add(AccountTerms(name="other"), SimulatedBroker())
    rig.close(bar(0, 100), bar(0, 50, symbol="IBM"))
    assert rig.told("market_data_update") == [
        {
            "timeframe": "1d",
            "symbols": ["AAPL", "IBM"],
            "at": from_micros(bar(0, 1).end).isoformat(),
        }
    ]


def test_drawdown_limit_is_breached_once_and_armed_again_when_half_is_made_good() -> None:
    rig = Rig(max_drawdown=d("0.2"))
    rig.walk(bar(0, 100))
    rig.place("buy", 10)
    rig.walk(bar(1, 100))
    rig.walk(bar(2, 80))
    assert rig.told("drawdown_breach") == []
    rig.walk(bar(3, 79), bar(4, 70), bar(5, 89), bar(6, 79))
    assert rig.told("drawdown_breach") == [
        {
            "account": "main",
            "value": "790",
            "peak": "1000",
            "drawdown": 0.21,
            "limit": 0.2,
            "at": from_micros(day(3)).isoformat(),
        }
    ]
    rig.walk(bar(7, 90), bar(8, 79))
    assert len(rig.told("drawdown_breach")) == 2
    assert rig.ledger.account("main").breached is True


def test_withdrawal_is_no_drawdown() -> None:
    rig = Rig(max_drawdown=d("0.2"))
    rig.walk(bar(0, 100))
    rig.desk.deposit("main", -500)
    assert seen(rig.account.value(), rig.account.peak, rig.account.drawdown()) == (500, 500, 0)
    assert rig.told("drawdown_breach") == []


def test_daily_close_tells_the_day_and_expires_its_orders() -> None:
    rig = Rig()
    rig.walk(bar(0, 100))
    rig.desk.daily_close(bar(0, 1).end, "XNYS", "2012-11-19")
    rig.place("buy", 2)
    day_order = rig.place("buy", 1, type="limit", limit=10, tif="day")
    kept = rig.place("buy", 1, type="limit", limit=10)
    rig.walk(bar(1, 100, close=110))
    for _ in range(2):
        rig.desk.daily_close(bar(1, 1).end, "XNYS", "2012-11-20")
    assert rig.order(day_order).state is OrderState.EXPIRED
    assert rig.order(kept).state is OrderState.OPEN
    first, second = rig.told("daily_close")
    assert first["value"] == "1000"
    assert second == {
        "account": "main",
        "session_date": "2012-11-20",
        "value": "1020",
        "cash": "800",
        "peak": "1020",
        "drawdown": 0.0,
        "realized": "0",
        "unrealized": "20",
        "day_change": "20",
        "at": from_micros(bar(1, 1).end).isoformat(),
    }


def test_day_order_placed_at_the_close_is_of_the_next_session() -> None:
    rig = Rig()
    rig.walk(bar(0, 100))
    rig.desk.daily_close(bar(0, 1).end, "XNYS", "2012-11-19")
    order = rig.place("buy", 1, type="limit", limit=99, tif="day")
    rig.walk(bar(1, 98))
    assert rig.order(order).state is OrderState.FILLED


def test_close_of_another_venue_is_not_the_accounts() -> None:
    rig = Rig()
    rig.desk.daily_close(day(0), "XLON", "2012-11-19")
    assert rig.told("daily_close") == []


def test_daily_close_is_not_told_again_after_a_restart() -> None:
    rig = Rig()
    rig.walk(bar(0, 100))
    rig.desk.daily_close(bar(0, 1).end, "XNYS", "2012-11-19")
    again = Rig(ledger=rig.ledger, clock=rig.clock)
    again.desk.daily_close(bar(0, 1).end, "XNYS", "2012-11-19")
    assert again.facts == []
    assert len(rig.told("daily_close")) == 1


def test_snapshot_is_a_point_of_the_equity_curve_and_replaces_the_one_of_its_instant() -> None:
    rig = Rig()
    rig.walk(bar(0, 100))
    rig.place("buy", 2)
    rig.open(bar(1, 100))
    rig.desk.snapshot(day(1))
    rig.desk.deposit("main", 10)
    rig.desk.snapshot(day(1), ["main"])
    (point,) = rig.ledger.snapshots("main")
    assert seen(*point) == ("main", day(1), 1010, 810, 1010, 1010, 0, 0, 200)


# --- live prices and the end of data -----------------------------------------------------------


def test_live_prices_mark_and_fill_and_older_ones_are_left_out() -> None:
    rig = Rig(PaperBroker())
    rig.desk.quotes("main", [Quote("AAPL", 10, d(100))])
    rig.place("buy", 2, at=20)
    rig.desk.quotes("main", [Quote("AAPL", 15, d(99))])
    assert rig.fills() == []
    rig.desk.quotes("main", [Quote("AAPL", 20, d(101))])
    assert rig.fills() == [(2, 101)]
    rig.desk.quotes("main", [Quote("AAPL", 12, d(1)), Quote("AAPL", 30, d(111))])
    assert rig.account.value() == 1020


def test_paper_market_order_fills_at_the_last_price_when_the_data_have_ended() -> None:
    rig = Rig(PaperBroker())
    rig.walk(bar(0, 100, close=104))
    working = rig.place("buy", 1)
    limited = rig.place("buy", 1, type="limit", limit=50)
    rig.desk.end_of_data()
    assert rig.order(working).state is OrderState.FILLED
    assert rig.order(limited).state is OrderState.OPEN
    later = rig.place("buy", 2)
    assert later.state is OrderState.FILLED
    assert rig.fills() == [(1, 104), (2, 104)]
    assert {entry.note for entry in rig.ledger.entries("main", kind="fill")} == {ENDED}
    rig.open(bar(1, 105))
    assert rig.place("buy", 1).state is OrderState.OPEN


def test_simulated_market_order_stays_open_when_the_data_have_ended() -> None:
    rig = Rig()
    rig.walk(bar(0, 100))
    order = rig.place("buy", 1)
    rig.desk.end_of_data(["main"])
    assert rig.order(order).state is OrderState.OPEN


class Careless(SimulatedBroker):
    """Trades whatever it likes."""

    quantity = Decimal(1)

    def on_open(self, quote: Quote, order: Order, means: Means) -> Match:
        return Match(Execution(order.id, quote.at, self.quantity, quote.price))


@pytest.mark.parametrize("quantity", ["3", "0", "-1", "NaN"])
def test_matching_broker_of_ones_own_that_trades_what_cannot_be_is_refused(quantity: str) -> None:
    broker = Careless()
    rig = Rig(broker)
    rig.walk(bar(0, 100))
    rig.place("buy", 2)
    broker.quantity = d(quantity)
    with pytest.raises(BrokerNonsense):
        rig.open(bar(1, 100))
    assert seen(rig.cash, rig.held()) == (1000, 0)
    broker.quantity = d(2)
    rig.open(bar(1, 100))
    assert seen(rig.cash, rig.held()) == (800, 2)


# --- cash --------------------------------------------------------------------------------------


def test_deposit_and_charge_are_entries_and_booked_once_by_their_name() -> None:
    rig = Rig()
    entry = rig.desk.deposit("main", "250.50", note="wire", external_id="w1")
    assert entry is not None
    assert (entry.amount, entry.note) == (d("250.50"), "wire")
    assert rig.desk.deposit("main", "250.50", external_id="w1") is None
    rig.desk.charge("main", "1.25", external_id="c1")
    rig.desk.charge("main", "-0.25")
    assert rig.desk.charge("main", "1.25", external_id="c1") is None
    assert rig.cash == d("1249.50")
    assert seen(rig.account.flows(), rig.account.realized()) == (d("1250.50"), -1)
    again = Rig(ledger=rig.ledger)
    assert again.desk.charge("main", "1.25", external_id="c1") is None


@pytest.mark.parametrize("amount", [0, "none", float("nan"), -2000, True])
def test_deposit_that_cannot_be_is_refused_and_nothing_is_booked(amount: object) -> None:
    rig = Rig()
    with pytest.raises(OrderRefused, match="amount is"):
        rig.desk.deposit("main", amount)
    assert len(rig.ledger.entries("main")) == 1


# --- accounts ----------------------------------------------------------------------------------


def test_account_is_opened_once_and_keeps_what_it_began_with() -> None:
    rig = Rig()
    again = Rig(ledger=rig.ledger, cash=d(5))
    assert again.cash == 1000
    assert len(rig.ledger.entries("main")) == 1
    assert again.account.record.initial == 1000


def test_account_that_is_stored_with_another_currency_or_broker_is_refused() -> None:
    rig = Rig()
    with pytest.raises(AccountMismatch, match="currency USD, and the app says EUR"):
        Rig(ledger=rig.ledger, currency="EUR")
    with pytest.raises(AccountMismatch, match="broker simulated, and the app says paper"):
        Rig(PaperBroker(), ledger=rig.ledger)


def test_unknown_account_is_said_with_the_name_that_was_meant() -> None:
    with pytest.raises(UnknownAccount, match="did you mean 'main'"):
        Rig().desk.account("mian")


@pytest.mark.parametrize(
    ("term", "given"),
    [
        ("cash", d(-1)),
        ("cash", d("NaN")),
        ("leverage", d("0.5")),
        ("lot", d(0)),
        ("max_drawdown", d(0)),
        ("max_drawdown", d("1.5")),
        ("currency", " "),
        ("timeframe", "daily"),
    ],
)
def test_terms_that_cannot_be_meant_are_refused(term: str, given: Any) -> None:
    with pytest.raises((SettingError, ValueError), match="expected"):
        Rig(**{term: given})


def test_nothing_is_valued_at_a_price_of_the_future() -> None:
    rig = Rig()
    rig.open(bar(0, 100, close=500))
    assert rig.account.price("AAPL") == 100
    assert rig.account.prices["AAPL"][0] == START.timestamp() * 1_000_000


def test_position_of_a_thousandth_is_worth_what_it_is() -> None:
    rig = Rig()
    rig.walk(bar(0, "0.00012345"))
    rig.place("buy", "0.00100000")
    rig.walk(bar(1, "0.00012345"))
    assert rig.account.value() == Decimal(1000)
