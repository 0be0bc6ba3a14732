"""Whatever an account goes through, its stored entries fold to the same book."""

from __future__ import annotations

import itertools
from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from closingbell.core.book import Book
from closingbell.core.entry import Entry, EntryKind
from closingbell.core.ledger import OrderChange
from closingbell.core.order import OrderState, OrderType, Side
from tests.conformance.books import Account, Books, cash, fill, order, split

_NUMBER = itertools.count(1)

_amounts = st.decimals(
    min_value=Decimal("0.00000001"), max_value=Decimal(99_999), places=8, allow_nan=False
)
_symbols = st.sampled_from(["AAPL", "MSFT", "BTC/EUR"])
_currencies = st.sampled_from(["USD", "EUR"])
_ratios = st.sampled_from([Decimal(2), Decimal("0.1"), Decimal(7), Decimal("1.5")])


@st.composite
def _fills(draw: st.DrawFn) -> Entry:
    quantity, price = draw(_amounts), draw(_amounts)
    signed = quantity if draw(st.booleans()) else -quantity
    symbol = draw(_symbols)
    return fill()._replace(
        symbol=symbol,
        quantity=signed,
        price=price,
        amount=-signed * price,
        fee=draw(st.sampled_from([Decimal(0), Decimal("0.35"), Decimal("1.00"), Decimal("-0.15")])),
        currency="EUR" if symbol == "BTC/EUR" else "USD",
    )


@st.composite
def _others(draw: st.DrawFn) -> Entry:
    kind = draw(st.sampled_from(list(EntryKind)[1:]))
    if kind is EntryKind.SPLIT:
        return split("1", draw(_symbols))._replace(price=draw(_ratios))
    amount = draw(_amounts) * draw(st.sampled_from([1, -1]))
    entry = cash(str(amount), kind=kind, currency=draw(_currencies))
    return entry._replace(symbol=draw(_symbols)) if kind is EntryKind.DIVIDEND else entry


_changes = st.lists(st.lists(_fills() | _others(), max_size=4), max_size=12)
_many_stores_one_ledger = settings(
    max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def _standing(book: Book) -> dict[str, Any]:
    return {
        "seq": book.seq,
        "cash": book.cash,
        "holdings": book.holdings,
        "deposits": book.deposits,
        "charges": book.charges,
        "fees": book.fees,
        "turnover": book.turnover,
    }


@_many_stores_one_ledger
@given(_changes)
def test_recorded_entries_fold_to_the_book_that_was_kept_beside(
    books: Books, changes: list[list[Entry]]
) -> None:
    account = Account(books.ledger, f"account-{next(_NUMBER)}")
    kept = Book.of(books.ledger.entries(account.name))
    for entries in changes:
        for entry in account.write(entries=entries).entries:
            kept.apply(entry)
    stored = books.ledger.entries(account.name)
    assert [entry.seq for entry in stored] == list(range(1, len(stored) + 1))
    assert _standing(Book.of(stored)) == _standing(kept)
    # Read in two parts, as a process does that has the first one already.
    half = len(stored) // 2
    parts = [*stored[:half], *books.ledger.entries(account.name, after_seq=half)]
    assert _standing(Book.of(parts)) == _standing(kept)


_states = st.sampled_from([OrderState.OPEN, OrderState.OPEN, OrderState.CANCELLED])


@st.composite
def _steps(draw: st.DrawFn) -> list[OrderChange]:
    """What may become of an order, in order: it works until it ends."""
    count = draw(st.integers(0, 5))
    filled = sorted(draw(st.lists(st.integers(0, 10), min_size=count, max_size=count)))
    optional = st.none() | _amounts
    return [
        OrderChange(
            "",
            OrderState.OPEN if place < count - 1 else draw(_states),
            200 + place,
            filled=draw(st.none() | st.just(Decimal(much))),
            limit_price=draw(optional),
            broker_id=draw(st.none() | st.text("ab1", min_size=1)),
            reason=draw(st.none() | st.text("xyz ", min_size=1)),
        )
        for place, much in enumerate(filled)
    ]


@_many_stores_one_ledger
@given(_steps(), st.integers(0, 5))
def test_order_stands_where_its_changes_lead_however_they_are_cut(
    books: Books, steps: list[OrderChange], cut: int
) -> None:
    number = next(_NUMBER)
    account = Account(books.ledger, f"account-{number}")
    first = order(
        f"order-{number}",
        account=account.name,
        side=Side.SELL,
        type=OrderType.LIMIT,
        limit_price=Decimal(5),
    )
    mine = [step._replace(order_id=first.id) for step in steps]
    account.write(orders=[first], order_changes=mine[:cut])
    account.write(order_changes=mine[cut:])
    expected = first
    for step in mine:
        expected = step.apply(expected)
    assert books.ledger.order(first.id) == expected
    assert books.ledger.order_history(first.id) == [
        OrderChange(first.id, OrderState.NEW, first.created_at),
        *mine,
    ]
    working = books.ledger.orders(account.name, working=True)
    assert working == ([expected] if expected.is_working else [])
