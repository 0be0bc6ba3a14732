"""Orders by the algorithm's calls: how much is meant, and what an attempt that comes again finds."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from closingbell.core.error import (
    AmbiguousSymbol,
    InsufficientFunds,
    InsufficientPosition,
    OrderRefused,
    UnknownSymbol,
)
from closingbell.core.order import OrderType, Side
from closingbell.trading.algorithm import Algorithm
from tests.unit.trading.algorithm_rig import AlgorithmRig, history, seat_of
from tests.unit.trading.rig import d


@pytest.fixture
def rig() -> AlgorithmRig:
    """1,000 USD after the first close; AAPL at 100, 100, 50, 50, IBM always at 10."""
    rig = AlgorithmRig([*history(100, 100, 50, 50, 50), *history(10, 10, 10, 10, 10, symbol="IBM")])
    rig.pass_days(0)
    return rig


def working(rig: AlgorithmRig) -> list[Any]:
    return [(o.symbol, o.side.value, o.quantity) for o in rig.account.ranked()]


# --- how much -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "quantity"),
    [
        ({"percentage": 0.5}, 5),
        ({"percentage": 1}, 10),
        ({"percentage": Decimal("0.25")}, "2.5"),
        ({"quantity": 3}, 3),
        ({"amount": "1.5"}, "1.5"),
        ({"value": 250}, "2.5"),
        ({"value": 250.0, "price": 50}, 5),
        ({"percentage": 0.5, "order_type": "LIMIT", "limit_price": 80}, "6.25"),
    ],
)
def test_purchase_is_a_fraction_of_free_cash_units_or_a_value(
    rig: AlgorithmRig, words: dict[str, Any], quantity: Any
) -> None:
    order = rig.algorithm().create_buy_order(target_symbol="AAPL", **words)

    assert (order.quantity, order.side, order.state) == (d(quantity), "buy", "open")
    assert (order.run_id, order.task) == ("run-1", "strategy")


def test_sale_is_a_fraction_of_the_position(rig: AlgorithmRig) -> None:
    rig.algorithm().create_buy_order("AAPL", quantity=8)
    rig.pass_days(1)
    order = rig.algorithm(run="run-2").create_sell_order(
        target_symbol="AAPL", percentage=0.25, order_type="MARKET"
    )
    rest = rig.algorithm(run="run-3").create_sell_order("AAPL", quantity=6)

    assert (order.quantity, rest.quantity) == (2, 6)
    with pytest.raises(InsufficientPosition):
        rig.algorithm(run="run-4").create_sell_order("AAPL", percentage=0.5)


@pytest.mark.parametrize("given", [0, 1.5, 50, -1, float("nan"), float("inf"), "half", True])
@pytest.mark.parametrize("call", ["create_buy_order", "create_sell_order"])
def test_percentage_that_is_no_fraction_is_refused(
    rig: AlgorithmRig, call: str, given: Any
) -> None:
    with pytest.raises(OrderRefused, match="percentage"):
        getattr(rig.algorithm(), call)("AAPL", percentage=given)
    assert rig.ledger.orders("main") == []


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ({}, "size"),
        ({"quantity": 1, "percentage": 0.5}, "size"),
        ({"quantity": 1, "amount": 1}, "size"),
        ({"quantity": -1}, "quantity"),
        ({"amount": 0}, "amount"),
        ({"value": "nan"}, "value"),
        ({"quantity": 1, "order_type": "ICEBERG"}, "order_type"),
        ({"quantity": 1, "order_type": "MARKET", "price": 5}, "limit_price"),
        ({"quantity": 1, "order_type": "LIMIT"}, "limit_price"),
        ({"quantity": 1, "order_type": "LIMIT", "price": 0}, "limit_price"),
        ({"quantity": 1, "order_type": "STOP", "price": 5}, "limit_price"),
        ({"quantity": 1, "order_type": "LIMIT", "price": 5, "stop_price": 5}, "stop_price"),
        ({"quantity": 1, "price": 5, "limit_price": 5}, "price"),
        ({"quantity": 1, "time_in_force": "ioc"}, "time_in_force"),
    ],
)
def test_words_that_contradict_each_other_are_refused(
    rig: AlgorithmRig, words: dict[str, Any], named: str
) -> None:
    with pytest.raises(OrderRefused) as refused:
        rig.algorithm().create_buy_order("AAPL", **words)
    assert refused.value.argument == named
    assert rig.ledger.orders("main") == []


def test_order_type_is_named_in_any_form_or_told_by_the_prices(rig: AlgorithmRig) -> None:
    algorithm = rig.algorithm()

    def kind(**words: Any) -> Any:
        return algorithm.create_buy_order("IBM", quantity=1, **words).type

    assert [kind(order_type=word) for word in ("MARKET", "market", OrderType.MARKET, None)] == [
        OrderType.MARKET
    ] * 4
    assert kind(order_type="market-on-close") is OrderType.MARKET_ON_CLOSE
    assert kind(price=9) is kind(order_type="Limit", limit_price=9) is OrderType.LIMIT
    assert kind(stop_price=12) is OrderType.STOP
    assert kind(stop_price=12, limit_price=13) is OrderType.STOP_LIMIT
    assert kind(order_type="STOP LIMIT", stop_price=12, limit_price=13) is OrderType.STOP_LIMIT


def test_calls_of_their_own_name_make_the_same_orders(rig: AlgorithmRig) -> None:
    algorithm = rig.algorithm()
    made = [
        algorithm.create_market_order("IBM", "BUY", 1),
        algorithm.create_limit_order("IBM", 9, Side.BUY, 2, time_in_force="day"),
        algorithm.create_limit_buy_order("IBM", 8, percentage=0.1),
        algorithm.create_stop_order("IBM", 12, "buy", 3),
        algorithm.create_stop_order("IBM", 12, "buy", 3, limit_price=13),
        algorithm.order_value("IBM", 100),
        algorithm.order_percent("IBM", 0.2),
    ]

    assert [(o.type.value, o.quantity, o.limit_price, o.stop_price) for o in made] == [
        ("market", 1, None, None),
        ("limit", 2, 9, None),
        # A tenth of what the orders before have left free: 1,000 - 10 - 18, at 8 each.
        ("limit", Decimal("12.15"), 8, None),
        ("stop", 3, None, 12),
        ("stop_limit", 3, 13, 12),
        ("market", 10, None, None),
        ("market", 20, None, None),
    ]
    assert [o.time_in_force for o in made[:3]] == ["gtc", "day", "gtc"]


def test_sales_by_calls_of_their_own_name(rig: AlgorithmRig) -> None:
    rig.algorithm().create_buy_order("IBM", quantity=50)
    rig.pass_days(1)
    algorithm = rig.algorithm(run="run-2")
    made = [
        algorithm.create_limit_sell_order("IBM", 11, 1),
        algorithm.create_stop_order("IBM", 9, quantity=2),
        algorithm.order_value("IBM", -30),
        algorithm.order_percent("IBM", -0.04),
    ]

    assert [(o.side.value, o.type.value, o.quantity) for o in made] == [
        ("sell", "limit", 1),
        ("sell", "stop", 2),
        ("sell", "market", 3),
        ("sell", "market", 4),
    ]
    with pytest.raises(OrderRefused, match="other than 0"):
        algorithm.order_percent("IBM", 0)


def test_order_larger_than_cash_or_position_is_refused_and_nothing_is_stored(
    rig: AlgorithmRig,
) -> None:
    algorithm = rig.algorithm()

    with pytest.raises(InsufficientFunds, match=r"1100 USD.*1000 USD is free"):
        algorithm.create_buy_order("AAPL", quantity=11)
    with pytest.raises(InsufficientPosition):
        algorithm.create_sell_order("AAPL", quantity=1)
    with pytest.raises(InsufficientPosition, match="50% of the position"):
        algorithm.create_sell_order("AAPL", percentage=0.5)
    assert rig.ledger.orders("main") == []


def test_symbol_with_or_without_its_quote_currency_is_the_same_position() -> None:
    rig = AlgorithmRig(
        [*history(10, 10, symbol="BTC/USD"), *history(10, 10, symbol="ETH/USD"),
         *history(10, 10, symbol="ETH/EUR")]
    )  # fmt: skip
    rig.pass_days(0)
    algorithm = rig.algorithm()

    assert algorithm.create_buy_order("BTC", quantity=1).symbol == "BTC/USD"
    assert algorithm.create_buy_order("BTC/USD", quantity=1).symbol == "BTC/USD"
    with pytest.raises(AmbiguousSymbol):
        algorithm.create_buy_order("ETH", quantity=1)
    assert algorithm.create_buy_order("ETH/USD", quantity=1).symbol == "ETH/USD"
    # Now one of them is held, or about to be.
    assert algorithm.create_buy_order("ETH", quantity=1).symbol == "ETH/USD"
    with pytest.raises(UnknownSymbol):
        algorithm.create_buy_order("DOGE", quantity=1)


# --- targets ------------------------------------------------------------------------------


def test_target_percent_buys_or_sells_what_lacks_and_counts_what_is_on_its_way(
    rig: AlgorithmRig,
) -> None:
    first = rig.algorithm().order_target_percent("AAPL", 0.5)
    again = rig.algorithm(run="run-2").order_target_percent("AAPL", 0.5)
    rig.pass_days(1)
    less = rig.algorithm(run="run-3").order_target_percent("AAPL", 0.2)

    assert first is not None
    assert (first.side, first.quantity) == ("buy", 5)
    assert again is None
    assert less is not None
    assert (less.side, less.quantity) == ("sell", 3)


def test_target_does_not_count_a_resting_stop_or_limit_as_traded(rig: AlgorithmRig) -> None:
    rig.algorithm().create_buy_order("AAPL", quantity=5)
    rig.pass_days(1)
    rig.algorithm(run="run-2").create_stop_order("AAPL", stop_price=1, percentage=1.0)
    rig.algorithm(run="run-3").create_limit_order("AAPL", price=1, order_side="BUY", quantity=2)
    made = rig.algorithm(run="run-4").order_target_quantity("AAPL", 6)

    assert made is not None
    assert (made.side, made.quantity) == ("buy", 1)


def test_targets_by_value_and_quantity(rig: AlgorithmRig) -> None:
    algorithm = rig.algorithm()
    made = [
        algorithm.order_target_value("AAPL", 300),
        algorithm.order_target_quantity("AAPL", 5),
        algorithm.order_target_quantity("AAPL", 5),
    ]

    assert [order and order.quantity for order in made] == [3, 2, None]


def test_target_weights_sell_before_they_buy_with_what_that_brings(rig: AlgorithmRig) -> None:
    rig.algorithm().create_buy_order("AAPL", percentage=1)
    rig.pass_days(1)
    made = rig.algorithm(run="run-2").set_target_weights({"IBM": 0.6, "AAPL": 0.4})
    rig.open_day(2)

    assert [(o.symbol, o.side.value, o.quantity) for o in made] == [
        ("AAPL", "sell", 6),
        ("IBM", "buy", 60),
    ]
    # AAPL opened at half of its price: the purchase is cut to what the sale really brought.
    assert [rig.held("AAPL"), rig.held("IBM"), rig.cash] == [4, 30, 0]


@pytest.mark.parametrize("weights", [None, [], "AAPL", [("AAPL", 0.5)], 0.5])
def test_target_weights_that_name_no_symbols_are_refused(rig: AlgorithmRig, weights: Any) -> None:
    with pytest.raises(OrderRefused, match="fractions by symbol"):
        rig.algorithm().set_target_weights(weights)


def test_target_weights_leave_what_is_near_enough_and_close_others_when_told(
    rig: AlgorithmRig,
) -> None:
    rig.algorithm().set_target_weights({"AAPL": 0.5, "IBM": 0.3})
    rig.pass_days(1)
    near = rig.algorithm(run="run-2").set_target_weights({"AAPL": 0.52, "IBM": 0.3}, tolerance=0.05)
    rest = rig.algorithm(run="run-3").set_target_weights({"AAPL": 0.5}, close_others=True)

    assert near == []
    assert [(o.symbol, o.side.value, o.quantity) for o in rest] == [("IBM", "sell", 30)]


@pytest.mark.parametrize(
    "weights",
    [
        {"AAPL": 0.6, "IBM": 0.5},
        {"AAPL": -0.6, "IBM": 0.5},
        {"AAPL": "much"},
        {"AAPL": float("nan")},
    ],
)
def test_target_weights_beyond_the_leverage_or_no_numbers_are_refused(
    rig: AlgorithmRig, weights: dict[str, Any]
) -> None:
    with pytest.raises(OrderRefused):
        rig.algorithm().set_target_weights(weights)
    assert rig.ledger.orders("main") == []


def test_target_weights_that_name_a_symbol_twice_are_refused() -> None:
    rig = AlgorithmRig(history(10, 10, symbol="BTC/USD"))
    rig.pass_days(0)

    with pytest.raises(OrderRefused, match="once"):
        rig.algorithm().set_target_weights({"BTC": 0.1, "BTC/USD": 0.1})


def test_closing_a_position_cancels_its_orders_and_sells_all_of_it(rig: AlgorithmRig) -> None:
    rig.algorithm().set_target_weights({"AAPL": 0.5, "IBM": 0.3})
    rig.pass_days(1)
    stop = rig.algorithm(run="run-2").create_stop_order("AAPL", 40, quantity=5)
    algorithm = rig.algorithm(run="run-3")
    closing = algorithm.close_position(algorithm.get_positions()[0])
    others = rig.algorithm(run="run-4").close_all_positions()

    assert closing is not None
    assert (closing.symbol, closing.side, closing.quantity) == ("AAPL", "sell", 5)
    cancelled = algorithm.get_order(stop.id)
    assert cancelled is not None
    assert cancelled.state == "cancelled"
    assert algorithm.close_position("AAPL") is None
    # AAPL is on its way out already.
    assert [order.symbol for order in others] == ["IBM"]
    rig.pass_days(2)
    assert rig.account.book.positions == []


def test_closing_a_short_position_buys_it_back() -> None:
    rig = AlgorithmRig(history(100, 100, 90), short=True)
    rig.pass_days(0)
    rig.algorithm().order_target_percent("AAPL", -0.5)
    rig.pass_days(1)
    closing = rig.algorithm(run="run-2").close_position("AAPL")
    rig.pass_days(2)

    assert closing is not None
    assert (closing.side, closing.quantity) == ("buy", 5)
    assert rig.account.book.positions == []
    assert rig.cash == 1050


# --- orders that are there ----------------------------------------------------------------


def test_orders_are_listed_with_filters_and_cancelled(rig: AlgorithmRig) -> None:
    algorithm = rig.algorithm()
    buy = algorithm.create_buy_order("AAPL", quantity=1)
    low = algorithm.create_limit_order("IBM", 5, "buy", 2)
    other = rig.algorithm(task="other", run="run-2").create_limit_order("AAPL", 5, "buy", 3)
    rig.open_day(1)

    def ids(orders: list[Any]) -> list[str]:
        return [order.id for order in orders]

    assert sorted(ids(algorithm.get_orders())) == sorted([buy.id, low.id, other.id])
    assert ids(algorithm.get_orders(status="filled")) == [buy.id]
    assert ids(algorithm.get_orders("AAPL", order_type="LIMIT")) == [other.id]
    assert ids(algorithm.get_orders(task="other", order_side="BUY")) == [other.id]
    assert len(algorithm.get_orders(limit=2)) == 2
    assert ids(algorithm.get_open_orders("IBM")) == [low.id]
    assert algorithm.get_order("nothing") is None
    assert algorithm.cancel_order(low).state == "cancelled"
    assert algorithm.cancel_order(buy.id).state == "filled"
    assert ids(algorithm.cancel_all_orders()) == [other.id]
    assert algorithm.get_open_orders() == []
    with pytest.raises(OrderRefused, match="order_id"):
        algorithm.cancel_order("nothing")
    with pytest.raises(OrderRefused, match="status"):
        algorithm.get_orders(status="done")


def test_orders_of_one_symbol_are_cancelled_alone(rig: AlgorithmRig) -> None:
    algorithm = rig.algorithm()
    algorithm.create_limit_order("AAPL", 5, "buy", 1)
    kept = algorithm.create_limit_order("IBM", 5, "buy", 1)

    assert [order.symbol for order in algorithm.cancel_all_orders("AAPL")] == ["AAPL"]
    assert [order.id for order in algorithm.get_open_orders()] == [kept.id]


def test_order_of_a_late_run_counts_from_now_once_the_market_has_moved_on(
    rig: AlgorithmRig,
) -> None:
    """Whoever comes after the opening print of its instant waits for the next one."""
    on_time, late = rig.algorithm(), rig.algorithm(run="run-2")
    due = seat_of(late).due
    on_time.create_buy_order("IBM", quantity=1)
    rig.open_day(1)
    rig.advance(1_000_000)
    late.create_buy_order("IBM", quantity=1)
    first, second = (rig.ledger.orders("main", run_id=run)[0] for run in ("run-1", "run-2"))

    assert (first.state, first.effective_at) == ("filled", due)
    assert (second.state, second.effective_at) == ("open", rig.clock.micros())


# --- attempts that come again --------------------------------------------------------------


def twice(rig: AlgorithmRig, act: Callable[[Algorithm], Any], *, between: bool) -> list[Any]:
    """What two attempts of one run get; `between`: the first one's orders trade meanwhile."""
    results = [act(rig.algorithm(run="again", fence=1))]
    if between:
        rig.pass_days(2)
    return [*results, act(rig.algorithm(run="again", fence=2))]


