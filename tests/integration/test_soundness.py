"""What `db verify` finds, on both stores: each thing that must always hold, broken once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from closingbell.core.error import RestoreError
from closingbell.store.append_only import GUARDS
from closingbell.store.rehearsal import restored_aside
from closingbell.store.soundness import soundness
from tests.conformance.books import Account, cash, fill, filled, order
from tests.conformance.desk import Desk
from tests.postgres import PostgresServer


@pytest.fixture
def desk(store_address: str) -> Iterator[Desk]:
    """A store in use, without the triggers that would keep the tests from breaking it."""
    made = Desk(store_address)
    made.finish(made.submit_one())
    Account(made.store.ledger).write(
        entries=[fill(), cash("-1")],
        orders=[order("o1"), order("o2")],
        order_changes=[filled("o1")],
    )
    made.store.audit.append("task.paused", "task", "x")
    made.store.audit.append("task.resumed", "task", "x")
    yield made
    made.close()


def _execute(desk: Desk, *statements: str) -> None:
    with desk.store.database.writing() as connection:
        for statement in statements:
            connection.execute(sa.text(statement))


def _unguard(desk: Desk, table: str) -> set[str]:
    """Drop a table's triggers, as who tampers would; return what a check says of that."""
    on = f" ON {table}" if desk.store.dialect == "postgresql" else ""
    mine = [guard for guard in GUARDS if guard.table == table]
    _execute(desk, *(f"DROP TRIGGER {guard.name}{on}" for guard in mine))
    return {f"trigger {g.name} is missing: {table} is not protected" for g in mine}


def test_store_in_use_is_sound(desk: Desk) -> None:
    report = soundness(desk.store)
    assert report["problems"] == []
    assert report["ok"]
    assert report["rows"]["desk_orders"] == 2
    assert report["audit_head"].startswith(str(report["rows"]["audit_records"]) + ":")


def test_journal_with_a_gap_does_not_fold(desk: Desk) -> None:
    unguarded = _unguard(desk, "desk_entries")
    _execute(desk, "UPDATE desk_entries SET seq = 7 WHERE seq = 2")
    problems = set(soundness(desk.store)["problems"])
    assert "the journal of account 'main' does not fold: entry 3 cannot follow entry 1" in problems
    assert unguarded < problems


def test_order_that_stands_elsewhere_than_its_history_leads_is_named(desk: Desk) -> None:
    unguarded = _unguard(desk, "desk_orders")
    _execute(desk, "UPDATE desk_orders SET state = 'cancelled' WHERE id = 'o1'")
    assert set(soundness(desk.store)["problems"]) - unguarded == {
        "1 orders stand elsewhere than their history leads: o1"
    }


def test_altered_audit_record_is_named(desk: Desk) -> None:
    unguarded = _unguard(desk, "audit_records")
    _execute(desk, "UPDATE audit_records SET target_id = 'y' WHERE seq = 1")
    (problem,) = set(soundness(desk.store)["problems"]) - unguarded
    assert problem.startswith("audit: record 1")


def test_missing_index_is_named(desk: Desk) -> None:
    _execute(desk, "DROP INDEX runs_task")
    assert soundness(desk.store)["problems"] == ["index runs_task is missing"]


def test_second_run_of_one_instant_is_found(desk: Desk) -> None:
    first, second = desk.submit(2)
    _execute(
        desk,
        "UPDATE runs SET cause = 'schedule', schedule_id = 's', fire_at = 5"
        f" WHERE id IN ('{first}', '{second}')",
    )
    assert soundness(desk.store)["problems"] == ["1 instants of schedules have more than one run"]


def test_payload_that_is_not_json_and_a_batch_that_is_not_there_are_found(desk: Desk) -> None:
    run = desk.submit_one()
    _execute(desk, f"UPDATE runs SET payload = '{{', batch_id = 'gone' WHERE id = '{run}'")
    assert soundness(desk.store)["problems"] == [
        "1 runs have a payload that is not JSON",
        "1 runs belong to a batch that is not there",
    ]


def test_older_schema_is_said_and_nothing_else_is_judged(desk: Desk) -> None:
    _execute(desk, "UPDATE alembic_version SET version_num = '0000'")
    report = soundness(desk.store)
    (problem,) = report["problems"]
    assert problem.startswith("the schema is 0000")
    assert report["rows"] == {}


def test_copy_is_checked_aside_and_leaves_nothing(
    desk: Desk, store_address: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    path = str(tmp_path / ("copy.sql" if desk.store.dialect == "postgresql" else "copy.db"))
    desk.store.maintenance.backup(path)
    _execute(desk, "DROP INDEX runs_task")
    with restored_aside(path, store_address) as store:
        report = soundness(store)
        label = store.database.label
    # The copy was taken before the index was lost.
    assert report["problems"] == []
    assert label != desk.store.database.label
    if desk.store.dialect == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgres_server")
        engine = sa.create_engine(server.address())
        with engine.connect() as connection:
            names = connection.execute(sa.text("SELECT datname FROM pg_database")).scalars().all()
        engine.dispose()
        assert [name for name in names if name.startswith("closingbell_verify_")] == []


def test_damaged_copy_is_said_to_be_damaged(desk: Desk, store_address: str, tmp_path: Path) -> None:
    path = tmp_path / "copy.sql"
    desk.store.maintenance.backup(str(path))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with (
        pytest.raises(RestoreError),
        restored_aside(str(path), store_address),
    ):
        pass


@pytest.mark.postgres
def test_copy_of_postgresql_needs_a_server(postgres_address: str, tmp_path: Path) -> None:
    desk = Desk(postgres_address)
    path = str(tmp_path / "copy.sql")
    desk.store.maintenance.backup(path)
    desk.close()
    with (
        pytest.raises(RestoreError, match="--database"),
        restored_aside(path, f"sqlite:///{tmp_path / 'x.db'}"),
    ):
        pass
