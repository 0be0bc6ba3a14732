"""MarkedBook: a book, the prices that pass it, and what they make it worth.

The value follows each price by what it moves, so that a mark costs the same with one
position or a thousand. Where another currency lies between, everything is valued anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Final, Literal

from closingbell.core.amount import ZERO, rounded
from closingbell.core.bar import CorporateAction, Slice, Split
from closingbell.core.book import Book
from closingbell.core.entry import Entry
from closingbell.core.error import NoPrice
from closingbell.core.ledger import AccountRecord
from closingbell.trading import valuation
from closingbell.trading.drawdown import drawdown_limits, drawdown_of
from closingbell.trading.terms import AccountTerms

#: Which price of a bar marks a position: fields of `Bar`.
OPEN: Final = 3
CLOSE: Final = 6


class MarkedBook:
    """A book at the latest prices.

    Attributes:
        terms: what the app declares.
        book: cash, positions and gains.
        prices: the latest price by symbol, as (instant, price).
        peak: the highest value at any mark. A cash flow moves it in proportion, so that
            deposits are no gains and withdrawals no losses.
        breached: whether the drawdown limit is breached at present.
    """

    __slots__ = (
        "_floor",
        "_held",
        "_rearm",
        "_split_at",
        "_value",
        "book",
        "breached",
        "peak",
        "prices",
        "terms",
    )

    def __init__(self, terms: AccountTerms, record: AccountRecord) -> None:
        """Begin with an empty book and the marks that are stored."""
        self.terms = terms
        self.book = Book()
        self.prices = dict(record.prices)
        self.peak = record.peak
        self.breached = record.breached
        self._split_at: dict[str, int] = {}
        self._value: Decimal | None = None
        #: What moves the value with each price; None where currencies or prices are in between.
        self._held: dict[str, Decimal] | None = None
        self._floor: Decimal | None = None
        self._rearm = ZERO

    # --- marks ---------------------------------------------------------------------------

    def mark(self, at: int, parts: Sequence[Slice], field: Literal[3, 6]) -> bool:
        """Take the bars' `field` (`OPEN` or `CLOSE`) as the prices of now.

        Returns:
            Whether the account's value may have moved.
        """
        prices, held, before = self.prices, self._held, self._value
        if not held or before is None:
            for part in parts:
                for bar in part[2]:
                    prices[bar[0]] = (at, bar[field])
            if held is not None and not held:
                return False
            self.revalue()
            return True
        value = before
        for part in parts:
            for bar in part[2]:
                symbol, price = bar[0], bar[field]
                quantity = held.get(symbol)
                if quantity is not None:
                    value += quantity * (price - prices[symbol][1])
                prices[symbol] = (at, price)
        if value is before:
            return False
        self._value = value
        return True

    def quote(self, symbol: str, at: int, price: Decimal) -> bool:
        """Take a price unless a later one is known; return whether it was taken.

        `revalue` has to follow.
        """
        known = self.prices.get(symbol)
        if known is not None and known[0] > at:
            return False
        self.prices[symbol] = (at, price)
        return True

    def split(self, actions: Iterable[CorporateAction]) -> None:
        """Let the prices of symbols follow their splits, each once."""
        for action in actions:
            if isinstance(action, Split):
                known = self.prices.get(action.symbol)
                if known is not None and self._split_at.get(action.symbol) != action.at:
                    self._split_at[action.symbol] = action.at
                    self.prices[action.symbol] = (known[0], rounded(known[1] / action.ratio))
        self.revalue()

    def watch(self) -> bool:
        """Raise the peak; return whether the drawdown limit was crossed, either way."""
        value = self._value
        if value is None:
            return False
        if value > self.peak:
            self.peak = value
            self._set_limits()
        if self._floor is None:
            return False
        return value >= self._rearm if self.breached else value < self._floor

    def follow(self, book: Book, entries: Sequence[Entry], value: Decimal | None) -> None:
        """Go on with a book that is ahead by some entries.

        Args:
            book: what they lead to.
            entries: the new ones.
            value: of the book at the prices of now; None = not known.
        """
        self.book = book
        held, currency = self._held, self.terms.currency
        if held is None or any(entry.currency != currency for entry in entries):
            self.revalue()
            return
        for entry in entries:
            if entry.symbol is not None:
                quantity = book.quantity(entry.symbol)
                if quantity:
                    held[entry.symbol] = quantity
                else:
                    held.pop(entry.symbol, None)
        self._value = value

    def set_peak(self, peak: Decimal) -> None:
        """Set the peak."""
        if self.peak != peak:
            self.peak = peak
            self._set_limits()

    def revalue(self) -> None:
        """Value everything anew, and find out how the next marks can be taken."""
        currency, book, prices = self.terms.currency, self.book, self.prices
        held = {h.symbol: h.quantity for h in book.holdings.values() if h.quantity}
        plain = all(symbol in prices for symbol in held) and not any(
            amount and other != currency for other, amount in book.cash.items()
        )
        if plain:
            plain = all(book.holdings[symbol].currency == currency for symbol in held)
        self._held = held if plain else None
        try:
            self._value = valuation.value_of(book, prices, currency)
        except NoPrice:
            self._value = None
        self._set_limits()

    def _set_limits(self) -> None:
        limit = self.terms.max_drawdown
        if limit is None:
            self._floor = None
        else:
            self._floor, self._rearm = drawdown_limits(self.peak, limit)

    @property
    def marked(self) -> Decimal | None:
        """The value at the marks, or None while a price is missing."""
        return self._value

    # --- what it is worth ----------------------------------------------------------------

    def price(self, symbol: str) -> Decimal:
        """Return the latest price.

        Raises:
            NoPrice: none is known.
        """
        return valuation.price_of(self.prices, symbol)

    def value(self) -> Decimal:
        """Return cash and positions at the latest prices, in the account's currency.

        Raises:
            NoPrice: of a position, or of a currency's pair, no price is known.
        """
        if self._value is None:
            self._value = valuation.value_of(self.book, self.prices, self.terms.currency)
        return self._value

    def cash(self) -> Decimal:
        """Return the cash of all currencies in the account's own.

        Raises:
            NoPrice: of a currency's pair no price is known.
        """
        return valuation.converted(self.book.cash, self.prices, self.terms.currency)

    def exposure(self) -> Decimal:
        """Return the absolute worth of all positions, in the account's currency."""
        return valuation.worth_of_positions(self.book, self.prices, self.terms.currency)[1]

    def realized(self) -> Decimal:
        """Return realised gains, fees and charges counted, in the account's currency."""
        return valuation.realized_of(self.book, self.prices, self.terms.currency)

    def unrealized(self) -> Decimal:
        """Return what positions are worth above their cost, in the account's currency."""
        return valuation.unrealized_of(self.book, self.prices, self.terms.currency)

    def flows(self) -> Decimal:
        """Return net deposits, the first one included, in the account's currency."""
        return valuation.converted(self.book.deposits, self.prices, self.terms.currency)

    def drawdown(self) -> Decimal:
        """Return the fraction of the peak that is lost; 0 for a peak of zero or below."""
        return drawdown_of(self.value(), self.peak)