@pytest.mark.parametrize("between", [False, True])
@pytest.mark.parametrize(
    "act",
    [
        lambda a: a.create_sell_order("AAPL", percentage=0.5),
        lambda a: a.create_sell_order("AAPL", percentage=1),
        lambda a: a.create_sell_order("AAPL", quantity=3, key="stop-out"),
        lambda a: a.create_buy_order("IBM", percentage=1),
        lambda a: a.create_buy_order("IBM", value=100),
        lambda a: a.order_target_percent("AAPL", 0.1),
        lambda a: a.order_target_quantity("IBM", 7),
        lambda a: a.order_percent("IBM", 0.2),
        lambda a: a.set_target_weights({"AAPL": 0.1})[0],
        lambda a: a.close_position("AAPL"),
    ],
)
def test_second_attempt_gets_the_first_ones_order_whatever_has_become_of_it(
    rig: AlgorithmRig, act: Callable[[Algorithm], Any], between: bool
) -> None:
    rig.algorithm().create_buy_order("AAPL", quantity=5)
    rig.pass_days(1)

    first, second = twice(rig, act, between=between)

    assert second.id == first.id
    assert second.quantity == first.quantity
    assert second.state == ("filled" if between else "open")
    assert len(rig.ledger.orders("main", run_id="again")) == 1


