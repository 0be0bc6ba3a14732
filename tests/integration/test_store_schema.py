"""The revisions make the schema that the code reads, and an unknown schema is not touched."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from closingbell.core.clock import SystemClock
from closingbell.core.error import SchemaMismatch, StoreError
from closingbell.store import migrate
from closingbell.store.append_only import GUARDS
from closingbell.store.database import open_database
from closingbell.store.schema import SCHEMA_REVISION, metadata
from closingbell.store.store import open_store


def _made_by_revisions(address: str) -> None:
    database = open_database(address)
    with database.writing() as connection:
        command.upgrade(migrate._config(connection), "head")
    database.close()


def _made_by_prepare(address: str) -> None:
    store = open_store(address, SystemClock())
    assert store.prepare() is None
    store.close()


_POSTGRES_FACTS = """
SELECT 'index ' || indexdef FROM pg_indexes WHERE schemaname = 'public'
UNION ALL SELECT 'constraint ' || conrelid::regclass || ' ' || pg_get_constraintdef(oid)
  FROM pg_constraint WHERE connamespace = 'public'::regnamespace
UNION ALL SELECT 'column ' || table_name || '.' || column_name || ' ' || data_type || ' '
    || is_nullable || ' ' || coalesce(column_default, '-') || ' ' || coalesce(collation_name, '-')
  FROM information_schema.columns WHERE table_schema = 'public'
UNION ALL SELECT 'options ' || relname || ' ' || array_to_string(
    (SELECT array_agg(o ORDER BY o) FROM unnest(reloptions) AS o), ' ')
  FROM pg_class WHERE relnamespace = 'public'::regnamespace AND reloptions IS NOT NULL
UNION ALL SELECT 'trigger ' || pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
UNION ALL SELECT 'function ' || pg_get_functiondef(oid)
  FROM pg_proc WHERE pronamespace = 'public'::regnamespace
"""


def _facts(address: str) -> set[str]:
    """All that a database says about its schema, Alembic's own table left out."""
    engine = sa.create_engine(address)
    with engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            rows = connection.execute(
                sa.text("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")
            )
            found = {
                f"{row[0].split('(')[0]} | {line.strip().rstrip(',')}"
                for row in rows
                for line in row[0].splitlines()
            }
        else:
            found = {row[0] for row in connection.execute(sa.text(_POSTGRES_FACTS))}
    engine.dispose()
    return {fact for fact in found if "alembic" not in fact}


def test_revisions_and_metadata_make_the_same_schema(
    store_address: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    _made_by_revisions(store_address)
    if store_address.startswith("sqlite"):
        other = f"sqlite:///{tmp_path / 'other.db'}"
        _made_by_prepare(other)
        expected = _facts(other)
    else:
        server = request.getfixturevalue("postgres_server")
        database = server.create_database()
        _made_by_prepare(server.address(database))
        expected = _facts(server.address(database))
        server.drop_database(database)
    assert _facts(store_address) == expected
    assert sum("WHERE" in fact for fact in expected) >= 12
    assert sum("CHECK" in fact for fact in expected) >= 10
    assert sum("CREATE TRIGGER" in fact for fact in expected) >= len(GUARDS)


def test_revisions_leave_nothing_for_alembic_to_find(store_address: str) -> None:
    _made_by_revisions(store_address)
    engine = sa.create_engine(store_address)
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        assert context.get_current_revision() == SCHEMA_REVISION
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_known_revisions_end_with_the_one_that_this_code_reads() -> None:
    assert migrate.known_revisions()[-1] == SCHEMA_REVISION


def test_prepare_empty_database_gets_the_schema_once(store_address: str) -> None:
    store = open_store(store_address, SystemClock())
    assert store.prepare(upgrade=False) is None
    assert store.prepare() == SCHEMA_REVISION
    with store.database.reading() as connection:
        names = connection.execute(sa.text("SELECT name FROM facts")).scalars().all()
    assert list(names) == ["store_id"]
    store.close()


def test_prepare_newer_schema_is_refused_with_a_sentence_and_left_alone(
    store_address: str,
) -> None:
    _made_by_prepare(store_address)
    store = open_store(store_address, SystemClock())
    with store.database.writing() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SchemaMismatch) as refused:
        store.prepare()
    assert refused.value.found == "9999"
    assert str(refused.value) == (
        f"the store has schema 9999 and this version needs {SCHEMA_REVISION}: "
        "it is newer than this closingbell; install that version"
    )
    with store.database.reading() as connection:
        assert migrate.revision_of(connection) == "9999"
    store.close()


