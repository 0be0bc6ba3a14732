"""Indexes are really rebuilt and statistics really taken, while others write."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.conformance.books import Account, cash
from tests.conformance.desk import Desk
from tests.integration.seeded import seed


@pytest.fixture
def desk(store_address: str) -> Iterator[Desk]:
    made = Desk(store_address)
    yield made
    made.close()


def _asked(desk: Desk, statement: str) -> list[Any]:
    with desk.store.database.reading() as connection:
        return [tuple(row) for row in connection.execute(sa.text(statement))]


_INDEX_FILES = (
    "SELECT relname, relfilenode FROM pg_class JOIN pg_index ON indexrelid = pg_class.oid"
    " JOIN pg_tables ON tablename = indrelid::regclass::text WHERE schemaname = 'public'"
    " AND tablename <> 'alembic_version'"
)


@pytest.mark.postgres
def test_every_index_is_rebuilt_on_postgresql(postgres_address: str) -> None:
    desk = Desk(postgres_address)
    before = dict(_asked(desk, _INDEX_FILES))
    assert len(before) > 30
    desk.store.maintenance.rebuild_indices()
    after = dict(_asked(desk, _INDEX_FILES))
    assert before.keys() == after.keys()
    assert [name for name in before if before[name] == after[name]] == []
    assert _asked(desk, "SELECT 1 FROM pg_index WHERE NOT indisvalid") == []
    desk.close()


def test_index_that_does_not_fit_its_table_is_repaired_on_sqlite(
    tmp_path: Path, sqlite_address: str
) -> None:
    desk = Desk(sqlite_address)
    Account(desk.store.ledger).write(entries=[cash(str(n)) for n in range(1, 50)])
    desk.close()
    file = tmp_path / "closingbell.db"
    # The index is filled for other columns than it says.
    spoil = "UPDATE sqlite_master SET sql = replace(sql, ?, ?) WHERE name = 'desk_entries_happened'"
    for words, then in (
        (("happened_at", "seq"), "REINDEX desk_entries_happened"),
        (("seq", "happened_at"), "SELECT 1"),
    ):
        with closing(sqlite3.connect(file)) as connection, connection:
            connection.execute("PRAGMA writable_schema = ON")
            connection.execute(spoil, words)
        with closing(sqlite3.connect(file)) as connection, connection:
            connection.execute(then)
    desk = Desk(sqlite_address)
    assert _asked(desk, "PRAGMA integrity_check(1)") != [("ok",)]
    desk.store.maintenance.rebuild_indices()
    assert _asked(desk, "PRAGMA integrity_check(1)") == [("ok",)]
    desk.close()


def test_statistics_are_taken_of_what_the_tables_hold_now(desk: Desk) -> None:
    seed(desk.store.database, count=2000)
    desk.submit(5000, task="after")
    desk.store.maintenance.update_statistics()
    if desk.store.dialect == "sqlite":
        [(stat,)] = _asked(desk, "SELECT stat FROM sqlite_stat1 WHERE idx = 'runs_task'")
        # An estimate, and not the count of the time before.
        assert int(str(stat).split()[0]) > 2500
        return
    [(count,)] = _asked(desk, "SELECT reltuples FROM pg_class WHERE relname = 'runs'")
    assert count == 7000


def test_maintenance_holds_up_no_writer_for_good(desk: Desk) -> None:
    account = Account(desk.store.ledger)
    stop = threading.Event()
    started = threading.Event()
    problems: list[BaseException] = []

    def write() -> None:
        try:
            while not stop.is_set():
                account.write(entries=[cash("1")])
                started.set()
        except BaseException as problem:
            problems.append(problem)
            started.set()

    writing = threading.Thread(target=write)
    writing.start()
    assert started.wait(60)
    both = [threading.Thread(target=desk.store.maintenance.rebuild_indices) for _ in range(2)]
    for thread in both:
        thread.start()
    desk.store.maintenance.update_statistics()
    for thread in both:
        thread.join(100)
    stop.set()
    writing.join(60)
    assert problems == []
    entries = desk.store.ledger.entries("main")
    assert [entry.seq for entry in entries] == list(range(1, account.record.seq + 1))
