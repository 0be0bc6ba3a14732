"""The book: entries folded into cash, positions and gains."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from closingbell.core.amount import ZERO
from closingbell.core.book import Book, RoundTrip
from closingbell.core.entry import Entry, EntryKind


def d(text: str | int) -> Decimal:
    return Decimal(text)


def seen(*values: Any) -> tuple[Any, ...]:
    """Return values as they are, to be compared with whole numbers too."""
    return values


class Journal:
    """Writes entries into a book, numbered by itself."""

    def __init__(self, cash: str | int = 1000) -> None:
        self.book = Book()
        self.entries: list[Entry] = []
        self.add(EntryKind.CASH, amount=d(cash))

    def add(self, kind: EntryKind, **given: Any) -> RoundTrip | None:
        entry = Entry("main", len(self.entries) + 1, kind, len(self.entries), "USD", **given)
        self.entries.append(entry)
        return self.book.apply(entry)

    def fill(
        self, quantity: str | int, price: str | int, fee: str | int = 0, symbol: str = "AAPL"
    ) -> RoundTrip | None:
        change, paid = d(quantity), -d(quantity) * d(price)
        return self.add(
            EntryKind.FILL,
            amount=paid,
            fee=d(fee),
            symbol=symbol,
            quantity=change,
            price=d(price),
            order_id="o",
        )


def test_position_that_grows_has_the_average_of_what_it_cost() -> None:
    journal = Journal()
    journal.fill(2, 100)
    journal.fill(1, 130)
    holding = journal.book.holdings["AAPL"]
    assert seen(holding.quantity, holding.cost, holding.average_price) == (3, 330, 110)
    assert journal.book.cash == {"USD": d(670)}


def test_position_that_shrinks_realises_its_share_of_the_gain() -> None:
    journal = Journal()
    journal.fill(4, 100, fee=2)
    trip = journal.fill(-1, 150, fee=1)
    holding = journal.book.holdings["AAPL"]
    assert holding.realized == 50 - 2 - 1
    assert seen(holding.quantity, holding.cost, holding.fees) == (3, 300, d("1.5"))
    assert trip == RoundTrip("AAPL", "long", d(1), d(100), d(150), d("48.5"), d("1.5"), 1, 2, None)


def test_short_position_gains_when_it_is_covered_lower() -> None:
    journal = Journal()
    journal.fill(-2, 100)
    assert journal.book.holdings["AAPL"].cost == -200
    trip = journal.fill(2, 75)
    assert journal.book.holdings["AAPL"].realized == 50
    assert trip is not None
    assert seen(trip.side, trip.quantity, trip.entry_price, trip.exit_price, trip.pnl) == (
        "short",
        2,
        100,
        75,
        50,
    )
    assert journal.book.cash == {"USD": d(1050)}


def test_fill_that_turns_a_position_round_closes_one_and_opens_another() -> None:
    journal = Journal()
    journal.fill(2, 100)
    trip = journal.fill(-5, 120, fee=5)
    holding = journal.book.holdings["AAPL"]
    assert trip is not None
    assert seen(trip.quantity, trip.pnl, trip.fees) == (2, 38, 2)
    assert seen(holding.quantity, holding.cost, holding.fees) == (-3, -360, 3)
    assert holding.opened_at == 2
    assert holding.realized == 40 - 5


def test_thirds_of_a_position_leave_no_rest_behind() -> None:
    journal = Journal()
    journal.fill(3, 100, fee="0.1")
    for _ in range(3):
        journal.fill(-1, "33.33333333")
    holding = journal.book.holdings["AAPL"]
    assert seen(holding.quantity, holding.cost, holding.fees) == (0, 0, 0)
    assert journal.book.cash["USD"] == 1000 + holding.realized


def test_split_multiplies_the_quantity_and_leaves_the_cost() -> None:
    journal = Journal()
    journal.fill(3, 100)
    journal.add(EntryKind.SPLIT, symbol="AAPL", price=d(2))
    holding = journal.book.holdings["AAPL"]
    assert seen(holding.quantity, holding.cost, holding.average_price) == (6, 300, 50)


def test_reverse_split_whose_ratio_is_no_decimal_gives_whole_units_again() -> None:
    journal = Journal()
    journal.fill(9, 100)
    journal.add(EntryKind.SPLIT, symbol="AAPL", price=d(1) / d(3))
    assert journal.book.quantity("AAPL") == 3


def test_position_of_which_a_reverse_split_leaves_nothing_is_lost() -> None:
    journal = Journal()
    journal.fill("0.00000002", 100, fee=1)
    journal.add(EntryKind.SPLIT, symbol="AAPL", price=d("0.1"))
    holding = journal.book.holdings["AAPL"]
    assert seen(holding.quantity, holding.cost, holding.fees) == (0, 0, 0)
    assert journal.book.cash["USD"] == 1000 + holding.realized


def test_dividend_charge_and_fee_are_gains_of_their_kind() -> None:
    journal = Journal()
    journal.fill(10, 50, fee=1)
    journal.add(EntryKind.DIVIDEND, symbol="AAPL", quantity=d(10), price=d("0.5"), amount=d(5))
    journal.add(EntryKind.CHARGE, amount=d("-1.25"))
    book = journal.book
    assert book.holdings["AAPL"].realized == 4
    assert book.charges == {"USD": d("-1.25")}
    assert book.fees == {"USD": d(1)}
    assert book.turnover == {"USD": d(500)}
    assert book.cash["USD"] + book.holdings["AAPL"].cost == 1000 + 4 - d("1.25")


def test_fill_whose_fee_was_taken_in_units_costs_what_was_paid() -> None:
    journal = Journal()
    journal.add(
        EntryKind.FILL,
        amount=d(-100),
        symbol="BTC/USD",
        quantity=d("0.999"),
        price=d(100),
        order_id="o",
    )
    holding = journal.book.holdings["BTC/USD"]
    assert seen(holding.quantity, holding.cost) == (d("0.999"), 100)


def test_fork_goes_on_while_the_book_stays_as_it_is() -> None:
    journal = Journal()
    journal.fill(1, 100)
    journal.fill(1, 10, symbol="IBM")
    before = journal.book
    journal.book = before.fork()
    journal.fill(-1, 150)
    journal.fill(5, 1, symbol="MSFT")
    assert before.seq == 3
    assert before.quantity("AAPL") == 1
    assert before.holdings["AAPL"].realized == ZERO
    assert "MSFT" not in before.holdings
    assert before.cash == {"USD": d(890)}
    assert journal.book.quantity("AAPL") == 0
    assert journal.book.holdings["IBM"] is before.holdings["IBM"]


def test_entry_out_of_order_is_refused() -> None:
    journal = Journal()
    with pytest.raises(ValueError, match="entry 3 cannot follow entry 1"):
        journal.book.apply(Entry("main", 3, EntryKind.CASH, 0, "USD", d(1)))


def test_book_of_entries_is_the_book_that_applied_them() -> None:
    journal = Journal()
    journal.fill(3, 100, fee=1)
    journal.fill(-2, 90)
    again = Book.of(journal.entries)
    assert again.cash == journal.book.cash
    assert again.holdings == journal.book.holdings
    assert [holding.symbol for holding in again.positions] == ["AAPL"]
