"""The ledger's contract, on both stores and on the in-memory twin."""

from __future__ import annotations

import threading
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from closingbell.core.error import (
    AccountMismatch,
    ClosingbellError,
    FenceLost,
    LedgerConflict,
    StoreError,
    UnknownAccount,
)
from closingbell.core.ledger import AccountRecord, Change, Fact, OrderChange
from closingbell.core.order import OrderState, OrderType, Side
from tests.conformance.books import (
    Account,
    Books,
    cash,
    fill,
    filled,
    new_account,
    order,
    snapshot,
    split,
    who,
)

FACT = Fact("order_filled", {"symbol": "AAPL", "quantity": "10"})


def everything(books: Books) -> tuple[Any, ...]:
    """All that account "main" has, to see that nothing was added."""
    ledger = books.ledger
    return (
        ledger.accounts(),
        ledger.entries("main"),
        ledger.orders("main"),
        [ledger.order_history(one.id) for one in ledger.orders("main")],
        ledger.snapshots("main"),
        books.told(),
    )


def replaced(record: AccountRecord, term: str, value: Any) -> AccountRecord:
    """The account with another term."""
    return record._replace(**{term: value})


# --- accounts ----------------------------------------------------------------------------


def test_open_account_stores_it_with_its_deposit(books: Books) -> None:
    account = Account(books.ledger)
    assert account.record.seq == 1
    assert books.ledger.account("main") == account.record
    assert books.ledger.entries("main") == [
        cash("10000", account="main", seq=1, at=1),
    ]


def test_open_account_again_returns_it_as_it_stands(books: Books) -> None:
    account = Account(books.ledger)
    account.write(entries=[cash("5")])
    again = Account(books.ledger, cash="777")
    assert again.record == account.record
    assert again.record.initial == Decimal(10000)
    assert len(books.ledger.entries("main")) == 2


def test_open_account_without_deposit_has_an_empty_journal(books: Books) -> None:
    assert books.ledger.open_account(new_account()).seq == 0
    assert books.ledger.entries("main") == []


@pytest.mark.parametrize(("term", "declared"), [("currency", "EUR"), ("broker", "ccxt")])
def test_open_account_on_other_terms_is_refused(books: Books, term: str, declared: str) -> None:
    before = Account(books.ledger).record
    with pytest.raises(AccountMismatch) as refused:
        books.ledger.open_account(replaced(new_account(), term, declared))
    assert (refused.value.term, refused.value.declared) == (term, declared)
    assert books.ledger.accounts() == [before]


def test_accounts_are_listed_by_name(books: Books) -> None:
    for name in ("main", "Zürich", "alpha"):
        Account(books.ledger, name)
    assert [record.name for record in books.ledger.accounts()] == ["Zürich", "alpha", "main"]


@pytest.mark.parametrize(
    "ask",
    [
        lambda ledger: ledger.account("mian"),
        lambda ledger: ledger.entries("mian"),
        lambda ledger: ledger.orders("mian"),
        lambda ledger: ledger.snapshots("mian"),
        lambda ledger: ledger.archive("mian", [1], 5),
        lambda ledger: ledger.record(Change(new_account("mian"))),
    ],
)
def test_unknown_account_is_refused_with_the_nearest_name(
    books: Books, ask: Callable[[Any], Any]
) -> None:
    Account(books.ledger)
    with pytest.raises(UnknownAccount, match="did you mean 'main'"):
        ask(books.ledger)


# --- recording ---------------------------------------------------------------------------


def test_record_makes_every_part_true(books: Books) -> None:
    account = Account(books.ledger)
    prices = {"AAPL": (200, Decimal("12.50")), "BTC/EUR": (190, Decimal("0.00000001"))}
    record = account.record._replace(
        peak=Decimal("10000.65"),
        cursor=200,
        cursor_opened=True,
        prices=prices,
        breached=True,
        sync={"since": 17, "ids": ["a", "b"]},
    )
    stored = account.write(
        account=record,
        entries=[fill(external_id="x1", run_id="r", task="t", note="slipped")],
        orders=[order(reason="as asked")],
        order_changes=[filled()],
        snapshots=[snapshot(200)],
        facts=[FACT],
    )
    ledger = books.ledger
    assert ledger.account("main") == account.record
    assert account.record.version == 1
    assert ledger.entries("main")[1:] == list(stored.entries)
    done = order(state=OrderState.FILLED, filled=Decimal(10), updated_at=200, reason="as asked")
    assert ledger.order("o1") == done
    assert ledger.snapshots("main") == [snapshot(200)]
    assert books.told() == [(FACT.type, FACT.data)]


