"""Restoring a copy that `StoredMaintenance.backup` wrote, in an empty place."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from closingbell.core.error import RestoreError, StoreError
from closingbell.store import backup_postgres, backup_sqlite
from closingbell.store.database import (
    PostgresDatabase,
    SqliteDatabase,
    open_database,
    store_error,
)
from closingbell.store.postgres_link import conninfo
from closingbell.store.whole_file import log_beside, written

if TYPE_CHECKING:
    import psycopg

_SQLITE_FILE = b"SQLite format 3\0"
_BLOCK = 1 << 18
_CUT_OFF = "it ends early: the copy was cut off"


def restore(path: str, address: str | Path) -> None:
    """Restore a copy as a new database, whole or not at all.

    Args:
        path: what `backup` wrote.
        address: of a SQLite file that does not exist, or of a PostgreSQL database
            without closingbell's tables.

    Raises:
        RestoreError: the copy is no copy, or one of the other kind of database, or is
            damaged; or the place is not empty.
        SettingError: the address is neither SQLite nor PostgreSQL.
    """
    source, database = Path(path), open_database(address)
    try:
        kind = kind_of(source)
        if kind is None:
            raise RestoreError(path, "it is no backup of closingbell")
        if kind != database.dialect:
            raise RestoreError(path, f"it is a backup of {kind}, and {database.label} is not")
        if isinstance(database, SqliteDatabase):
            _restore_sqlite(source, database)
        else:
            _restore_postgres(source, database)
    except (OSError, StoreError, sqlite3.Error) as problem:
        raise RestoreError(path, str(problem)) from problem


def kind_of(source: Path) -> str | None:
    """Return which database a file is a copy of, or None for another file."""
    with source.open("rb") as file:
        first = file.readline(200)
    headers = {
        _SQLITE_FILE: "sqlite",
        backup_sqlite.HEADER.encode(): "sqlite",
        backup_postgres.HEADER.encode(): "postgresql",
    }
    return next((kind for header, kind in headers.items() if first.startswith(header)), None)


# --- SQLite --------------------------------------------------------------------------


def _restore_sqlite(source: Path, database: SqliteDatabase) -> None:
    target = database.path
    log = log_beside(target)
    if target.exists() or log is not None:
        raise RestoreError(str(source), f"{log or target} is there; name a file that is not")
    with written(target) as part:
        with source.open("rb") as file:
            is_file = file.read(len(_SQLITE_FILE)) == _SQLITE_FILE
        if is_file:
            shutil.copyfile(source, part)
        with closing(sqlite3.connect(part, isolation_level=None)) as connection:
            if not is_file:
                _run_sqlite(source, connection)
            # A copy of a file says that it has a log; a file that is moved must not have one.
            connection.execute("PRAGMA journal_mode = DELETE")
            said = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            if said != "ok":
                raise RestoreError(str(source), f"the copy is damaged: {said}")
            connection.execute("SELECT version_num FROM alembic_version")


def _run_sqlite(source: Path, connection: sqlite3.Connection) -> None:
    statement = ""
    # Only a line feed ends a line: what else is in a value stays as it is.
    with source.open(encoding="utf-8", newline="\n") as file:
        for line in file:
            statement += line
            if sqlite3.complete_statement(statement):
                connection.execute(statement)
                statement = ""
    if statement.strip() or connection.in_transaction:
        raise RestoreError(str(source), _CUT_OFF)


# --- PostgreSQL ----------------------------------------------------------------------


def _restore_postgres(source: Path, database: PostgresDatabase) -> None:
    import psycopg

    try:
        with psycopg.connect(conninfo(database), autocommit=True) as connection:
            row = connection.execute("SELECT to_regclass('alembic_version')").fetchone()
            if row is not None and row[0] is not None:
                raise RestoreError(
                    str(source), f"{database.label} has tables already; name an empty database"
                )
            # The copy begins and ends its transaction itself.
            with source.open("rb") as file:
                _run_postgres(file, connection)
            if connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
                raise RestoreError(str(source), _CUT_OFF)
    except psycopg.Error as problem:
        raise store_error(problem) from problem


def _run_postgres(file: IO[bytes], connection: psycopg.Connection[Any]) -> None:
    statement = b""
    for line in file:
        if not statement and line.startswith((b"\\", b"--")):
            # Meant for psql, or for people.
            continue
        statement += line
        inside = statement.count(b"$$") % 2
        if inside or not line.endswith(b";\n"):
            continue
        text: Any = statement.decode()
        if line.endswith(b"FROM stdin;\n"):
            with connection.cursor().copy(text) as copy:
                for block in _data(file):
                    copy.write(block)
        else:
            connection.execute(text)
        statement = b""


def _data(file: IO[bytes]) -> Iterator[bytes]:
    """Yield the lines of a table, in blocks."""
    block: list[bytes] = []
    size = 0
    for line in file:
        if line == b"\\.\n":
            break
        block.append(line)
        size += len(line)
        if size >= _BLOCK:
            yield b"".join(block)
            block, size = [], 0
    yield b"".join(block)
