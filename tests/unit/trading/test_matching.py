"""What becomes of an order when it meets a price."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from closingbell.core.bar import Quote
from closingbell.core.order import Order, OrderState, OrderType, Side
from closingbell.trading.broker.fee import to_fee
from closingbell.trading.broker.matching import Rules, match_bar, match_open, match_quote
from closingbell.trading.broker.protocol import TRIGGERED, Match, Means
from closingbell.trading.broker.slippage import to_slippage
from tests.unit.trading.rig import bar, d, day, seen

PLAIN = Rules()
RICH = Means(d(1000), d(1_000_000))


def order(side: str = "buy", type: str = "limit", quantity: str | int = 10, **more: Any) -> Order:
    given: dict[str, Any] = {
        "id": "o1",
        "account": "main",
        "symbol": "AAPL",
        "side": Side(side),
        "type": OrderType(type),
        "quantity": d(quantity),
        "state": OrderState.OPEN,
        "created_at": day(0),
        "effective_at": day(0),
        "updated_at": day(0),
    }
    for name in ("limit_price", "stop_price", "filled"):
        if name in more:
            more[name] = d(more[name])
    return Order(**{**given, **more})


def price_of(match: Match) -> Decimal | None:
    return None if match.execution is None else match.execution.price


def open_print(price: str | int, number: int = 0) -> Quote:
    return Quote("AAPL", day(number), d(price))


# --- limits ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("side", "limit", "ohlc", "price"),
    [
        ("buy", 95, (100, 101, 96, 99), None),
        ("buy", 95, (100, 101, 95, 99), 95),
        ("buy", 95, (100, 101, 90, 99), 95),
        ("buy", 95, (93, 101, 90, 99), 93),
        ("sell", 105, (100, 104, 96, 99), None),
        ("sell", 105, (100, 105, 96, 99), 105),
        ("sell", 105, (100, 109, 96, 99), 105),
        ("sell", 105, (107, 109, 96, 99), 107),
    ],
)
def test_limit_order_fills_at_its_limit_or_at_a_better_open(
    side: str, limit: int, ohlc: tuple[int, int, int, int], price: int | None
) -> None:
    found = match_bar(PLAIN, bar(0, *ohlc), order(side, limit_price=limit), RICH)
    assert price_of(found) == price
    if price is not None:
        assert found.execution is not None
        assert found.execution.at == bar(0, 1).end


def test_limit_order_placed_within_a_bar_waits_for_the_next_one() -> None:
    late = order(limit_price=95, effective_at=day(0) + 1)
    assert match_bar(PLAIN, bar(0, 90), late, RICH).execution is None
    assert price_of(match_bar(PLAIN, bar(1, 90), late, RICH)) == 90


def test_limit_order_does_not_look_at_the_opening_print() -> None:
    assert match_open(PLAIN, open_print(90), order(limit_price=95), RICH).execution is None


# --- stops -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("side", "stop", "ohlc", "price"),
    [
        ("sell", 95, (100, 101, 96, 99), None),
        ("sell", 95, (100, 101, 95, 99), 95),
        ("sell", 95, (90, 101, 88, 99), 90),
        ("buy", 105, (100, 104, 96, 99), None),
        ("buy", 105, (100, 105, 96, 99), 105),
        ("buy", 105, (108, 110, 96, 99), 108),
    ],
)
def test_stop_order_fills_at_its_stop_or_at_a_worse_open(
    side: str, stop: int, ohlc: tuple[int, int, int, int], price: int | None
) -> None:
    found = match_bar(PLAIN, bar(0, *ohlc), order(side, "stop", stop_price=stop), RICH)
    assert price_of(found) == price
    assert found.triggered is (price is not None)


@pytest.mark.parametrize(
    ("side", "stop", "limit", "ohlc", "price", "triggered"),
    [
        # The close is within the limit: traded at the stop, or from the gap at the limit.
        ("buy", 105, 107, (100, 110, 99, 106), 105, True),
        ("buy", 105, 107, (109, 110, 99, 106), 107, True),
        ("buy", 105, 107, (106, 110, 99, 106), 106, True),
        # The close is beyond it: nobody knows whether the limit traded after the stop.
        ("buy", 105, 107, (100, 110, 99, 108), None, True),
        ("buy", 105, 107, (100, 104, 99, 101), None, False),
        ("sell", 95, 93, (100, 101, 90, 94), 95, True),
        ("sell", 95, 93, (91, 101, 90, 94), 93, True),
        ("sell", 95, 93, (100, 101, 90, 92), None, True),
    ],
)
def test_stop_limit_order_fills_in_the_bar_of_its_stop_only_if_the_close_confirms_it(
    side: str,
    stop: int,
    limit: int,
    ohlc: tuple[int, int, int, int],
    price: int | None,
    triggered: bool,
) -> None:
    given = order(side, "stop_limit", stop_price=stop, limit_price=limit)
    found = match_bar(PLAIN, bar(0, *ohlc), given, RICH)
    assert price_of(found) == price
    assert found.triggered is triggered


def test_stop_limit_order_that_was_triggered_is_a_limit_order() -> None:
    given = order("buy", "stop_limit", stop_price=105, limit_price=107, reason=TRIGGERED)
    assert price_of(match_bar(PLAIN, bar(1, 110, 111, 106, 110), given, RICH)) == 107
    assert match_bar(PLAIN, bar(1, 110, 111, 108, 110), given, RICH).execution is None


def test_stop_order_that_was_filled_in_part_goes_on_at_the_next_opening_print() -> None:
    given = order("sell", "stop", stop_price=95, filled=4, reason=TRIGGERED)
    assert match_bar(PLAIN, bar(1, 99), given, RICH).execution is None
    found = match_open(PLAIN, open_print(99, 1), given, RICH).execution
    assert found is not None
    assert seen(found.quantity, found.price) == (6, 99)


# --- market orders -----------------------------------------------------------------------


def test_market_order_fills_at_the_next_opening_print_and_not_before_it_is_effective() -> None:
    given = order(type="market", effective_at=day(1))
    assert match_bar(PLAIN, bar(0, 100), given, RICH).execution is None
    assert match_open(PLAIN, open_print(100, 0), given, RICH).execution is None
    found = match_open(PLAIN, open_print(101, 1), given, RICH).execution
    assert found is not None
    assert seen(found.price, found.at, found.external_id) == (101, day(1), f"o1@{day(1)}")


def test_market_order_at_the_close_fills_at_the_close_of_the_bar_it_was_placed_in() -> None:
    rules = Rules(fill="close")
    given = order(type="market", effective_at=day(0) + 5)
    assert match_open(rules, open_print(100, 1), given, RICH).execution is None
    assert price_of(match_bar(rules, bar(0, 100, 103, 99, 102), given, RICH)) == 102


def test_market_on_close_order_fills_at_the_first_close_not_before_it_is_effective() -> None:
    given = order(type="market_on_close", effective_at=bar(1, 1).end)
    assert match_open(PLAIN, open_print(100, 1), given, RICH).execution is None
    assert match_bar(PLAIN, bar(0, 100), given, RICH).execution is None
    assert price_of(match_bar(PLAIN, bar(1, 100, 104, 99, 103), given, RICH)) == 103


# --- live prices -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "price", "fills", "triggered"),
    [
        (order(type="market"), 100, True, False),
        (order(type="market", effective_at=day(1)), 100, False, False),
        (order(type="market_on_close"), 100, False, False),
        (order("buy", limit_price=95), 96, False, False),
        (order("buy", limit_price=95), 94, True, False),
        (order("sell", limit_price=105), 104, False, False),
        (order("sell", limit_price=105), 106, True, False),
        (order("sell", "stop", stop_price=95), 96, False, False),
        (order("sell", "stop", stop_price=95), 95, True, True),
        (order("buy", "stop", stop_price=105), 106, True, True),
        (order("buy", "stop_limit", stop_price=105, limit_price=107), 106, True, True),
        (order("buy", "stop_limit", stop_price=105, limit_price=107), 108, False, True),
        (order("buy", "stop_limit", stop_price=105, limit_price=107), 104, False, False),
    ],
)
def test_live_price_fills_an_order_that_accepts_it_at_that_price(
    given: Order, price: int, fills: bool, triggered: bool
) -> None:
    found = match_quote(PLAIN, open_print(price), given, RICH)
    assert price_of(found) == (price if fills else None)
    assert found.triggered is triggered


# --- how much ----------------------------------------------------------------------------


def test_purchase_beyond_the_cash_is_cut_and_its_rest_cancelled() -> None:
    found = match_open(PLAIN, open_print(3), order(type="market"), Means(d(0), d(10)))
    assert found.execution is not None
    assert found.execution.quantity == d("3.33333333")
    assert found.cancel == "cash"


def test_purchase_beyond_the_cash_is_cut_to_whole_lots() -> None:
    means = Means(d(0), d(10), lot=d(1))
    found = match_open(PLAIN, open_print(3), order(type="market"), means)
    assert found.execution is not None
    assert seen(found.execution.quantity, found.cancel) == (3, "cash")


def test_purchase_without_any_cash_is_cancelled_without_a_trade() -> None:
    found = match_open(PLAIN, open_print(3), order(type="market"), Means(d(0), d(0)))
    assert found == Match(None, "cash")


def test_purchase_with_a_fee_spends_all_there_is_and_not_more() -> None:
    rules = Rules(fees=to_fee("0.1% + 1 per order"))
    found = match_open(rules, open_print(7), order(type="market"), Means(d(0), d(50))).execution
    assert found is not None
    spent = found.quantity * found.price + found.fee
    assert d("49.9999") < spent <= d(50)


def test_sale_beyond_the_position_is_cut_unless_the_account_sells_short() -> None:
    given = order("sell", "market")
    cut = match_open(PLAIN, open_print(100), given, Means(d(4), d(0)))
    assert cut.execution is not None
    assert seen(cut.execution.quantity, cut.cancel) == (4, "position")
    short = match_open(PLAIN, open_print(100), given, Means(d(4), d(600), short=True))
    assert short.execution is not None
    assert seen(short.execution.quantity, short.cancel) == (10, None)


def test_short_sale_beyond_what_may_be_at_stake_is_cut() -> None:
    given = order("sell", "market")
    cut = match_open(PLAIN, open_print(100), given, Means(d(4), d(250), short=True, lot=d(1)))
    assert cut.execution is not None
    assert seen(cut.execution.quantity, cut.cancel) == (6, "cash")


def test_purchase_that_covers_a_short_position_needs_no_cash() -> None:
    found = match_open(PLAIN, open_print(100), order(type="market"), Means(d(-10), d(0)))
    assert found.execution is not None
    assert seen(found.execution.quantity, found.cancel) == (10, None)


def test_purchase_that_turns_a_short_position_round_needs_cash_for_the_rest_only() -> None:
    means = Means(d(-4), d(300), lot=d(1))
    found = match_open(PLAIN, open_print(100), order(type="market"), means)
    assert found.execution is not None
    assert seen(found.execution.quantity, found.cancel) == (7, "cash")


def test_share_of_the_volume_leaves_the_rest_working() -> None:
    rules = Rules(volume_share=d("0.1"))
    means = RICH._replace(volume=d(65), taken=d(2), lot=d(1))
    found = match_open(rules, open_print(100), order(type="market"), means)
    assert found.execution is not None
    assert seen(found.execution.quantity, found.cancel) == (4, None)


@pytest.mark.parametrize("volume", [None, d(0), d(20)])
def test_share_of_a_volume_that_is_taken_or_not_known_fills_nothing(volume: Decimal | None) -> None:
    rules = Rules(volume_share=d("0.1"))
    means = RICH._replace(volume=volume, taken=d(2))
    assert match_open(rules, open_print(100), order(type="market"), means) == Match()


# --- slippage ----------------------------------------------------------------------------


def test_slippage_makes_market_and_stop_orders_worse_and_leaves_limits_alone() -> None:
    rules = Rules(slippage=to_slippage("1%"))
    assert price_of(match_open(rules, open_print(100), order(type="market"), RICH)) == 101
    sale = order("sell", "stop", stop_price=95)
    assert price_of(match_bar(rules, bar(0, 100, 100, 90, 92), sale, RICH)) == d("94.05")
    assert price_of(match_bar(rules, bar(0, 94), order(limit_price=95), RICH)) == 94


def test_random_slippage_is_that_of_the_order_whatever_run_made_it() -> None:
    rules = Rules(slippage=to_slippage("random 1%"), seed=7)
    one = order(type="market", id="a", run_id="r1", task="t", ordinal=1)
    same = order(type="market", id="b", run_id="r2", task="t", ordinal=1)
    other = order(type="market", id="a", run_id="r1", task="t", ordinal=2)
    prices = [
        price_of(match_open(rules, open_print(100), given, RICH)) for given in (one, same, other)
    ]
    assert prices[0] == prices[1] != prices[2]
    reseeded = Rules(slippage=rules.slippage, seed=8)
    assert price_of(match_open(reseeded, open_print(100), one, RICH)) != prices[0]
    assert all(price is not None and 100 <= price <= 101 for price in prices)
