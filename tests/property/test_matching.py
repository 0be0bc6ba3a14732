"""Matching: no order trades at a price it does not accept, or more than there is."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from closingbell.core.bar import Bar, Quote
from closingbell.core.order import Order, OrderState, OrderType, Side
from closingbell.trading.broker.fee import to_fee
from closingbell.trading.broker.matching import Rules, match_bar, match_open, match_quote
from closingbell.trading.broker.protocol import TRIGGERED, Match, Means
from closingbell.trading.broker.slippage import to_slippage

NOON, HOUR = 1_000_000, 1_000


def amounts(least: int, most: int, decimals: int = 2) -> st.SearchStrategy[Decimal]:
    return st.integers(least, most).map(lambda units: Decimal(units).scaleb(-decimals))


PRICES = amounts(1, 20_000)
LOTS = st.sampled_from([None, Decimal(1), Decimal("0.25")])


@st.composite
def bars(draw: st.DrawFn) -> Bar:
    prices = [draw(PRICES) for _ in range(4)]
    volume = draw(st.integers(0, 300).map(Decimal))
    high, low = max(prices), min(prices)
    return Bar("X", NOON, NOON + HOUR, prices[0], high, low, prices[3], volume)


@st.composite
def orders(draw: st.DrawFn) -> Order:
    kind = draw(st.sampled_from(OrderType))
    quantity = draw(amounts(1, 10**10, 8))
    limited = kind in (OrderType.LIMIT, OrderType.STOP_LIMIT)
    stopped = kind in (OrderType.STOP, OrderType.STOP_LIMIT)
    return Order(
        id="o",
        account="main",
        symbol="X",
        side=draw(st.sampled_from(Side)),
        type=kind,
        quantity=quantity,
        limit_price=draw(PRICES) if limited else None,
        stop_price=draw(PRICES) if stopped else None,
        state=OrderState.OPEN,
        filled=draw(st.sampled_from([Decimal(0), quantity / 2])).quantize(Decimal("1e-8")),
        created_at=0,
        effective_at=draw(st.sampled_from([0, NOON, NOON + 1, NOON + HOUR, NOON + HOUR + 1])),
        updated_at=0,
        reason=draw(st.sampled_from([None, TRIGGERED])) if stopped else None,
    )


RULES = st.builds(
    Rules,
    fees=st.sampled_from(["0.1%", "1 per order", "0.005 per unit, min 1", None]).map(to_fee),
    slippage=st.sampled_from(["1%", "0.05 per unit", "random 2%", "impact 0.5", None]).map(
        to_slippage
    ),
    fill=st.sampled_from(["next_open", "close"]),
    volume_share=st.sampled_from([None, Decimal("0.1"), Decimal(1)]),
    seed=st.integers(0, 5),
)
MEANS = st.builds(
    Means,
    held=amounts(-(10**10), 10**10, 8),
    afford=st.one_of(st.just(Decimal(0)), amounts(0, 10**7)),
    short=st.booleans(),
    lot=LOTS,
    volume=st.one_of(st.none(), st.integers(0, 300).map(Decimal)),
    taken=st.integers(0, 20).map(Decimal),
)


def check(found: Match, rules: Rules, order: Order, means: Means, shared: bool = True) -> None:
    """What holds for every trade, wherever its price came from."""
    if found.cancel is not None:
        assert found.cancel in ("cash", "position")
    trade = found.execution
    if trade is None:
        return
    assert 0 < trade.quantity <= order.remaining
    assert trade.price > 0
    assert trade.fee >= 0
    assert trade.external_id == f"o@{trade.at}"
    if order.limit_price is not None:
        worse = trade.price > order.limit_price if order.side is Side.BUY else False
        worse = worse or (order.side is Side.SELL and trade.price < order.limit_price)
        assert not worse
    if shared and rules.volume_share is not None:
        assert means.volume is not None
        assert trade.quantity <= means.volume * rules.volume_share - means.taken
    against = -means.held if order.side is Side.BUY else means.held
    adding = trade.quantity - min(trade.quantity, max(against, Decimal(0)))
    if adding:
        assert order.side is Side.BUY or means.short
        assert adding * trade.price + trade.fee <= means.afford
    if found.cancel is None and not (shared and rules.volume_share is not None):
        assert trade.quantity == order.remaining


def worse_or_equal(order: Order, price: Decimal, other: Decimal) -> bool:
    return price >= other if order.side is Side.BUY else price <= other


@settings(max_examples=400, deadline=None)
@given(rules=RULES, bar=bars(), order=orders(), means=MEANS)
def test_bar_never_fills_beyond_what_is_accepted_or_there(
    rules: Rules, bar: Bar, order: Order, means: Means
) -> None:
    found = match_bar(rules, bar, order, means)
    check(found, rules, order, means)
    if found.execution is None:
        return
    trade = found.execution
    assert trade.at == bar.end
    assert order.effective_at <= bar.end
    if order.type in (OrderType.MARKET, OrderType.MARKET_ON_CLOSE):
        assert worse_or_equal(order, trade.price, bar.close)
        return
    assert order.effective_at <= bar.start
    if order.type is OrderType.STOP:
        assert worse_or_equal(order, trade.price, order.stop_price or Decimal(0))
    elif order.limit_price is not None:
        assert bar.low <= trade.price <= bar.high


@settings(max_examples=300, deadline=None)
@given(rules=RULES, price=PRICES, order=orders(), means=MEANS)
def test_print_or_live_price_never_fills_at_a_better_one(
    rules: Rules, price: Decimal, order: Order, means: Means
) -> None:
    quote = Quote("X", NOON, price)
    for match, shared in ((match_open, True), (match_quote, False)):
        found = match(rules, quote, order, means)
        check(found, rules, order, means, shared)
        if found.execution is not None:
            assert order.effective_at <= NOON
            assert worse_or_equal(order, found.execution.price, price)


@settings(max_examples=100, deadline=None)
@given(rules=RULES, bar=bars(), order=orders(), means=MEANS, more=amounts(0, 10**9))
def test_more_cash_never_buys_less(
    rules: Rules, bar: Bar, order: Order, means: Means, more: Decimal
) -> None:
    def traded(afford: Decimal) -> Any:
        found = match_bar(rules, bar, order, means._replace(afford=afford)).execution
        return 0 if found is None else found.quantity

    # With a price that moves with the size the last unit is not looked for.
    if not rules.slippage.needs_volume:
        assert traded(means.afford + more) >= traded(means.afford)


@settings(max_examples=100, deadline=None)
@given(rules=RULES, bar=bars(), order=orders(), means=MEANS)
def test_same_seed_makes_the_same_trade(rules: Rules, bar: Bar, order: Order, means: Means) -> None:
    assert match_bar(rules, bar, order, means) == match_bar(rules, bar, order, means)
