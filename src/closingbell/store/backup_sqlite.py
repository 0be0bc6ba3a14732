"""Copies of a SQLite database, taken from one snapshot while others write."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from closingbell.core.error import BackupError
from closingbell.store.database import SqliteDatabase
from closingbell.store.schema import SCHEMA_REVISION

#: The first line of a text copy; `restore` reads it.
HEADER = "-- closingbell backup: sqlite, schema "


def copy_sqlite(database: SqliteDatabase, path: Path) -> None:
    """Write a copy of the file itself, its log merged in.

    Raises:
        BackupError: the copy cannot be written.
    """
    with database.reading() as connection, _told(path), closing(sqlite3.connect(path)) as copy:
        driver: Any = connection.connection.driver_connection
        # In one step: between steps a write of another process would begin it anew.
        driver.backup(copy, pages=-1)


def write_sqlite(database: SqliteDatabase, path: Path) -> None:
    """Write SQL text that `sqlite3 new.db < file` restores; a statement is one line.

    Raises:
        BackupError: the text cannot be written.
    """
    with database.reading() as connection:
        # The first read fixes the snapshot for all that follow.
        shapes = connection.exec_driver_sql(
            "SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY rowid"
        ).fetchall()
        driver: Any = connection.connection.driver_connection
        with _told(path), path.open("w", encoding="utf-8", newline="\n") as file:
            file.write(f"{HEADER}{SCHEMA_REVISION}\nBEGIN;\n")
            file.writelines(_statements(driver, shapes))
            file.write("COMMIT;\n")


def _statements(driver: Any, shapes: Sequence[Any]) -> Iterator[str]:
    tables = [(name, sql) for kind, name, sql in shapes if kind == "table"]
    for name, sql in tables:
        if sql.upper().startswith("CREATE VIRTUAL"):
            problem = (
                f"{name} is a virtual table, which text cannot carry; name a file without .sql"
            )
            raise BackupError(name, problem)
        if not name.startswith("sqlite_"):
            yield f"{sql};\n"
            yield from _rows(driver, name)
    if any(name == "sqlite_sequence" for name, _ in tables):
        yield "DELETE FROM sqlite_sequence;\n"
        yield from _rows(driver, "sqlite_sequence")
    for kind, _, sql in shapes:
        if kind != "table":
            yield f"{sql};\n"


def _rows(driver: Any, table: str) -> Iterator[str]:
    # Columns that are computed are not listed.
    columns = [row[1] for row in driver.execute(f"PRAGMA table_info({_name(table)})")]
    listed = ", ".join(_name(column) for column in columns)
    head = f"INSERT INTO {_name(table)} ({listed}) VALUES ("
    for row in driver.execute(f"SELECT {listed} FROM {_name(table)}"):
        yield f"{head}{', '.join(map(_literal, row))});\n"


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(value: Any) -> str:
    match value:
        case None:
            return "NULL"
        case int():
            return str(value)
        case str() if any(end in value for end in "\0\n\r"):
            # The `sqlite3` program would take a line's end for its own.
            return f"CAST(X'{value.encode().hex()}' AS TEXT)"
        case str():
            return "'" + value.replace("'", "''") + "'"
        case float():
            return repr(value).replace("inf", "9e999")
    return f"X'{value.hex()}'"


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Tell what is wrong with the copy from what is wrong with the database."""
    try:
        yield
    except (OSError, sqlite3.Error) as problem:
        raise BackupError(str(path), str(problem)) from problem