def test_record_of_nothing_raises_the_version(books: Books) -> None:
    account = Account(books.ledger)
    account.write()
    assert books.ledger.account("main") == account.record
    assert account.record.version == 1


def test_record_from_an_old_reading_is_refused_whole(books: Books) -> None:
    account, other = Account(books.ledger), Account(books.ledger)
    other.write(entries=[cash("1")])
    before = everything(books)
    with pytest.raises(LedgerConflict) as refused:
        account.write(
            entries=[fill()],
            orders=[order()],
            order_changes=[filled()],
            snapshots=[snapshot(200)],
            facts=[FACT],
        )
    assert (refused.value.expected, refused.value.found) == ("0", "1")
    assert everything(books) == before


def test_record_with_a_gap_in_the_journal_is_refused_whole(books: Books) -> None:
    account = Account(books.ledger)
    before = everything(books)
    change = account.change(entries=[cash("1"), cash("2")], orders=[order()])
    apart = [change.entries[0], change.entries[1]._replace(seq=4)]
    with pytest.raises(LedgerConflict):
        books.ledger.record(change._replace(entries=apart))
    assert everything(books) == before


def test_record_of_an_order_that_is_stored_is_refused_whole(books: Books) -> None:
    account = Account(books.ledger)
    account.write(orders=[order()])
    before = everything(books)
    with pytest.raises(LedgerConflict):
        account.write(entries=[cash("1")], orders=[order("o2"), order()])
    assert everything(books) == before


def test_record_under_a_held_fence_is_true(books: Books) -> None:
    holder = books.holder()
    Account(books.ledger).write(orders=[order(run_id=holder.run_id, ordinal=1)], holder=holder)
    assert len(books.ledger.orders("main", run_id=holder.run_id)) == 1


def test_record_under_a_lost_fence_stores_nothing_at_all(books: Books) -> None:
    account, holder = Account(books.ledger), books.holder()
    before = everything(books)
    books.lose(holder)
    with pytest.raises(FenceLost) as refused:
        account.write(
            entries=[fill()],
            orders=[order()],
            order_changes=[filled()],
            snapshots=[snapshot(200)],
            facts=[FACT],
            holder=holder,
        )
    assert (refused.value.run_id, refused.value.fence) == tuple(holder)
    assert everything(books) == before


# --- orders ------------------------------------------------------------------------------


def test_order_keeps_every_field(books: Books) -> None:
    whole = order(
        side=Side.SELL,
        type=OrderType.STOP_LIMIT,
        quantity=Decimal("0.12345678"),
        limit_price=Decimal("31000.5"),
        stop_price=Decimal("31001"),
        time_in_force="day",
        effective_at=120,
        run_id="r1",
        fence=3,
        ordinal=2,
        task="rebalance",
        priority=2,
        broker_id="b-7",
        reason="because",
    )
    Account(books.ledger).write(orders=[whole])
    assert books.ledger.order("o1") == whole
    assert books.ledger.order("o2") is None


def test_order_changes_leave_what_they_do_not_name(books: Books) -> None:
    account = Account(books.ledger)
    first = order(type=OrderType.LIMIT, limit_price=Decimal(50), broker_id="b1", reason="as asked")
    account.write(orders=[first])
    account.write(
        order_changes=[
            OrderChange("o1", OrderState.OPEN, 110),
            OrderChange("o1", OrderState.OPEN, 120, filled=Decimal(4)),
        ]
    )
    account.write(
        order_changes=[
            OrderChange(
                "o1",
                OrderState.OPEN,
                130,
                filled=Decimal(8),
                quantity=Decimal(20),
                limit_price=Decimal(25),
                reason="split 2 for 1",
            ),
            OrderChange("o1", OrderState.CANCELLED, 140, broker_id="b2"),
        ]
    )
    found = books.ledger.order("o1")
    assert found is not None
    assert (found.state, found.updated_at) == (OrderState.CANCELLED, 140)
    assert (found.filled, found.quantity) == (Decimal(8), Decimal(20))
    assert found.limit_price == Decimal(25)
    assert (found.broker_id, found.reason) == ("b2", "split 2 for 1")
    assert (found.stop_price, found.created_at) == (None, 100)


