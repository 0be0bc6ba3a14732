"""A copy of our tables on PostgreSQL as SQL text, from one snapshot while others write.

The machine may have no `pg_dump`; what is written here `psql -f` restores, and so do we.
Data comes before indexes and triggers: one fills faster without the former, and the
latter would ask for an order that the lines of a table do not have.
"""

from __future__ import annotations

from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from closingbell.core.error import SchemaMismatch
from closingbell.store.append_only import guard_statements
from closingbell.store.database import PostgresDatabase, store_error
from closingbell.store.migrate import VERSION_TABLE
from closingbell.store.postgres_link import conninfo
from closingbell.store.schema import SCHEMA_REVISION, metadata

if TYPE_CHECKING:
    import psycopg

#: The first line of a copy; `restore` reads it.
HEADER = "-- closingbell backup: postgresql, schema "

#: psql stops at the first error, where it would otherwise read data as statements.
_BEGIN = r"""\set ON_ERROR_STOP on
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
BEGIN;
"""


def write_postgres(database: PostgresDatabase, path: Path) -> None:
    """Write SQL text that `psql -f file` restores in an empty database.

    Raises:
        StoreError: the server does not answer, or has another schema.
        OSError: the text cannot be written.
    """
    import psycopg

    with path.open("wb") as file:
        try:
            with psycopg.connect(conninfo(database), client_encoding="utf8") as connection:
                connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
                connection.read_only = True
                _write_all(file, connection)
        except psycopg.Error as problem:
            raise store_error(problem) from problem


def _write_all(file: IO[bytes], connection: psycopg.Connection[Any]) -> None:
    found = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    if found is None or found[0] != SCHEMA_REVISION:
        raise SchemaMismatch(found and found[0], SCHEMA_REVISION, "run `closingbell db upgrade`")
    _write(file, f"{HEADER}{SCHEMA_REVISION}\n{_BEGIN}")
    for statement in _tables():
        _write(file, f"{statement};\n")
    for name, columns in _contents():
        _write(file, f"COPY {name} ({columns}) FROM stdin;\n")
        copy: Any = f"COPY {name} ({columns}) TO STDOUT"
        with connection.cursor().copy(copy) as rows:
            for block in rows:
                file.write(block)
        _write(file, "\\.\n")
    for statement in [*_indexes(), *guard_statements("postgresql")]:
        _write(file, f"{statement};\n")
    _write(file, "COMMIT;\n")


def _write(file: IO[bytes], text: str) -> None:
    file.write(text.encode())


def _dialect() -> Any:
    from sqlalchemy.dialects import postgresql

    # No marks for values, so that a percent sign stays one.
    make: Any = postgresql.dialect
    return make(paramstyle="named")


def _tables() -> list[str]:
    from sqlalchemy.schema import CreateTable

    ours = [CreateTable(table) for table in metadata.sorted_tables]
    return [VERSION_TABLE, *(str(one.compile(dialect=_dialect())).strip() for one in ours)]


def _indexes() -> list[str]:
    from sqlalchemy.schema import CreateIndex

    found = [index for table in metadata.sorted_tables for index in table.indexes]
    found.sort(key=lambda index: str(index.name))
    return [str(CreateIndex(index).compile(dialect=_dialect())).strip() for index in found]


def _contents() -> list[tuple[str, str]]:
    """Return (table, columns) of all that is copied."""
    prepare = _dialect().identifier_preparer
    ours = [
        (
            prepare.format_table(table),
            ", ".join(prepare.format_column(column) for column in table.columns),
        )
        for table in metadata.sorted_tables
    ]
    return [("alembic_version", "version_num"), *ours]
