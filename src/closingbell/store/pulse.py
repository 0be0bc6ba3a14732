"""Pulse: whether a database can be read and written at this moment."""

from __future__ import annotations

from contextlib import suppress

from sqlalchemy import text, update

from closingbell.core.error import SchemaMismatch, StoreError
from closingbell.store.database import PostgresDatabase, SqliteDatabase
from closingbell.store.schema import SCHEMA_REVISION, facts


class _TakenBack(Exception):
    """Ends a transaction that was only tried."""


def feel_pulse(database: SqliteDatabase | PostgresDatabase) -> None:
    """Read from a database, and write to it in a transaction that is taken back.

    Raises:
        StoreError: it cannot be read or not be written.
        SchemaMismatch: its tables are of another version.
    """
    with database.reading() as connection:
        found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    if found != SCHEMA_REVISION:
        raise SchemaMismatch(str(found), SCHEMA_REVISION, "restart this process, or upgrade it")
    with suppress(_TakenBack), database.writing() as connection:
        touched = connection.execute(
            update(facts).where(facts.c.name == "store_id").values(value=facts.c.value)
        )
        if touched.rowcount != 1:
            raise StoreError("the database has lost its own id: restore it from a backup")
        raise _TakenBack