def test_order_history_begins_with_its_first_state_and_has_each_change(books: Books) -> None:
    account = Account(books.ledger)
    steps = [
        OrderChange("o1", OrderState.OPEN, 110, broker_id="b1"),
        OrderChange("o1", OrderState.OPEN, 120, Decimal("2.5"), reason="in part"),
        filled(),
    ]
    account.write(orders=[order()], order_changes=steps[:1])
    account.write(order_changes=steps[1:])
    assert books.ledger.order_history("o1") == [OrderChange("o1", OrderState.NEW, 100), *steps]
    assert books.ledger.order_history("nobody") == []


def test_orders_are_found_by_what_is_asked_for(books: Books) -> None:
    account = Account(books.ledger)
    Account(books.ledger, "other").write(
        orders=[order("z", account="other", run_id="r0", ordinal=1)]
    )
    account.write(
        orders=[
            order("c", created_at=100, run_id="r1", ordinal=2),
            order("b", created_at=300, run_id="r1", ordinal=1, symbol="MSFT"),
            order("a", created_at=200),
            order("d", created_at=100, state=OrderState.OPEN),
        ],
        order_changes=[filled("a", 400)],
    )

    def ids(**wanted: Any) -> list[str]:
        return [one.id for one in books.ledger.orders("main", **wanted)]

    assert ids() == ["c", "d", "a", "b"]
    assert ids(limit=2) == ["a", "b"]
    assert ids(working=True) == ["c", "d", "b"]
    assert ids(working=True, limit=1) == ["b"]
    assert ids(run_id="r1") == ["b", "c"]
    assert ids(run_id="r1", working=True, symbol="AAPL") == ["c"]
    assert ids(run_id="r0") == []
    assert ids(symbol="MSFT") == ["b"]
    assert ids(limit=0) == []


# --- entries -----------------------------------------------------------------------------


def test_entries_are_found_by_what_is_asked_for(books: Books) -> None:
    account = Account(books.ledger)
    account.write(
        entries=[
            fill(at=200),
            fill("-3", at=300),
            split("2", at=250),
            fill(at=400, symbol="MSFT"),
            cash("-5", at=400),
        ],
        orders=[order()],
    )

    def seqs(**wanted: Any) -> list[int]:
        return [entry.seq for entry in books.ledger.entries("main", **wanted)]

    assert seqs() == [1, 2, 3, 4, 5, 6]
    assert seqs(after_seq=4) == [5, 6]
    assert seqs(kind="fill") == [2, 3, 5]
    assert seqs(kind="fill", symbol="AAPL") == [2, 3]
    assert seqs(symbol="AAPL") == [2, 3, 4]
    assert seqs(after=200) == [3, 4, 5, 6]
    assert seqs(before=250) == [1, 2]
    assert seqs(after=200, before=400) == [3, 4]
    assert seqs(after=5000) == []
    assert seqs(kind="fill", after_seq=2, after=250, before=401, symbol="MSFT") == [5]


def test_archived_entries_are_marked_once_and_still_count(books: Books) -> None:
    account = Account(books.ledger)
    account.write(entries=[cash("1"), cash("2"), cash("3")])
    before = books.ledger.entries("main")
    assert books.ledger.archive("main", [2, 3, 99], 500) == 2
    assert books.ledger.archive("main", [3, 4, 4], 600) == 1
    assert books.ledger.archive("main", [], 600) == 0
    assert books.ledger.entries("main") == before
    assert [e.seq for e in books.ledger.entries("main", archived=True)] == [2, 3, 4]
    assert [e.seq for e in books.ledger.entries("main", archived=False)] == [1]
    assert books.ledger.account("main") == account.record


@pytest.mark.parametrize(
    "amount",
    [
        "0.1", "1E+3", "1E-18", "123456789012345678901234567890.12345678", "-0.000", "12.5000",
        "-99999999999.99999999", "0E-8",
    ],
)  # fmt: skip
def test_amounts_come_back_to_the_last_digit(books: Books, amount: str) -> None:
    given = Decimal(amount)
    Account(books.ledger).write(entries=[cash(amount, kind=split("2").kind.CHARGE)])
    [found] = books.ledger.entries("main", after_seq=1)
    assert found.amount == given
    assert found.amount.as_tuple().digits[:1] == given.as_tuple().digits[:1]
    assert -min(0, int(found.amount.as_tuple().exponent)) == -min(0, int(given.as_tuple().exponent))


