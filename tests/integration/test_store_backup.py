"""Copies of a store that are taken while others write, and restored."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import sqlalchemy as sa

from closingbell.core.book import Book
from closingbell.core.error import BackupError, RestoreError, StoreError
from closingbell.core.ledger import BacktestRecord, Fact
from closingbell.store import backup_postgres, backup_sqlite
from closingbell.store.append_only import GUARDS
from closingbell.store.restore import restore
from closingbell.store.schema import metadata
from tests.conformance.books import Account, cash, fill, filled, order, snapshot
from tests.conformance.desk import Desk
from tests.postgres import PostgresServer

FACT = Fact("order_filled", {"symbol": "AAPL"})
#: What text must carry through every quoting.
_ODD = "a\r\nb\nc\td 'quoted' \"double\" \\N \\. $$ % ; -- é 東 🔔\n\\.\n"


class Kind(NamedTuple):
    """A kind of copy: what it is called, of which store it is, and where one goes."""

    name: str
    address: str
    fresh: Callable[[], str]


@pytest.fixture(
    params=[
        "desk.db",
        "desk.sql",
        pytest.param("postgres.sql", marks=pytest.mark.postgres),
    ]
)
def kind(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Kind]:
    """Each kind of copy in turn."""
    if request.param != "postgres.sql":
        places = iter(range(100))
        address = request.getfixturevalue("sqlite_address")
        yield Kind(request.param, address, lambda: f"sqlite:///{tmp_path}/to-{next(places)}.db")
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    made: list[str] = []

    def fresh() -> str:
        made.append(server.create_database())
        return server.address(made[-1])

    yield Kind(request.param, request.getfixturevalue("postgres_address"), fresh)
    for database in made:
        server.drop_database(database)


@pytest.fixture
def desk(kind: Kind) -> Iterator[Desk]:
    """A store in use: runs in several states, an account, market files, a backtest."""
    made = Desk(kind.address)
    ended, _, _ = made.submit(3)
    made.finish(ended, logs=(("stdout", _ODD), ("stderr", "")))
    made.submit_one(state="scheduled", due_at=made.now + 10**9, timeout_s=0.1)
    account = Account(made.store.ledger)
    account.write(
        entries=[fill(note=_ODD), cash("-0.00000001")],
        orders=[order("o1"), order("o2", reason="")],
        order_changes=[filled("o1")],
        snapshots=[snapshot(1)],
        facts=[FACT],
    )
    record = BacktestRecord("b1", _ODD, 1, 2, {"return": 0.1})
    made.store.backtests.put(record, {"equity": [bytes(range(256)), b""]})
    yield made
    made.close()


def rows(address: str) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table."""
    engine = sa.create_engine(address)
    with engine.connect() as connection:
        found = {
            table.name: sorted(
                (tuple(row) for row in connection.execute(sa.select(table))), key=repr
            )
            for table in metadata.sorted_tables
        }
        revision = connection.execute(sa.text("SELECT version_num FROM alembic_version"))
        found["alembic_version"] = [tuple(row) for row in revision]
    engine.dispose()
    return found


# --- a copy of what stands still ---------------------------------------------------------


