"""Buying power: what an account may spend, and what its orders keep of it. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from closingbell.core.amount import ONE, ZERO
from closingbell.core.book import Book
from closingbell.core.error import NoPrice
from closingbell.core.order import Order, OrderType, Side
from closingbell.trading.terms import AccountTerms
from closingbell.trading.valuation import (
    Prices,
    converted,
    currency_of,
    rate,
    worth_of_positions,
)


def buying_power(
    terms: AccountTerms, book: Book, prices: Prices, side: Side, currency: str
) -> Decimal:
    """Return by how much an order may add to what is at stake, in its currency, 0 or more.

    Without leverage and short positions it is the cash in that currency. Otherwise it is
    value x leverage - exposure, and for a purchase without leverage no more than the cash.
    An account that owes more than it has has none, and can only reduce its positions.
    """
    cash = book.cash.get(currency, ZERO)
    if terms.leverage == ONE and not terms.short:
        return max(cash, ZERO)
    try:
        net, gross = worth_of_positions(book, prices, terms.currency)
        value = converted(book.cash, prices, terms.currency) + net
        power = value * terms.leverage - gross
        if currency != terms.currency:
            power /= rate(prices, currency, terms.currency)
    except NoPrice:
        return ZERO
    if terms.leverage == ONE and side is Side.BUY:
        power = min(power, cash)
    return max(power, ZERO)


def reserved(orders: Iterable[Order], prices: Prices, currency: str, own: str) -> Decimal:
    """Return what purchases may cost: at their limit, their stop, or the last price.

    Args:
        orders: working ones.
        prices: the latest.
        currency: only of what is quoted in it.
        own: the account's currency.
    """
    total = ZERO
    for order in orders:
        if order.side is Side.BUY and currency_of(order.symbol, own) == currency:
            known = prices.get(order.symbol)
            price = order.limit_price or order.stop_price or (known[1] if known else ZERO)
            total += order.remaining * price
    return total


def coming(orders: Iterable[Order], prices: Prices, purchase: Order, own: str) -> Decimal:
    """Return what market sales that trade before a purchase will bring, at the last prices.

    Args:
        orders: working ones.
        prices: the latest.
        purchase: the order that is to spend it.
        own: the account's currency.
    """
    currency, total = currency_of(purchase.symbol, own), ZERO
    for sale in orders:
        if sale.side is Side.SELL and sale.type is OrderType.MARKET:
            known = prices.get(sale.symbol)
            same = currency_of(sale.symbol, own) == currency
            if same and known is not None and sale.rank < purchase.rank:
                total += sale.remaining * known[1]
    return total