@pytest.mark.parametrize("between", [False, True])
@pytest.mark.parametrize(
    "act",
    [
        lambda a: a.set_target_weights({"AAPL": 0.1, "IBM": 0.7}),
        lambda a: a.close_all_positions(),
    ],
)
def test_second_attempt_at_several_orders_places_none_twice(
    rig: AlgorithmRig, act: Callable[[Algorithm], Any], between: bool
) -> None:
    rig.algorithm().set_target_weights({"AAPL": 0.5, "IBM": 0.3})
    rig.pass_days(1)

    twice(rig, act, between=between)

    orders = rig.ledger.orders("main", run_id="again")
    assert sorted(order.symbol for order in orders) == ["AAPL", "IBM"]


def test_attempts_of_different_runs_place_orders_of_their_own(rig: AlgorithmRig) -> None:
    first = rig.algorithm(run="one").create_buy_order("IBM", quantity=1)
    second = rig.algorithm(run="two").create_buy_order("IBM", quantity=1)

    assert first.id != second.id


def test_second_attempt_places_what_the_first_did_not_come_to(rig: AlgorithmRig) -> None:
    first = rig.algorithm(run="again", fence=1).create_buy_order("AAPL", quantity=1)
    algorithm = rig.algorithm(run="again", fence=2)
    met = algorithm.create_buy_order("AAPL", quantity=1)
    new = algorithm.create_buy_order("AAPL", quantity=1)

    assert met.id == first.id != new.id
    assert working(rig) == [("AAPL", "buy", 1)] * 2


