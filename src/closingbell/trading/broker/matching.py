"""Matching: what becomes of an order when it meets a price. Pure functions.

A decision can only use what was known when it was taken, so:

    market            at the next opening print at or after `effective_at`; with fill="close"
                      at the close of the bar in which, or at whose end, it was placed
    market on close   at the close of the first bar that ends at or after `effective_at`
    limit             by the low (a sale: the high) of a bar that starts at or after
                      `effective_at`: at the limit, or at the open where that is better
    stop              by the high (a sale: the low) of such a bar: at the stop, or at the open
                      where that is worse
    stop limit        becomes a limit order when its stop is reached; in that same bar it trades
                      only if the close is within the limit, for nobody knows what came first

Of a live price, or an opening print, only the price itself is known.

How much: at most `volume_share` of the volume, the rest goes on; what the position or the
cash do not cover is cut off, and what is left is cancelled ("position", "cash").
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from random import Random
from typing import Literal

from closingbell.core.amount import ZERO, round_down
from closingbell.core.bar import Bar, Quote
from closingbell.core.order import Order, OrderType, Side
from closingbell.trading.broker.fee import NO_FEE, FeeModel
from closingbell.trading.broker.protocol import NO_MATCH, TRIGGERED, Execution, Match, Means
from closingbell.trading.broker.slippage import NO_SLIPPAGE, SlippageModel

Fill = Literal["next_open", "close"]

#: How often an affordable quantity is made more exact.
_ROUNDS = 8


@dataclass(frozen=True, slots=True)
class Rules:
    """How a matching broker fills.

    Attributes:
        fees: of each trade.
        slippage: of trades without a limit.
        fill: when market orders fill.
        volume_share: how much of a bar's volume an account may take; None = any amount.
        seed: of random slippage.
    """

    fees: FeeModel = NO_FEE
    slippage: SlippageModel = NO_SLIPPAGE
    fill: Fill = "next_open"
    volume_share: Decimal | None = None
    seed: int = 0


def match_bar(rules: Rules, bar: Bar, order: Order, means: Means) -> Match:
    """Match an order against a bar that is over."""
    kind, start = order.type, order.effective_at
    if kind is OrderType.MARKET or kind is OrderType.MARKET_ON_CLOSE:
        if start > bar.end or (kind is OrderType.MARKET and rules.fill != "close"):
            return NO_MATCH
        return trade(rules, order, bar.close, bar.end, means)
    if bar.start < start:
        return NO_MATCH
    if kind is OrderType.LIMIT or (kind is OrderType.STOP_LIMIT and order.reason == TRIGGERED):
        price = _limit_price(order, bar)
        return NO_MATCH if price is None else trade(rules, order, price, bar.end, means)
    reached = _stop_price(order, bar)
    if reached is None or order.reason == TRIGGERED:
        return NO_MATCH
    if kind is OrderType.STOP:
        return trade(rules, order, reached, bar.end, means)._replace(triggered=True)
    limit = order.limit_price or ZERO
    if _is_better(order, limit, bar.close):
        return Match(triggered=True)
    price = limit if _is_better(order, limit, reached) else reached
    return trade(rules, order, price, bar.end, means)._replace(triggered=True)


def match_open(rules: Rules, quote: Quote, order: Order, means: Means) -> Match:
    """Match an order against the opening print of a bar."""
    if quote.at < order.effective_at:
        return NO_MATCH
    if order.type is OrderType.MARKET:
        if rules.fill == "close":
            return NO_MATCH
    elif order.type is not OrderType.STOP or order.reason != TRIGGERED:
        return NO_MATCH
    return trade(rules, order, quote.price, quote.at, means)


def match_quote(rules: Rules, quote: Quote, order: Order, means: Means) -> Match:
    """Match an order against a live price; a share of the volume is not looked at."""
    if quote.at < order.effective_at:
        return NO_MATCH
    kind, price = order.type, quote.price
    if kind is OrderType.MARKET_ON_CLOSE:
        return NO_MATCH
    triggered = False
    if kind in (OrderType.STOP, OrderType.STOP_LIMIT) and order.reason != TRIGGERED:
        stop = order.stop_price or ZERO
        if _is_better(order, price, stop):
            return NO_MATCH
        triggered = True
    if kind in (OrderType.LIMIT, OrderType.STOP_LIMIT):
        limit = order.limit_price or ZERO
        if _is_better(order, limit, price):
            return Match(triggered=triggered)
    match = trade(rules, order, price, quote.at, means, shared=False)
    return match._replace(triggered=triggered)


def trade(
    rules: Rules,
    order: Order,
    price: Decimal,
    at: int,
    means: Means,
    *,
    shared: bool = True,
    note: str | None = None,
) -> Match:
    """Trade as much of an order as may be, at a price that it accepts.

    Args:
        rules: of the broker.
        order: which.
        price: before slippage.
        at: when.
        means: what the account has for it.
        shared: whether a share of the volume is all that may be taken.
        note: what a person should know.
    """
    wanted, lot, cancel = order.remaining, means.lot, None
    if shared and rules.volume_share is not None:
        room = (means.volume or ZERO) * rules.volume_share - means.taken
        wanted = min(wanted, round_down(max(room, ZERO), lot))
        if wanted <= 0:
            return NO_MATCH
    if order.side is Side.SELL:
        reducing = min(wanted, max(means.held, ZERO))
        if reducing < wanted and not means.short:
            wanted, cancel = reducing, "position"
    else:
        reducing = min(wanted, max(-means.held, ZERO))

    def cost(quantity: Decimal) -> tuple[Decimal, Decimal]:
        reached = price
        if order.limit_price is None:
            reached = rules.slippage.slip(
                order, price, quantity, means.volume, lambda: _dice(rules, order, at)
            )
        return reached, rules.fees(order, quantity, reached)

    if reducing < wanted:
        adding = affordable(wanted - reducing, reducing, means.afford, lot, cost)
        if reducing + adding < wanted:
            wanted, cancel = reducing + adding, "cash"
    if wanted <= 0:
        return Match(cancel=cancel)
    reached, fee = cost(wanted)
    name = f"{order.id}@{at}"
    return Match(Execution(order.id, at, wanted, reached, fee, None, name, note), cancel)


def affordable(
    adding: Decimal,
    reducing: Decimal,
    afford: Decimal,
    lot: Decimal | None,
    cost: Callable[[Decimal], tuple[Decimal, Decimal]],
) -> Decimal:
    """Return how much may be added to what is at stake, the fee of the whole trade included.

    Args:
        adding: how much is wanted.
        reducing: what trades with it and only reduces the position.
        afford: what may be spent.
        lot: of which the result is a multiple, unless it is all that is wanted.
        cost: (price, fee) of a quantity.
    """
    best, candidate = ZERO, adding
    for _ in range(_ROUNDS):
        price, fee = cost(reducing + candidate)
        if candidate * price + fee <= afford:
            if candidate == adding:
                return adding
            best = max(best, candidate)
        fitting = min(round_down(max((afford - fee) / price, ZERO), lot), adding)
        if fitting == candidate:
            break
        candidate = fitting
    return best


def _dice(rules: Rules, order: Order, at: int) -> Random:
    """Return a random source of one trade; ids of runs, and with them other tasks, do not count."""
    parts = (rules.seed, order.account, order.symbol, order.side, order.task, order.effective_at)
    text = "|".join(map(str, (*parts, order.ordinal, at)))
    return Random(text)  # noqa: S311 - a simulation's dice, not a secret


def _is_better(order: Order, price: Decimal, other: Decimal) -> bool:
    """Whether one price is better than another for who placed the order."""
    return price < other if order.side is Side.BUY else price > other


def _limit_price(order: Order, bar: Bar) -> Decimal | None:
    """Return at which price a bar reaches a limit, or None."""
    limit = order.limit_price or ZERO
    if order.side is Side.BUY:
        return min(limit, bar.open) if bar.low <= limit else None
    return max(limit, bar.open) if bar.high >= limit else None


def _stop_price(order: Order, bar: Bar) -> Decimal | None:
    """Return at which price a bar reaches a stop, or None."""
    stop = order.stop_price or ZERO
    if order.side is Side.BUY:
        return max(stop, bar.open) if bar.high >= stop else None
    return min(stop, bar.open) if bar.low <= stop else None
