"""The databases themselves keep the ledger's lines: no statement may change them."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest
import sqlalchemy as sa

from closingbell.core.error import StoreError
from closingbell.core.order import OrderState
from closingbell.store.append_only import GUARDS
from tests.conformance.books import Account, cash, fill, filled, order
from tests.conformance.desk import Desk


@pytest.fixture
def desk(store_address: str) -> Iterator[Desk]:
    """A store with an account, an order that works and one that has ended."""
    made = Desk(store_address)
    Account(made.store.ledger).write(
        entries=[fill(), cash("5")],
        orders=[order("o1"), order("o2", state=OrderState.OPEN)],
        order_changes=[filled("o1")],
    )
    yield made
    made.close()


#: One statement at least for each guard, by its name.
_REFUSED = {
    "desk_accounts_advance": "UPDATE desk_accounts SET peak = '1'",
    "desk_accounts_advance by two": "UPDATE desk_accounts SET version = version + 2",
    "desk_accounts_advance backwards": "UPDATE desk_accounts SET version = version + 1, seq = 1",
    "desk_accounts_stay": "UPDATE desk_accounts SET version = version + 1, currency = 'EUR'",
    "desk_orders_stay": "UPDATE desk_orders SET side = 'sell' WHERE id = 'o2'",
    "desk_orders_stay of whom": "UPDATE desk_orders SET account = 'other'",
    "desk_orders_remain": "DELETE FROM desk_orders WHERE id = 'o1'",
    "desk_orders_end": "UPDATE desk_orders SET state = 'open' WHERE id = 'o1'",
    "desk_order_history_follow": "INSERT INTO desk_order_history (order_id, seq, state, changed_at)"
    " VALUES ('o2', 3, 'open', 1)",
    "desk_order_history_stay": "UPDATE desk_order_history SET reason = 'no' WHERE order_id = 'o1'",
    "desk_order_history_remain": "DELETE FROM desk_order_history",
    "desk_entries_follow": "INSERT INTO desk_entries (account, seq, kind, happened_at, currency, amount,"
    " fee, quantity, price) VALUES ('main', 5, 'cash', 1, 'USD', '1', '0', '0', '0')",
    "desk_entries_follow in an empty journal": "INSERT INTO desk_entries (account, seq, kind, happened_at,"
    " currency, amount, fee, quantity, price) VALUES ('new', 2, 'cash', 1, 'USD', '1', '0', '0', '0')",
    "desk_entries_stay": "UPDATE desk_entries SET amount = '1000000' WHERE seq = 3",
    "desk_entries_stay with the mark": "UPDATE desk_entries SET archived_at = 1, note = 'x' WHERE seq = 3",
    "desk_entries_remain": "DELETE FROM desk_entries WHERE seq = 3",
    "audit_records_follow": "INSERT INTO audit_records (seq, acted_at, actor, actor_kind, action,"
    " target_kind, target_id, previous_hash, hash) SELECT seq, acted_at, actor, actor_kind, action,"
    " target_kind, target_id, previous_hash, hash FROM audit_records",
    "audit_records_stay": "UPDATE audit_records SET actor = 'nobody'",
    "audit_records_remain": "DELETE FROM audit_records",
}


@pytest.mark.parametrize("guard", _REFUSED)
def test_statement_that_rewrites_history_is_refused(desk: Desk, guard: str) -> None:
    [said] = [one.message for one in GUARDS if one.name == guard.split()[0]]
    with desk.store.database.reading() as connection:
        before = [connection.execute(sa.text(f"SELECT * FROM {t}")).all() for t in _TABLES]
    with (
        pytest.raises(StoreError, match=said),
        desk.store.database.writing() as connection,
    ):
        connection.execute(sa.text(_REFUSED[guard]))
    with desk.store.database.reading() as connection:
        after = [connection.execute(sa.text(f"SELECT * FROM {t}")).all() for t in _TABLES]
    assert after == before


_TABLES = ("desk_accounts", "desk_orders", "desk_order_history", "desk_entries", "audit_records")


def test_every_guard_is_tried() -> None:
    assert {name.split()[0] for name in _REFUSED} == {guard.name for guard in GUARDS}


def test_sqlite_cannot_replace_a_line_by_inserting_it_again(sqlite_address: str) -> None:
    desk = Desk(sqlite_address)
    Account(desk.store.ledger)
    with (
        pytest.raises(StoreError, match="numbered 1, 2, 3"),
        desk.store.database.writing() as connection,
    ):
        connection.execute(
            sa.text(
                "INSERT OR REPLACE INTO desk_entries SELECT account, seq, kind, happened_at, currency,"
                " '9', fee, symbol, quantity, price, order_id, run_id, task, external_id, note,"
                " archived_at FROM desk_entries"
            )
        )
    assert desk.store.ledger.entries("main")[0].amount == Decimal(10000)
    desk.close()


@pytest.mark.parametrize(
    "text",
    ["1e5", "", "-", ".5", "5.", "-.5", "1.2.3", "1-2", "--1", " 1", "+1", "1,5", "Infinity"],
)
def test_amount_in_another_notation_is_refused(desk: Desk, text: str) -> None:
    with (
        pytest.raises(StoreError, match="orders_filled_is_decimal"),
        desk.store.database.writing() as connection,
    ):
        connection.execute(
            sa.text("UPDATE desk_orders SET filled = :text WHERE id = 'o2'"), {"text": text}
        )


@pytest.mark.parametrize("text", ["0", "5", "5.0", "0.00000001", "0009"])
def test_amount_in_plain_notation_is_taken(desk: Desk, text: str) -> None:
    with desk.store.database.writing() as connection:
        connection.execute(
            sa.text("UPDATE desk_orders SET filled = :text WHERE id = 'o2'"), {"text": text}
        )
    found = desk.store.ledger.order("o2")
    assert found is not None
    assert found.filled == Decimal(text)


@pytest.mark.parametrize(
    ("quantity", "traded"),
    [
        ("10", "10.00000000"),
        ("0.1", "0.10"),
        ("12345678901234567890.12345678", "12345678901234567890.12345678"),
        ("0.00000001", "0.00000001"),
    ],
)
def test_order_may_be_filled_to_the_last_digit(desk: Desk, quantity: str, traded: str) -> None:
    placed = order("o3", quantity=Decimal(quantity), filled=Decimal(traded))
    Account(desk.store.ledger).write(orders=[placed])
    assert desk.store.ledger.order("o3") == placed


@pytest.mark.parametrize(
    ("quantity", "traded"),
    [("10", "10.00000001"), ("99999999", "99999999.01"), ("0.00000001", "0.00000002")],
)
def test_order_is_not_filled_beyond_what_was_ordered(
    desk: Desk, quantity: str, traded: str
) -> None:
    placed = order("o3", quantity=Decimal(quantity), filled=Decimal(traded))
    with pytest.raises(StoreError, match="orders_not_overfilled"):
        Account(desk.store.ledger).write(orders=[placed])
