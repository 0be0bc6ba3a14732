"""Valuation: what a book is worth at given prices. Pure functions.

What is quoted in another currency than the account's is converted at the price of
the pair, "EUR/USD", or of its inverse. Flows and gains are converted at the present
rate too, so that value = flows + realised + unrealised in any number of currencies.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from closingbell.core.amount import ONE, ZERO
from closingbell.core.book import Book
from closingbell.core.error import NoPrice

#: The latest price by symbol, as (instant, price).
Prices = Mapping[str, tuple[int, Decimal]]


def currency_of(symbol: str, currency: str) -> str:
    """Return what a symbol is quoted in: the part behind its slash, or the account's currency.

    "BTC/EUR" is quoted in EUR, and a contract "BTC/USDT:USDT" in USDT.
    """
    _, slash, quoted = symbol.rpartition("/")
    return quoted.partition(":")[0] if slash else currency


def price_of(prices: Prices, symbol: str) -> Decimal:
    """Return the latest price.

    Raises:
        NoPrice: none is known.
    """
    known = prices.get(symbol)
    if known is None:
        raise NoPrice(symbol)
    return known[1]


def rate(prices: Prices, currency: str, into: str) -> Decimal:
    """Return what one unit of a currency is worth in another one.

    Raises:
        NoPrice: neither the pair nor its inverse has a price.
    """
    if currency == into:
        return ONE
    direct = prices.get(f"{currency}/{into}")
    if direct is not None and direct[1] > 0:
        return direct[1]
    inverse = prices.get(f"{into}/{currency}")
    if inverse is not None and inverse[1] > 0:
        return ONE / inverse[1]
    raise NoPrice(f"{currency}/{into}")


def converted(amounts: Mapping[str, Decimal], prices: Prices, into: str) -> Decimal:
    """Return the sum of amounts by currency in one currency.

    Raises:
        NoPrice: a rate is not known.
    """
    total = ZERO
    for currency, amount in amounts.items():
        if amount:
            total += amount if currency == into else amount * rate(prices, currency, into)
    return total


def worth_of_positions(book: Book, prices: Prices, into: str) -> tuple[Decimal, Decimal]:
    """Return what all positions are worth: added up, and their absolute sum (the exposure).

    Raises:
        NoPrice: of a position or of its currency no price is known.
    """
    net = gross = ZERO
    for holding in book.holdings.values():
        if holding.quantity:
            worth = holding.quantity * price_of(prices, holding.symbol)
            if holding.currency != into:
                worth *= rate(prices, holding.currency, into)
            net += worth
            gross += abs(worth)
    return net, gross


def value_of(book: Book, prices: Prices, into: str) -> Decimal:
    """Return what a book is worth: cash and positions.

    Raises:
        NoPrice: of a position, or of a currency, no price is known.
    """
    return converted(book.cash, prices, into) + worth_of_positions(book, prices, into)[0]


def realized_of(book: Book, prices: Prices, into: str) -> Decimal:
    """Return realised gains: fees, dividends, interest and charges are among them.

    Raises:
        NoPrice: a rate is not known.
    """
    gains = dict(book.charges)
    for holding in book.holdings.values():
        gains[holding.currency] = gains.get(holding.currency, ZERO) + holding.realized
    return converted(gains, prices, into)


def unrealized_of(book: Book, prices: Prices, into: str) -> Decimal:
    """Return what positions are worth above their cost.

    Raises:
        NoPrice: of a position, or of its currency, no price is known.
    """
    costs: dict[str, Decimal] = {}
    for holding in book.holdings.values():
        if holding.quantity:
            costs[holding.currency] = costs.get(holding.currency, ZERO) + holding.cost
    return worth_of_positions(book, prices, into)[0] - converted(costs, prices, into)


def needed_prices(book: Book, symbols: Iterable[str], into: str) -> list[str]:
    """Return whose prices a valuation needs: positions, `symbols`, and currencies' pairs."""
    held = {holding.symbol for holding in book.holdings.values() if holding.quantity}
    wanted = held | set(symbols)
    currencies = {currency for currency, amount in book.cash.items() if amount}
    currencies |= {currency_of(symbol, into) for symbol in wanted}
    return sorted(wanted | {f"{currency}/{into}" for currency in currencies - {into}})
