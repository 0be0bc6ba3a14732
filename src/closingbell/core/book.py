"""Book: an account's entries, folded into cash, positions and gains.

Average cost. A gain is realised where a position shrinks: what the closed part
brought, less its share of the cost. Fees and dividends count as realised at
once, so that at any time, for one currency,

    cash + cost of positions = deposits + realised gains
    value                    = deposits + realised gains + unrealised gains

These hold to the last digit: what must be divided is rounded once, and the rest of it
is what was not taken. Amounts stay within Decimal's 28 digits as long as quantities and
prices have 8 decimals at most and nothing is worth more than 999 billion.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import NamedTuple

from closingbell.core.amount import ZERO, share_of, split_quantity
from closingbell.core.entry import Entry, EntryKind


class RoundTrip(NamedTuple):
    """A part of a position that was opened and closed again.

    Attributes:
        quantity: how much was closed, above 0; `side` is "long" or "short".
        entry_price: average; exit_price: of the closing fill.
        pnl: what it brought, the fees of both ways taken off.
        opened_at: when the position was opened, in microseconds; closed_at: of the closing fill.
    """

    symbol: str
    side: str
    quantity: Decimal
    entry_price: Decimal
    exit_price: Decimal
    pnl: Decimal
    fees: Decimal
    opened_at: int
    closed_at: int
    task: str | None = None


@dataclass(slots=True)
class Holding:
    """One position, as the entries leave it; a short one has quantity and cost below 0.

    Attributes:
        cost: what the position was bought for, without fees.
        fees: of the fills that opened it and are not closed yet.
        realized: gains of this symbol so far, fees and dividends counted.
        currency: of cost and gains.
    """

    symbol: str
    currency: str
    quantity: Decimal = ZERO
    cost: Decimal = ZERO
    fees: Decimal = ZERO
    realized: Decimal = ZERO
    opened_at: int = 0

    @property
    def average_price(self) -> Decimal:
        """Cost per unit; 0 for an empty position."""
        return self.cost / self.quantity if self.quantity else ZERO


class Book:
    """The fold of one account's entries.

    Attributes:
        seq: the last entry that was applied.
        cash: by currency.
        holdings: by symbol, closed ones included (their `realized` remains).
        deposits: net cash flows by currency, what the account began with included.
        charges: interest, funding and other charges by currency, as gains (below 0 = paid).
        fees: fees paid, by currency.
        turnover: price times quantity of all fills, by currency.
    """

    __slots__ = ("_own", "cash", "charges", "deposits", "fees", "holdings", "seq", "turnover")

    def __init__(self) -> None:
        self.seq = 0
        self.cash: dict[str, Decimal] = {}
        self.holdings: dict[str, Holding] = {}
        self.deposits: dict[str, Decimal] = {}
        self.charges: dict[str, Decimal] = {}
        self.fees: dict[str, Decimal] = {}
        self.turnover: dict[str, Decimal] = {}
        # Holdings that a fork may write to; None = all.
        self._own: set[str] | None = None

    @classmethod
    def of(cls, entries: Iterable[Entry]) -> Book:
        """Return the fold of entries in the order of `seq`."""
        book = cls()
        for entry in entries:
            book.apply(entry)
        return book

    def fork(self) -> Book:
        """Return a book that goes on from here, while this one stays as it is.

        The two share the holdings that no later entry touches; only the fork may go on.
        """
        other = Book.__new__(Book)
        other.seq = self.seq
        other.cash = dict(self.cash)
        other.holdings = dict(self.holdings)
        other.deposits = dict(self.deposits)
        other.charges = dict(self.charges)
        other.fees = dict(self.fees)
        other.turnover = dict(self.turnover)
        other._own = set()
        return other

    @property
    def positions(self) -> list[Holding]:
        """The open positions, by symbol."""
        return [h for _, h in sorted(self.holdings.items()) if h.quantity]

    def quantity(self, symbol: str) -> Decimal:
        """Return what is held of a symbol; below 0 for a short position."""
        holding = self.holdings.get(symbol)
        return holding.quantity if holding is not None else ZERO

    def apply(self, entry: Entry) -> RoundTrip | None:
        """Add an entry; return the round trip that it ends, if it ends one.

        Raises:
            ValueError: it is not the next one.
        """
        if entry.seq != self.seq + 1:
            raise ValueError(f"entry {entry.seq} cannot follow entry {self.seq}")
        self.seq = entry.seq
        currency = entry.currency
        cash = self.cash
        cash[currency] = cash.get(currency, ZERO) + entry.amount - entry.fee
        if entry.fee:
            self.fees[currency] = self.fees.get(currency, ZERO) + entry.fee
        match entry.kind:
            case EntryKind.FILL:
                return self._fill(entry)
            case EntryKind.CASH:
                self.deposits[currency] = self.deposits.get(currency, ZERO) + entry.amount
                self._charge(currency, -entry.fee)
            case EntryKind.CHARGE:
                self._charge(currency, entry.amount - entry.fee)
            case EntryKind.DIVIDEND:
                self._holding(entry).realized += entry.amount - entry.fee
            case EntryKind.SPLIT:
                self._split(self._holding(entry), entry.price)
        return None

    def _split(self, holding: Holding, ratio: Decimal) -> None:
        holding.quantity = split_quantity(holding.quantity, ratio)
        if not holding.quantity:
            # Less than the smallest part is left: what it cost is lost.
            holding.realized -= holding.cost
            holding.cost = holding.fees = ZERO

    def _charge(self, currency: str, gain: Decimal) -> None:
        if gain:
            self.charges[currency] = self.charges.get(currency, ZERO) + gain

    def _holding(self, entry: Entry) -> Holding:
        symbol = entry.symbol or ""
        holding = self.holdings.get(symbol)
        if holding is None:
            holding = self.holdings[symbol] = Holding(symbol, entry.currency)
        elif self._own is not None and symbol not in self._own:
            holding = self.holdings[symbol] = replace(holding)
        if self._own is not None:
            self._own.add(symbol)
        return holding

    def _fill(self, entry: Entry) -> RoundTrip | None:
        holding = self._holding(entry)
        change, held, paid = entry.quantity, holding.quantity, -entry.amount
        self.turnover[entry.currency] = self.turnover.get(entry.currency, ZERO) + abs(paid)
        holding.realized -= entry.fee
        if not held or (held > 0) == (change > 0):
            if not held:
                holding.opened_at = entry.at
            holding.quantity = held + change
            holding.cost += paid
            holding.fees += entry.fee
            return None
        closing = min(abs(held), abs(change))
        # What the closed part cost, and what it brought; both below 0 for a short position.
        cost = share_of(holding.cost, closing, abs(held))
        brought = -share_of(paid, closing, abs(change))
        opening_fees = share_of(holding.fees, closing, abs(held))
        closing_fees = share_of(entry.fee, closing, abs(change))
        signed = closing if held > 0 else -closing
        opened_at, gain = holding.opened_at, brought - cost
        holding.realized += gain
        holding.cost -= cost
        holding.fees -= opening_fees
        holding.quantity = held - signed
        rest = change + signed
        if rest:
            # The fill turned the position round: what is left of it opens a new one.
            holding.quantity, holding.cost = rest, paid + brought
            holding.fees, holding.opened_at = entry.fee - closing_fees, entry.at
        return RoundTrip(
            entry.symbol or "",
            "long" if held > 0 else "short",
            closing,
            cost / signed,
            brought / signed,
            gain - opening_fees - closing_fees,
            opening_fees + closing_fees,
            opened_at,
            entry.at,
            entry.task,
        )
