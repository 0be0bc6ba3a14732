"""Statements: they balance whatever happened, and show it when the entries are wrong."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closingbell.core.entry import Entry, EntryKind
from closingbell.core.error import NoPrice
from closingbell.tasks.statement import Statement, make_statements

D = Decimal


def entry(seq: int, kind: EntryKind, **values: Any) -> Entry:
    return Entry("main", seq, kind, at=seq, currency=values.pop("currency", "USD"), **values)


def fill(seq: int, symbol: str, quantity: str, price: str, fee: str = "0", **more: Any) -> Entry:
    amount = -D(quantity) * D(price)
    return entry(
        seq, EntryKind.FILL, symbol=symbol, quantity=D(quantity), price=D(price), amount=amount,
        fee=D(fee), **more,
    )  # fmt: skip


DEPOSIT = entry(1, EntryKind.CASH, amount=D(10_000))


def only(
    entries: list[Entry], from_seq: int, opening: Any = None, closing: Any = None
) -> Statement:
    [found] = make_statements(entries, from_seq, opening or {}, closing or {})
    return found


def test_statement_of_a_day_shows_each_line_and_balances() -> None:
    entries = [
        DEPOSIT,
        fill(2, "A", "10", "100", "1"),
        # The day begins here.
        entry(3, EntryKind.CASH, amount=D(500)),
        fill(4, "A", "-4", "120", "2"),
        fill(5, "B", "-5", "40", "1"),
        entry(6, EntryKind.DIVIDEND, symbol="A", quantity=D(6), price=D(2), amount=D(12)),
        entry(7, EntryKind.CHARGE, amount=D("-3.50")),
    ]
    found = only(entries, 3, {"A": D(110)}, {"A": D(130), "B": D(50)})

    assert found._replace(positions=()) == Statement(
        currency="USD",
        opening=D("10099"),  # 8,999 of cash and 10 A at 110
        flows=D(500),
        trading=D(80),  # 4 A from 100 to 120
        dividends=D(12),
        charges=D("-3.50"),
        fees=D(3),
        # 6 A gained 180 in all and 10 A had gained 100; 5 B were sold at 40 and are at 50.
        unrealized=D(30),
        closing=D("10714.50"),
        cash=D("10184.50"),
        positions=(),
        trades=2,
    )
    assert [line[:2] for line in found.positions] == [("A", D(6)), ("B", D(-5))]
    assert found.positions[1].unrealized == D(-50)
    assert found.difference == 0
    assert found.balances


def test_statement_across_a_split_shows_no_gain_that_is_none() -> None:
    entries = [
        DEPOSIT,
        fill(2, "A", "10", "100"),
        entry(3, EntryKind.SPLIT, symbol="A", price=D(2)),
    ]
    found = only(entries, 3, {"A": D(100)}, {"A": D(50)})

    assert (found.opening, found.closing, found.unrealized) == (D(10_000), D(10_000), D(0))
    assert found.positions[0].quantity == 20
    assert found.balances


def test_statement_of_an_account_that_did_nothing_is_flat() -> None:
    found = only([DEPOSIT], 2)

    assert (found.opening, found.closing) == (D(10_000), D(10_000))
    assert (found.trades, found.positions) == (0, ())
    assert found.balances


def test_statement_of_several_currencies_is_one_for_each() -> None:
    entries = [
        DEPOSIT,
        entry(2, EntryKind.CASH, amount=D(50), currency="EUR"),
        fill(3, "BTC/EUR", "2", "10", "1", currency="EUR"),
    ]
    euro, dollar = make_statements(entries, 2, {}, {"BTC/EUR": D(15)})

    assert (euro.currency, euro.opening, euro.closing) == ("EUR", D(0), D(59))
    assert (dollar.currency, dollar.opening, dollar.closing) == ("USD", D(10_000), D(10_000))
    assert euro.balances
    assert dollar.balances


def test_statement_of_a_position_without_a_mark_is_refused() -> None:
    with pytest.raises(NoPrice, match="no price of A"):
        only([DEPOSIT, fill(2, "A", "1", "1")], 2)


def test_statement_of_wrong_entries_shows_the_difference() -> None:
    """Cash went out for ten units, and nine came in."""
    wrong = fill(2, "A", "10", "100")._replace(quantity=D(9))
    found = only([DEPOSIT, wrong], 2, {}, {"A": D(100)})

    assert found.difference == D(-100)
    assert not found.balances
    assert found.to_dict()["difference"] == "-100"


def test_fee_that_was_taken_in_what_was_traded_is_a_fee() -> None:
    """10 units were paid and 9.99 came in; 4.99 went out and 4.985 were paid for."""
    bought = fill(2, "BTC/EUR", "10", "100")._replace(quantity=D("9.99"))
    sold = fill(3, "BTC/EUR", "-4.985", "110")._replace(quantity=D("-4.99"))
    found = only([DEPOSIT, bought, sold], 2, {}, {"BTC/EUR": D(110)})

    assert found.fees == D("1.00") + D("0.55")
    assert found.trading + found.unrealized == D("9.99") * 10
    assert found.balances


quantities = st.decimals(D("-50"), D(50), places=3).filter(bool)
prices = st.decimals(D("0.01"), D(1000), places=2)
fees = st.decimals(D(0), D(5), places=2)
happenings = st.one_of(
    st.tuples(st.just("fill"), st.sampled_from("AB"), quantities, prices, fees),
    st.tuples(st.just("cash"), st.decimals(-1000, 1000, places=2), fees),
    st.tuples(st.just("charge"), st.decimals(-20, 20, places=2), fees),
    st.tuples(st.just("dividend"), st.sampled_from("AB"), st.decimals(-9, 9, places=2), fees),
)


@given(st.lists(happenings, max_size=30), st.data())
def test_statement_of_any_history_balances_and_continues_the_one_before(
    history: list[Any], data: st.DataObject
) -> None:
    entries = [DEPOSIT]
    for happened in history:
        seq = len(entries) + 1
        match happened:
            case ("fill", symbol, quantity, price, fee):
                entries.append(fill(seq, symbol, str(quantity), str(price), str(fee)))
            case ("cash", amount, fee):
                entries.append(entry(seq, EntryKind.CASH, amount=amount, fee=fee))
            case ("charge", amount, fee):
                entries.append(entry(seq, EntryKind.CHARGE, amount=amount, fee=fee))
            case (_, symbol, amount, fee):
                entries.append(
                    entry(seq, EntryKind.DIVIDEND, symbol=symbol, amount=amount, fee=fee)
                )
    cut = data.draw(st.integers(2, len(entries) + 1))
    marks = [{s: data.draw(prices) for s in "AB"} for _ in range(3)]
    first = only(entries[: cut - 1], 1, marks[0], marks[1])
    second = only(entries, cut, marks[1], marks[2])

    assert first.balances
    assert second.balances
    assert second.opening == first.closing