def test_same_key_in_one_attempt_is_one_order(rig: AlgorithmRig) -> None:
    algorithm = rig.algorithm()
    orders = [algorithm.create_buy_order("AAPL", quantity=n, key="entry") for n in (1, 2)]

    assert orders[0] == orders[1]
    assert working(rig) == [("AAPL", "buy", 1)]


def test_cancelling_all_in_a_second_attempt_spares_what_the_first_placed_after_it(
    rig: AlgorithmRig,
) -> None:
    """Else the page's `cancel all, then sell half` would end without the sale."""
    rig.algorithm().create_buy_order("AAPL", quantity=4)
    rig.pass_days(1)
    foreign = rig.algorithm(run="foreign").create_limit_order("IBM", 5, "buy", 1)

    def reduce(algorithm: Algorithm) -> Any:
        algorithm.cancel_all_orders()
        return algorithm.create_sell_order("AAPL", percentage=0.5)

    first, second = twice(rig, reduce, between=False)

    assert (second.id, second.state) == (first.id, "open")
    assert working(rig) == [("AAPL", "sell", 2)]
    assert rig.algorithm().get_order(foreign.id).state == "cancelled"
    # What this attempt has met again is cancelled like any other.
    algorithm = rig.algorithm(run="again", fence=3)
    algorithm.create_sell_order("AAPL", percentage=0.5)
    assert [order.id for order in algorithm.cancel_all_orders()] == [first.id]
