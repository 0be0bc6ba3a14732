"""Addresses as users write them, and failures as our errors."""

from __future__ import annotations

import errno
import sqlite3
from pathlib import Path

import psycopg
import pytest

from closingbell.core.error import (
    SettingError,
    StoreError,
    StoreFull,
    StoreReadOnly,
    StoreUnavailable,
)
from closingbell.store.database import open_database, read_address, store_error, translated


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, ("sqlite", "sqlite:///closingbell.db")),
        ("desk.db", ("sqlite", "sqlite:///desk.db")),
        (Path("/srv/desk.db"), ("sqlite", "sqlite:////srv/desk.db")),
        ("sqlite:///desk.db", ("sqlite", "sqlite:///desk.db")),
        ("sqlite+aiosqlite:///desk.db", ("sqlite", "sqlite:///desk.db")),
        ("postgresql://u:p@h/d", ("postgresql", "postgresql+psycopg://u:p@h/d")),
        ("postgres://h/d", ("postgresql", "postgresql+psycopg://h/d")),
        ("postgresql+asyncpg://h/d?x=1", ("postgresql", "postgresql+psycopg://h/d?x=1")),
    ],
)
def test_read_address_takes_what_users_write(
    given: str | Path | None, expected: tuple[str, str]
) -> None:
    assert read_address(given) == expected


@pytest.mark.parametrize(
    "given",
    ["", "mysql://h/d", "sqlite://", "sqlite:///:memory:", "sqlite:///", "postgresql:h"],
)
def test_read_address_refuses_what_is_no_durable_store(given: str) -> None:
    with pytest.raises(SettingError, match=r"sqlite:///desk\.db"):
        read_address(given)


def test_password_is_shown_neither_in_the_label_nor_in_a_refusal() -> None:
    assert "secret" not in open_database("postgresql://u:secret@h/d").label
    with pytest.raises(SettingError) as refused:
        read_address("mysql://u:secret@h/d")
    assert "secret" not in str(refused.value)


def _sqlstate(kind: type[psycopg.Error], said: str = "said") -> psycopg.Error:
    return kind(said)


@pytest.mark.parametrize(
    ("problem", "expected"),
    [
        (sqlite3.OperationalError("database is locked"), StoreUnavailable),
        (sqlite3.OperationalError("unable to open database file"), StoreUnavailable),
        (sqlite3.OperationalError("disk I/O error"), StoreUnavailable),
        (sqlite3.OperationalError("attempt to write a readonly database"), StoreReadOnly),
        (sqlite3.OperationalError("database or disk is full"), StoreFull),
        (sqlite3.OperationalError("no such table: runs"), StoreError),
        (sqlite3.IntegrityError("CHECK constraint failed"), StoreError),
        (sqlite3.DatabaseError("file is not a database"), StoreError),
        (OSError(errno.ENOSPC, "No space left on device"), StoreFull),
        (OSError(errno.EIO, "Input/output error"), StoreUnavailable),
        (psycopg.OperationalError("connection refused"), StoreUnavailable),
        (_sqlstate(psycopg.errors.AdminShutdown), StoreUnavailable),
        (_sqlstate(psycopg.errors.TooManyConnections), StoreUnavailable),
        (_sqlstate(psycopg.errors.OutOfMemory), StoreUnavailable),
        (_sqlstate(psycopg.errors.DeadlockDetected), StoreUnavailable),
        (_sqlstate(psycopg.errors.DiskFull), StoreFull),
        (_sqlstate(psycopg.errors.ReadOnlySqlTransaction), StoreReadOnly),
        (_sqlstate(psycopg.errors.CheckViolation), StoreError),
    ],
)
def test_failure_of_a_driver_becomes_the_error_that_it_means(
    problem: Exception, expected: type[StoreError]
) -> None:
    error = store_error(problem)
    assert type(error) is expected
    assert str(problem) in str(error)


def test_failure_that_is_not_the_databases_passes_through() -> None:
    with pytest.raises(KeyError), translated():
        raise KeyError("mine")