def test_text_that_a_database_cannot_keep_is_kept_as_well_as_it_can(books: Books) -> None:
    account = Account(books.ledger)
    account.write(
        entries=[cash("1", note="line\r\nline 'quoted' \\ %s ? é 東")],
        orders=[order(reason="a\0b\ud800")],
    )
    assert books.ledger.entries("main")[1].note == "line\r\nline 'quoted' \\ %s ? é 東"
    found = books.ledger.order("o1")
    assert found is not None
    assert (found.reason or "").startswith("a")


# --- snapshots ---------------------------------------------------------------------------


def test_snapshots_are_a_curve_with_one_point_for_each_instant(books: Books) -> None:
    account = Account(books.ledger)
    Account(books.ledger, "other").write(snapshots=[snapshot(5, account="other")])
    account.write(snapshots=[snapshot(30), snapshot(10), snapshot(20)])
    account.write(snapshots=[snapshot(20, "77.7")])
    curve = [snapshot(10), snapshot(20, "77.7"), snapshot(30)]
    assert books.ledger.snapshots("main") == curve
    assert books.ledger.snapshots("main", after=10) == curve[1:]
    assert books.ledger.snapshots("main", limit=2) == curve[1:]
    assert books.ledger.snapshots("main", after=20, limit=5) == curve[2:]
    assert books.ledger.snapshots("main", after=30) == []
    assert books.ledger.snapshots("main", limit=0) == []


# --- latches -----------------------------------------------------------------------------


def test_latch_is_the_first_runs_until_the_condition_ends(books: Books) -> None:
    first, second = books.holder(), books.holder()
    latch = books.ledger.latch
    assert latch("main", "drawdown", first, False, 1) is False
    assert latch("main", "drawdown", first, True, 2) is True
    assert latch("main", "drawdown", second, True, 3) is False
    assert latch("main", "drawdown", first, True, 4) is True
    assert latch("main", "drawdown", second, False, 5) is False
    assert latch("main", "drawdown", second, True, 6) is True
    assert latch("main", "drawdown", first, True, 7) is False


def test_latches_of_other_accounts_and_names_are_their_own(books: Books) -> None:
    first, second = books.holder(), books.holder()
    latch = books.ledger.latch
    assert latch("main", "drawdown", first, True, 1) is True
    assert latch("other", "drawdown", second, True, 1) is True
    assert latch("main", "concentration", second, True, 1) is True
    assert latch("other", "drawdown", first, False, 2) is False
    assert latch("main", "drawdown", second, True, 3) is False


def test_latch_under_a_lost_fence_is_refused_and_unchanged(books: Books) -> None:
    lost, second = books.holder(), books.holder()
    assert books.ledger.latch("main", "drawdown", lost, True, 1) is True
    books.lose(lost)
    for closed in (True, False):
        with pytest.raises(FenceLost):
            books.ledger.latch("main", "drawdown", lost, closed, 2)
    assert books.ledger.latch("main", "drawdown", second, True, 3) is False


# --- holding a name ----------------------------------------------------------------------


def test_held_name_keeps_other_threads_out_and_other_names_free(books: Books) -> None:
    order_of_events: list[str] = []
    inside, go = threading.Event(), threading.Event()

    def hold() -> None:
        with books.ledger.holding("pump"):
            inside.set()
            assert go.wait(30)
            order_of_events.append("first leaves")

    def wait_for_it() -> None:
        with books.ledger.holding("pump"):
            order_of_events.append("second enters")

    first, second = threading.Thread(target=hold), threading.Thread(target=wait_for_it)
    first.start()
    assert inside.wait(30)
    second.start()
    with books.ledger.holding("other"):
        order_of_events.append("other name")
    go.set()
    first.join()
    second.join()
    assert order_of_events == ["other name", "first leaves", "second enters"]


def test_held_name_may_be_taken_again_by_its_thread_and_is_free_after_an_error(
    books: Books,
) -> None:
    def fail_inside() -> None:
        with books.ledger.holding("pump"):
            with books.ledger.holding("pump"):
                pass
            raise ClosingbellError("stop")

    with pytest.raises(ClosingbellError, match="stop"):
        fail_inside()
    taken: list[str] = []

    def take() -> None:
        with books.ledger.holding("pump"):
            taken.append("pump")

    other = threading.Thread(target=take)
    other.start()
    other.join(30)
    assert taken == ["pump"]