def test_restored_copy_has_every_row(desk: Desk, kind: Kind, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / kind.name
    said = desk.store.maintenance.backup(str(path))
    assert said == {
        "path": str(path),
        "bytes": path.stat().st_size,
        "format": "sqlite" if kind.name == "desk.db" else "sql",
    }
    assert [one.name for one in path.parent.iterdir()] == [kind.name]
    address = kind.fresh()
    restore(str(path), address)
    assert rows(address) == rows(kind.address)


def test_restored_copy_works(desk: Desk, kind: Kind, tmp_path: Path) -> None:
    path = str(tmp_path / kind.name)
    desk.store.maintenance.backup(path)
    address = kind.fresh()
    restore(path, address)
    again = Desk(address, desk.clock)
    assert again.store.prepare() is not None
    run_id = again.submit_one()
    again.work()
    again.end(again.claimer.claim(run_id))
    assert again.state(run_id) == "success"
    account = Account(again.store.ledger)
    before = Book.of(desk.store.ledger.entries("main"))
    assert vars_of(Book.of(again.store.ledger.entries("main"))) == vars_of(before)
    account.write(entries=[fill()], order_changes=[filled("o2")])
    assert again.store.ledger.account("main").seq == before.seq + 1
    # What the database refuses is part of it, too.
    for statement in ("UPDATE desk_entries SET amount = '1'", "DELETE FROM desk_orders"):
        with pytest.raises(StoreError), again.store.database.writing() as connection:
            connection.execute(sa.text(statement))
    again.close()


def vars_of(book: Book) -> dict[str, Any]:
    """What two books are compared by."""
    return {name: getattr(book, name) for name in ("seq", "cash", "holdings", "deposits", "fees")}


def test_copy_of_a_copy_is_the_same(desk: Desk, kind: Kind, tmp_path: Path) -> None:
    first, second = tmp_path / kind.name, tmp_path / f"again-{kind.name}"
    desk.store.maintenance.backup(str(first))
    address = kind.fresh()
    restore(str(first), address)
    again = Desk(address, desk.clock)
    again.store.maintenance.backup(str(second))
    again.close()
    if kind.name.endswith(".sql"):
        assert sorted(second.read_text().splitlines()) == sorted(first.read_text().splitlines())
    third = kind.fresh()
    restore(str(second), third)
    assert rows(third) == rows(kind.address)


def test_text_copy_is_restored_by_a_plain_sqlite(tmp_path: Path, sqlite_address: str) -> None:
    desk = Desk(sqlite_address)
    Account(desk.store.ledger).write(entries=[fill(note=_ODD)])
    desk.store.maintenance.backup(str(tmp_path / "desk.sql"))
    with closing(sqlite3.connect(tmp_path / "plain.db")) as connection:
        connection.executescript((tmp_path / "desk.sql").read_text())
    assert rows(f"sqlite:///{tmp_path / 'plain.db'}") == rows(sqlite_address)
    desk.close()


@pytest.mark.skipif(shutil.which("sqlite3") is None, reason="the sqlite3 program is not installed")
def test_text_copy_is_restored_by_the_sqlite3_program(tmp_path: Path, sqlite_address: str) -> None:
    desk = Desk(sqlite_address)
    Account(desk.store.ledger).write(entries=[fill(note=_ODD)])
    desk.store.maintenance.backup(str(tmp_path / "desk.sql"))
    with (tmp_path / "desk.sql").open("rb") as text:
        subprocess.run(["sqlite3", "-bail", str(tmp_path / "program.db")], stdin=text, check=True)
    assert rows(f"sqlite:///{tmp_path / 'program.db'}") == rows(sqlite_address)
    desk.close()


@pytest.mark.postgres
@pytest.mark.parametrize("kind", ["postgres.sql"], indirect=True)
def test_text_copy_is_restored_by_psql(
    desk: Desk, kind: Kind, tmp_path: Path, postgres_server: PostgresServer
) -> None:
    path = tmp_path / "desk.sql"
    desk.store.maintenance.backup(str(path))
    database = postgres_server.create_database()
    done = postgres_server.run_file(database, path)
    assert (done.returncode, done.stderr) == (0, "")
    assert rows(postgres_server.address(database)) == rows(kind.address)
    # A second time it stops at once, and the data is not read as statements.
    again = postgres_server.run_file(database, path)
    assert again.returncode == 3
    assert again.stderr.count("ERROR") == 1
    postgres_server.drop_database(database)


@pytest.mark.postgres
@pytest.mark.parametrize("kind", ["postgres.sql"], indirect=True)
def test_restored_schema_is_the_one_that_was_copied(desk: Desk, kind: Kind, tmp_path: Path) -> None:
    desk.store.maintenance.backup(str(tmp_path / "desk.sql"))
    address = kind.fresh()
    restore(str(tmp_path / "desk.sql"), address)
    assert _shape(address) == _shape(kind.address)
    assert sum("CREATE TRIGGER" in fact for fact in _shape(address)) == len(GUARDS)


def _shape(address: str) -> set[str]:
    from tests.integration.test_store_schema import _POSTGRES_FACTS

    engine = sa.create_engine(address)
    with engine.connect() as connection:
        found = {row[0] for row in connection.execute(sa.text(_POSTGRES_FACTS))}
    engine.dispose()
    return found


def test_tables_of_others_in_a_sqlite_file_are_copied_too(
    tmp_path: Path, sqlite_address: str
) -> None:
    desk = Desk(sqlite_address)
    file = tmp_path / "closingbell.db"
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.executescript(
            'CREATE TABLE "my ""own" (id INTEGER PRIMARY KEY AUTOINCREMENT, x REAL, b BLOB,'
            " twice AS (x * 2));"
            'CREATE VIEW seen AS SELECT x FROM "my ""own";'
            'INSERT INTO "my ""own" (x, b) VALUES (0.1, x\'00ff\'), (1e999, NULL), (-1e-300, 7);'
            'DELETE FROM "my ""own" WHERE id = 3;'
        )
    desk.store.maintenance.backup(str(tmp_path / "desk.sql"))
    restore(str(tmp_path / "desk.sql"), f"sqlite:///{tmp_path / 'to.db'}")
    found = []
    for path in (file, tmp_path / "to.db"):
        with closing(sqlite3.connect(path)) as connection:
            own = connection.execute('SELECT * FROM "my ""own"').fetchall()
            counted = connection.execute("SELECT * FROM sqlite_sequence").fetchall()
            found.append((own, counted, connection.execute("SELECT * FROM seen").fetchall()))
    assert found[0] == found[1]
    assert found[0][1] == [('my "own', 3)]
    desk.close()


# --- a copy while others write -----------------------------------------------------------


def test_copy_that_is_taken_while_others_write_is_one_instant(
    desk: Desk, kind: Kind, tmp_path: Path
) -> None:
    stop, warm = threading.Event(), threading.Barrier(4)
    problems: list[BaseException] = []

    def trade(name: str) -> None:
        try:
            account = Account(desk.store.ledger, name)
            number = 0
            while not stop.is_set():
                order_id = f"{name}-{number}"
                account.write(
                    entries=[fill(order_id=order_id)],
                    orders=[order(order_id, account=name)],
                    order_changes=[filled(order_id)],
                    snapshots=[snapshot(number, account=name)],
                    facts=[Fact(name, {})],
                )
                number += 1
                if number == 20:
                    warm.wait(60)
        except BaseException as problem:
            problems.append(problem)
            stop.set()
            warm.abort()

    def submit() -> None:
        other = Desk(kind.address, desk.clock)
        other.run_ids = desk.run_ids
        warm.wait(60)
        while not stop.is_set():
            other.submit(3, task="beside")
        other.close()

    threads = [threading.Thread(target=trade, args=(name,)) for name in ("a", "b")]
    threads.append(threading.Thread(target=submit))
    for thread in threads:
        thread.start()
    warm.wait(60)
    versions = [desk.store.ledger.account("a").version]
    copies = []
    for number in range(3):
        copies.append(tmp_path / f"{number}-{kind.name}")
        desk.store.maintenance.backup(str(copies[-1]))
        versions.append(desk.store.ledger.account("a").version)
    stop.set()
    for thread in threads:
        thread.join(120)
    assert problems == []
    final = rows(kind.address)
    for number, path in enumerate(copies):
        address = kind.fresh()
        restore(str(path), address)
        found = rows(address)
        copy = Desk(address, desk.clock)
        for name in ("a", "b"):
            account = copy.store.ledger.account(name)
            # One change has one of each; none is there in part.
            assert account.seq == account.version + 1
            assert len(copy.store.ledger.orders(name)) == account.version
            assert len(copy.store.ledger.snapshots(name)) == account.version
            assert len(copy.store.events.recent(name, 10**6)) == account.version
            assert copy.store.ledger.orders(name, working=True) == []
        assert versions[number] <= copy.store.ledger.account("a").version <= versions[number + 1]
        assert sum(row[1] == "beside" for row in found["runs"]) % 3 == 0
        copy.close()
        for table in (
            "desk_entries",
            "desk_order_history",
            "desk_orders",
            "desk_snapshots",
            "events",
        ):
            assert set(found[table]) <= set(final[table])


@pytest.mark.parametrize(
    "kind",
    ["desk.sql", pytest.param("postgres.sql", marks=pytest.mark.postgres)],
    indirect=True,
)
def test_writes_in_the_middle_of_a_copy_succeed_and_are_not_in_it(
    desk: Desk, kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = rows(kind.address)
    account = Account(desk.store.ledger)
    written: list[str] = []
    contents, table_rows = backup_postgres._contents, backup_sqlite._rows

    def write_beside() -> None:
        account.write(entries=[cash("1")], snapshots=[snapshot(50 + len(written))], facts=[FACT])
        desk.submit_one()
        written.append("one")

    def watched_contents() -> Iterator[tuple[str, str]]:
        for one in contents():
            write_beside()
            yield one

    def watched_rows(driver: Any, table: str) -> Iterator[str]:
        write_beside()
        yield from table_rows(driver, table)

    monkeypatch.setattr(backup_postgres, "_contents", watched_contents)
    monkeypatch.setattr(backup_sqlite, "_rows", watched_rows)
    desk.store.maintenance.backup(str(tmp_path / "desk.sql"))
    assert len(written) == len(before)
    assert desk.store.ledger.account("main").version == 1 + len(written)
    address = kind.fresh()
    restore(str(tmp_path / "desk.sql"), address)
    assert rows(address) == before


# --- what goes wrong ---------------------------------------------------------------------


def test_copy_takes_the_place_of_an_older_one(desk: Desk, kind: Kind, tmp_path: Path) -> None:
    path = tmp_path / kind.name
    path.write_text("an older copy")
    desk.store.maintenance.backup(str(path))
    address = kind.fresh()
    restore(str(path), address)
    assert rows(address) == rows(kind.address)


@pytest.mark.parametrize("where", ["file/desk.sql", "folder", "file/deep/desk.db"])
def test_copy_that_cannot_be_written_is_refused_and_leaves_nothing(
    desk: Desk, tmp_path: Path, where: str
) -> None:
    (tmp_path / "file").write_text("a file")
    (tmp_path / "folder").mkdir()
    before = sorted(one.name for one in tmp_path.rglob("*") if "db" not in one.suffix)
    with pytest.raises(BackupError) as refused:
        desk.store.maintenance.backup(str(tmp_path / where))
    assert refused.value.path == str(tmp_path / where)
    assert sorted(one.name for one in tmp_path.rglob("*") if "db" not in one.suffix) == before


def test_copy_that_fails_halfway_leaves_the_older_one(
    desk: Desk, kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "copies"
    folder.mkdir()
    path = folder / kind.name
    path.write_text("an older copy")

    def full(*_: Any) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(backup_postgres, "_indexes", full)
    monkeypatch.setattr(backup_sqlite, "_literal", full)
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(BackupError, match="No space left on device"):
        desk.store.maintenance.backup(str(path))
    assert [one.name for one in folder.iterdir()] == [kind.name]
    assert path.read_text() == "an older copy"
    desk.submit_one()


def test_copy_onto_the_database_itself_is_refused(tmp_path: Path, sqlite_address: str) -> None:
    desk = Desk(sqlite_address)
    run_id = desk.submit_one()
    (tmp_path / "link").symlink_to(tmp_path, target_is_directory=True)
    for name in ("closingbell.db", "link/closingbell.db"):
        with pytest.raises(BackupError, match="the database itself"):
            desk.store.maintenance.backup(str(tmp_path / name))
    assert desk.state(run_id) == "pending"
    desk.close()


def test_copy_onto_a_database_that_is_open_is_refused(tmp_path: Path, sqlite_address: str) -> None:
    desk = Desk(sqlite_address)
    other = Desk(f"sqlite:///{tmp_path / 'other.db'}")
    with pytest.raises(BackupError, match=r"other\.db-wal is there"):
        desk.store.maintenance.backup(str(tmp_path / "other.db"))
    other.submit_one()
    other.close()
    desk.close()


def test_copy_of_a_store_that_is_gone_is_refused(tmp_path: Path, sqlite_address: str) -> None:
    desk = Desk(sqlite_address)
    (tmp_path / "closingbell.db").rename(tmp_path / "away.db")
    for name in ("copy.db", "copy.sql"):
        with pytest.raises(BackupError, match="is gone"):
            desk.store.maintenance.backup(str(tmp_path / name))
        assert not (tmp_path / name).exists()
    desk.close()


def test_restore_into_a_place_that_is_taken_is_refused(
    desk: Desk, kind: Kind, tmp_path: Path
) -> None:
    desk.store.maintenance.backup(str(tmp_path / kind.name))
    before = rows(kind.address)
    with pytest.raises(RestoreError, match=r"is there|has tables already"):
        restore(str(tmp_path / kind.name), kind.address)
    assert rows(kind.address) == before


def test_restore_beside_the_log_of_another_database_is_refused(
    tmp_path: Path, sqlite_address: str
) -> None:
    desk = Desk(sqlite_address)
    desk.store.maintenance.backup(str(tmp_path / "copy.db"))
    desk.close()
    (tmp_path / "to.db-wal").write_bytes(b"of another")
    with pytest.raises(RestoreError, match=r"to\.db-wal is there"):
        restore(str(tmp_path / "copy.db"), tmp_path / "to.db")
    assert not (tmp_path / "to.db").exists()


@pytest.mark.parametrize("content", [b"", b"SELECT 1;\n", b"\x89PNG", b"-- closingbell backup: x"])
def test_restore_of_what_is_no_copy_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "copy").write_bytes(content)
    with pytest.raises(RestoreError, match="it is no backup"):
        restore(str(tmp_path / "copy"), tmp_path / "to.db")
    assert not (tmp_path / "to.db").exists()


def test_restore_of_a_copy_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RestoreError, match="No such file"):
        restore(str(tmp_path / "copy.sql"), tmp_path / "to.db")


def test_restore_into_the_other_kind_of_database_is_refused(
    desk: Desk, kind: Kind, tmp_path: Path
) -> None:
    desk.store.maintenance.backup(str(tmp_path / kind.name))
    other = "postgresql://u@nowhere/x" if "desk" in kind.name else f"sqlite:///{tmp_path}/to.db"
    with pytest.raises(RestoreError, match="it is a backup of"):
        restore(str(tmp_path / kind.name), other)
    assert not (tmp_path / "to.db").exists()


@pytest.mark.parametrize("left", [0.1, 0.5, 0.9, 0.999])
def test_restore_of_a_copy_that_was_cut_off_is_refused_whole(
    desk: Desk, kind: Kind, tmp_path: Path, left: float
) -> None:
    path = tmp_path / kind.name
    desk.store.maintenance.backup(str(path))
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * left)])
    address = kind.fresh()
    with pytest.raises(RestoreError):
        restore(str(path), address)
    if kind.name == "postgres.sql":
        engine = sa.create_engine(address)
        assert sa.inspect(engine).get_table_names() == []
        engine.dispose()
    else:
        assert list(tmp_path.glob("*to-*")) == []
    path.write_bytes(whole)
    restore(str(path), address)
    assert rows(address) == rows(kind.address)


def test_restore_of_a_damaged_file_is_refused(tmp_path: Path, sqlite_address: str) -> None:
    desk = Desk(sqlite_address)
    desk.submit(2000)
    desk.store.maintenance.backup(str(tmp_path / "copy.db"))
    desk.close()
    with (tmp_path / "copy.db").open("rb+") as file:
        file.seek(40 * 4096)
        file.write(b"\xff" * 40_960)
    with pytest.raises(RestoreError):
        restore(str(tmp_path / "copy.db"), tmp_path / "to.db")
    assert not (tmp_path / "to.db").exists()
