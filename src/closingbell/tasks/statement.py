"""Statement: an account's books over a while, in one currency, and whether they balance.

    opening value + flows + trading gains + dividends + charges - fees
        + change of unrealised gains = closing value

Every line but the closing value comes from the book that folds the account's entries. The closing
value is summed up from the entries by themselves, at the marks. What is missing between the two
is the `difference`: 0, or a mistake. A fill whose amount is not its quantity times its price is one,
but for a fee that was taken in what was traded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from closingbell.core.amount import ZERO, split_quantity
from closingbell.core.book import Book
from closingbell.core.entry import Entry, EntryKind
from closingbell.core.error import NoPrice

#: Decimals keep 28 digits; what a division rounds away is no difference.
ROUNDING = Decimal("0.000001")
#: An exchange that takes its fee in what is traded books so much less at most, as a fraction.
MOST_IN_KIND = Decimal("0.02")


class HeldLine(NamedTuple):
    """One open position of a statement, in `currency`."""

    symbol: str
    quantity: Decimal
    average_price: Decimal
    price: Decimal
    value: Decimal
    unrealized: Decimal


class Statement(NamedTuple):
    """One account in one currency, from one instant to another.

    Attributes:
        opening: value at the beginning; closing: at the end.
        flows: deposits less withdrawals.
        trading: gains realised by trades, before their fees.
        dividends: received (below 0: paid on short positions).
        charges: interest, funding and the like (below 0: paid).
        fees: paid, 0 or more; those that were taken in what was traded are among them.
        unrealized: by how much the gains of what is still held have grown.
        cash: at the end.
        positions: at the end.
        trades: fills of the while.
    """

    currency: str
    opening: Decimal
    flows: Decimal
    trading: Decimal
    dividends: Decimal
    charges: Decimal
    fees: Decimal
    unrealized: Decimal
    closing: Decimal
    cash: Decimal
    positions: tuple[HeldLine, ...]
    trades: int

    @property
    def difference(self) -> Decimal:
        """What the closing value is above what the lines add up to."""
        explained = self.opening + self.flows + self.trading + self.dividends + self.charges
        return self.closing - (explained - self.fees + self.unrealized)

    @property
    def balances(self) -> bool:
        """Whether the lines explain the closing value, to a millionth."""
        return abs(self.difference) <= ROUNDING

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values, amounts as decimal text."""
        lines = {name: _plain(value) for name, value in self._asdict().items()}
        lines["positions"] = [
            {name: _plain(value) for name, value in held._asdict().items()}
            for held in self.positions
        ]
        return {**lines, "difference": _plain(self.difference), "balances": self.balances}


def make_statements(
    entries: Sequence[Entry],
    from_seq: int,
    opening_prices: Mapping[str, Decimal],
    closing_prices: Mapping[str, Decimal],
) -> list[Statement]:
    """Return one statement for each currency of an account, sorted.

    Args:
        entries: all of the account's entries up to the end, in order.
        from_seq: the first entry that belongs to the while; earlier ones make the opening.
        opening_prices: marks at the beginning, by symbol.
        closing_prices: marks at the end.

    Raises:
        NoPrice: a position has no mark.
    """
    before = Book.of(entry for entry in entries if entry.seq < from_seq)
    after = Book.of(entries)
    during = [entry for entry in entries if entry.seq >= from_seq]
    opening = _Marked(before, opening_prices)
    closing = _Marked(after, closing_prices)
    worth = _worth(entries, closing_prices)
    return [_statement(c, opening, closing, during, worth[c]) for c in sorted(worth)]


def _worth(entries: Iterable[Entry], prices: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """Return cash and positions at their marks, by currency, without the help of a book."""
    total: dict[str, Decimal] = {}
    held: dict[tuple[str, str], Decimal] = {}
    for entry in entries:
        total[entry.currency] = total.get(entry.currency, ZERO) + entry.amount - entry.fee
        at = (entry.currency, entry.symbol or "")
        if entry.kind is EntryKind.FILL:
            held[at] = held.get(at, ZERO) + entry.quantity
        elif entry.kind is EntryKind.SPLIT:
            held[at] = split_quantity(held.get(at, ZERO), entry.price)
    for (currency, symbol), quantity in held.items():
        if quantity:
            if symbol not in prices:
                raise NoPrice(symbol)
            total[currency] += quantity * prices[symbol]
    return total


class _Marked:
    """A book at given prices."""

    def __init__(self, book: Book, prices: Mapping[str, Decimal]) -> None:
        self.book = book
        self._prices = prices

    def lines(self, currency: str) -> tuple[HeldLine, ...]:
        return tuple(
            self._line(held.symbol, held.quantity, held.cost)
            for held in self.book.positions
            if held.currency == currency
        )

    def _line(self, symbol: str, quantity: Decimal, cost: Decimal) -> HeldLine:
        price = self._prices.get(symbol)
        if price is None:
            raise NoPrice(symbol)
        value = quantity * price
        return HeldLine(symbol, quantity, cost / quantity, price, value, value - cost)

    def unrealized(self, currency: str) -> Decimal:
        return sum((line.unrealized for line in self.lines(currency)), ZERO)

    def value(self, currency: str) -> Decimal:
        worth = sum((line.value for line in self.lines(currency)), ZERO)
        return self.book.cash.get(currency, ZERO) + worth

    def realized(self, currency: str) -> Decimal:
        gains = (h.realized for h in self.book.holdings.values() if h.currency == currency)
        return sum(gains, ZERO)


def _statement(
    currency: str,
    opening: _Marked,
    closing: _Marked,
    during: Iterable[Entry],
    worth: Decimal,
) -> Statement:
    own = [entry for entry in during if entry.currency == currency]
    fills = [entry for entry in own if entry.kind is EntryKind.FILL]
    dividends = _total(own, EntryKind.DIVIDEND)
    # A book counts fees and dividends as realised at once; a statement shows them apart.
    counted = sum((e.fee for e in own if e.kind in (EntryKind.FILL, EntryKind.DIVIDEND)), ZERO)
    realized = closing.realized(currency) - opening.realized(currency)
    # A book believes the amount of a fill; what its price does not explain is no gain.
    in_kind = sum(map(_fee_in_kind, fills), ZERO)
    unexplained = sum((fill.amount + fill.quantity * fill.price for fill in fills), in_kind)
    return Statement(
        currency=currency,
        opening=opening.value(currency),
        flows=_total(own, EntryKind.CASH),
        trading=realized + counted + in_kind - dividends - unexplained,
        dividends=dividends,
        charges=_total(own, EntryKind.CHARGE),
        fees=sum((entry.fee for entry in own), in_kind),
        unrealized=closing.unrealized(currency) - opening.unrealized(currency),
        closing=worth,
        cash=closing.book.cash.get(currency, ZERO),
        positions=closing.lines(currency),
        trades=len(fills),
    )


def _fee_in_kind(fill: Entry) -> Decimal:
    """Return what a fee in what was traded is worth: less came in, or more went out, than was paid."""
    missing = -(fill.amount + fill.quantity * fill.price)
    return missing if ZERO < missing <= abs(fill.amount) * MOST_IN_KIND else ZERO


def _total(entries: Iterable[Entry], kind: EntryKind) -> Decimal:
    return sum((entry.amount for entry in entries if entry.kind is kind), ZERO)


def _plain(value: Any) -> Any:
    return format(value, "f") if isinstance(value, Decimal) else value