# --- what cannot be ----------------------------------------------------------------------

#: With what is said of it, in whichever words; what also the twin refuses.
_CONTRADICTIONS: dict[str, tuple[dict[str, Any], str]] = {
    "a change of an order that is not there": (
        {"order_changes": [filled("nobody")]},
        "has not all of the orders",
    ),
    "a change of another account's order": (
        {"order_changes": [filled("theirs")]},
        "has not all of the orders",
    ),
    "a fill that is told twice": (
        {"entries": [fill(external_id="x1")]},
        r"entries_external|external_id",
    ),
    "a fill that is told twice at once": (
        {"entries": [fill(external_id="x2"), fill(external_id="x2")]},
        r"entries_external|external_id",
    ),
}

#: With what the database says, in whichever words.
_IMPOSSIBLE: dict[str, tuple[dict[str, Any], str]] = {
    "an order that works again": (
        {"order_changes": [OrderChange("ended", OrderState.OPEN, 300)]},
        "never works again",
    ),
    "more filled than was ordered": (
        {"order_changes": [filled("mine", quantity="10.0000001")]},
        "orders_not_overfilled",
    ),
    "a fill of nothing": ({"entries": [fill("0")]}, "entries_fill_is_whole"),
    "a fill of no order": ({"entries": [fill(order_id=None)]}, "entries_fill_is_whole"),
    "a fill without a symbol": ({"entries": [fill(symbol=None)]}, "entries_fill_is_whole"),
    "a fee that is no number": ({"entries": [fill(fee=Decimal("NaN"))]}, "entries_fee_is_decimal"),
    "an amount that is no number": ({"entries": [cash("NaN")]}, "entries_amount_is_decimal"),
    "a split that moves cash": (
        {"entries": [split("2")._replace(amount=Decimal(1))]},
        "entries_split_moves_no_cash",
    ),
    "a split by nothing": ({"entries": [split("0")]}, "entries_split_moves_no_cash"),
    "cash of a symbol": ({"entries": [cash("1", symbol="AAPL")]}, "entries_cash_has_no_symbol"),
    "a second order of one ordinal": (
        {"orders": [order("again", run_id="r1", ordinal=1)]},
        "order again is at version stored",
    ),
    "a run's order that is not counted": (
        {"orders": [order("odd", run_id="r1")]},
        "orders_of_a_run_are_counted",
    ),
    "an order for nothing": (
        {"orders": [order("none", quantity=Decimal(0))]},
        "orders_quantity_positive",
    ),
    "a limit order without its price": (
        {"orders": [order("free", type=OrderType.LIMIT)]},
        "orders_limit_has_its_price",
    ),
    "a market order with a price": (
        {"orders": [order("odd", stop_price=Decimal(1))]},
        "orders_stop_has_its_price",
    ),
    "an order of an unknown lifetime": (
        {"orders": [order("long", time_in_force="ioc")]},
        "orders_time_in_force_known",
    ),
}


@pytest.mark.parametrize("books", who("what cannot be is refused"), indirect=True)
@pytest.mark.parametrize("impossible", _IMPOSSIBLE)
def test_what_cannot_be_is_refused_whole(books: Books, impossible: str) -> None:
    refused_whole(books, *_IMPOSSIBLE[impossible])


@pytest.mark.parametrize("contradiction", _CONTRADICTIONS)
def test_what_contradicts_the_ledger_is_refused_whole(books: Books, contradiction: str) -> None:
    refused_whole(books, *_CONTRADICTIONS[contradiction])


def refused_whole(books: Books, parts: dict[str, Any], said: str) -> None:
    """Nothing of a change with such a part is true afterwards, and the next one is taken."""
    account = Account(books.ledger)
    Account(books.ledger, "other").write(orders=[order("theirs", account="other")])
    account.write(
        entries=[fill(external_id="x1")],
        orders=[order("mine", run_id="r1", ordinal=1), order("ended")],
        order_changes=[filled("ended")],
    )
    before = everything(books)
    rest: dict[str, Any] = {"snapshots": [snapshot(300)], "facts": [FACT]}
    with pytest.raises((StoreError, LedgerConflict), match=said):
        account.write(**parts, **rest)
    assert everything(books) == before
    account.write(entries=[cash("1")], **rest)
    assert len(everything(books)[1]) == len(before[1]) + 1