_NEXT_REVISION = """
import sqlalchemy as sa
from alembic import op

revision = "next"
down_revision = "{before}"


def upgrade():
    op.add_column("workers", sa.Column("colour", sa.Text()))
"""


def test_prepare_older_schema_is_upgraded_and_keeps_its_rows(
    store_address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _made_by_prepare(store_address)
    store = open_store(store_address, SystemClock())
    store.workers.register("w1", "desk-1", 1, {}, 1, 2)
    folder = tmp_path / "migrations"
    shutil.copytree(migrate.FOLDER, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "versions" / "next.py").write_text(_NEXT_REVISION.format(before=SCHEMA_REVISION))
    monkeypatch.setattr(migrate, "FOLDER", folder)
    monkeypatch.setattr(migrate, "SCHEMA_REVISION", "next")
    with pytest.raises(SchemaMismatch, match="it is older; run `closingbell db upgrade`"):
        store.prepare(upgrade=False)
    assert store.prepare() == SCHEMA_REVISION
    with store.database.reading() as connection:
        assert migrate.revision_of(connection) == "next"
        rows = connection.execute(sa.text("SELECT id, colour FROM workers")).all()
    assert [tuple(row) for row in rows] == [("w1", None)]
    store.close()


def test_prepare_upgrade_that_fails_leaves_the_older_schema(
    store_address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _made_by_prepare(store_address)
    store = open_store(store_address, SystemClock())
    folder = tmp_path / "migrations"
    shutil.copytree(migrate.FOLDER, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "versions" / "next.py").write_text(
        _NEXT_REVISION.format(before=SCHEMA_REVISION) + '    op.execute("no such statement")\n'
    )
    monkeypatch.setattr(migrate, "FOLDER", folder)
    monkeypatch.setattr(migrate, "SCHEMA_REVISION", "next")
    with pytest.raises(StoreError):
        store.prepare()
    with store.database.reading() as connection:
        assert migrate.revision_of(connection) == SCHEMA_REVISION
        columns = {column["name"] for column in sa.inspect(connection).get_columns("workers")}
    assert "colour" not in columns
    store.close()


_PREPARE = """
import sys
from closingbell.core.clock import SystemClock
from closingbell.store.store import open_store

store = open_store(sys.argv[1], SystemClock())
print("ready", flush=True)
sys.stdin.readline()
store.prepare()
store.close()
"""


def test_prepare_by_processes_at_once_makes_one_schema(store_address: str) -> None:
    children = [
        subprocess.Popen(
            [sys.executable, "-c", _PREPARE, store_address],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    for child in children:
        assert child.stdin is not None
        child.stdin.write("\n")
        child.stdin.flush()
    for child in children:
        _, errors = child.communicate(timeout=60)
        assert (child.returncode, errors) == (0, "")
    store = open_store(store_address, SystemClock())
    assert store.prepare() == SCHEMA_REVISION
    with store.database.reading() as connection:
        count = connection.execute(sa.text("SELECT count(*) FROM facts")).scalar_one()
    assert count == 1
    store.close()


def test_store_without_schema_says_so(store_address: str) -> None:
    store = open_store(store_address, SystemClock())
    with pytest.raises(StoreError):
        store.runs.counts()
    store.close()


@pytest.mark.parametrize("name", ["events", "desk_orders"])
def test_prepare_beside_a_table_of_the_same_name_is_refused_and_leaves_it_alone(
    store_address: str, name: str
) -> None:
    engine = sa.create_engine(store_address)
    with engine.begin() as connection:
        connection.execute(sa.text(f"CREATE TABLE {name} (mine TEXT)"))
        connection.execute(sa.text("CREATE TABLE orders (mine TEXT)"))
    store = open_store(store_address, SystemClock())
    with pytest.raises(StoreError, match=rf"names already \({name}\)"):
        store.prepare()
    with engine.begin() as connection:
        assert sorted(sa.inspect(connection).get_table_names()) == sorted([name, "orders"])
        connection.execute(sa.text(f"DROP TABLE {name}"))
    assert store.prepare() is None
    store.close()
    engine.dispose()
