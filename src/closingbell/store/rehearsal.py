"""Restoring a copy aside, to look at it: nothing that is there is touched."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

from closingbell.core.clock import SystemClock
from closingbell.core.error import RestoreError
from closingbell.store.database import PostgresDatabase, open_database, store_error
from closingbell.store.postgres_link import conninfo
from closingbell.store.restore import kind_of, restore
from closingbell.store.store import Store, open_store


@contextmanager
def restored_aside(path: str, address: str | Path | None) -> Iterator[Store]:
    """Give a copy as a store of its own, which is gone afterwards.

    Args:
        path: what `backup` wrote.
        address: a PostgreSQL database, on whose server a temporary one is made for a copy of
            PostgreSQL; a copy of SQLite needs none.

    Raises:
        RestoreError: it is no copy, it is damaged, or there is no server for it.
    """
    try:
        kind = kind_of(Path(path))
    except OSError as problem:
        raise RestoreError(path, str(problem)) from problem
    if kind == "postgresql":
        with _temporary_database(path, address) as fresh:
            yield from _opened(path, fresh)
    else:
        with TemporaryDirectory(prefix="closingbell-verify-") as folder:
            yield from _opened(path, f"sqlite:///{folder}/copy.db")


def _opened(path: str, address: str) -> Iterator[Store]:
    restore(path, address)
    store = open_store(address, SystemClock())
    try:
        yield store
    finally:
        store.close()


@contextmanager
def _temporary_database(path: str, address: str | Path | None) -> Iterator[str]:
    import psycopg
    from sqlalchemy.engine import make_url

    database = open_database(address)
    if not isinstance(database, PostgresDatabase):
        raise RestoreError(
            path, "it is a copy of PostgreSQL: name a server's database with --database"
        )
    name = f"closingbell_verify_{uuid4().hex[:12]}"

    def tell(statement: Any) -> None:
        try:
            with psycopg.connect(conninfo(database), autocommit=True) as connection:
                connection.execute(statement)
        except psycopg.Error as problem:
            raise RestoreError(path, f"no temporary database: {store_error(problem)}") from problem

    tell(f'CREATE DATABASE "{name}"')
    try:
        url = make_url(database.address).set(database=name)
        yield url.render_as_string(hide_password=False)
    finally:
        tell(f'DROP DATABASE IF EXISTS "{name}"')
