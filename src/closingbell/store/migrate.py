"""Schema upgrades: a newer schema is refused, an older one is upgraded."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from sqlalchemy import Connection, insert, inspect, select, text

from closingbell.core.error import SchemaMismatch, StoreError
from closingbell.store.audit import StoredAudit
from closingbell.store.database import PostgresDatabase, SqliteDatabase
from closingbell.store.schema import SCHEMA_REVISION, facts, metadata

if TYPE_CHECKING:
    from alembic.config import Config

#: Where the revisions are.
FOLDER = Path(__file__).parent / "migrations"

#: Where Alembic keeps the revision.
VERSION_TABLE = "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"

_LOCK = 0x636C6F73696E6762  # "closingb": PostgreSQL's advisory lock while the schema changes


def revision_of(connection: Connection) -> str | None:
    """Return the schema revision that a database has, or None for an empty one."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return None if found is None else str(found)


def prepare(
    database: SqliteDatabase | PostgresDatabase, upgrade: bool, audit: StoredAudit
) -> str | None:
    """Make the schema present and current.

    Args:
        database: where.
        upgrade: whether an older schema may be upgraded; an empty database always
            gets the schema.
        audit: where an upgrade is recorded.

    Returns:
        The revision that was found, or None for an empty database.

    Raises:
        SchemaMismatch: the schema is newer than this code, unknown to it, or older and
            `upgrade` is False.
    """
    with database.reading() as connection:
        found = revision_of(connection)
    if found == SCHEMA_REVISION:
        return found
    if found is not None:
        known = known_revisions()
        if found not in known:
            raise SchemaMismatch(
                found, SCHEMA_REVISION, "it is newer than this closingbell; install that version"
            )
        if not upgrade:
            raise SchemaMismatch(
                found, SCHEMA_REVISION, "it is older; run `closingbell db upgrade`"
            )
    with database.writing() as connection:
        if database.dialect == "postgresql":
            connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
        found = revision_of(connection)
        if found is None:
            _create(connection)
        elif found != SCHEMA_REVISION:
            _upgrade(connection)
            audit.append_on(
                connection,
                "database.upgraded",
                "database",
                database.label,
                before={"schema": found},
                after={"schema": SCHEMA_REVISION},
            )
    return found


def _create(connection: Connection) -> None:
    taken = sorted(set(inspect(connection).get_table_names()) & set(metadata.tables))
    if taken:
        raise StoreError(
            f"the database has tables of closingbell's names already ({', '.join(taken)}): "
            "name a database of its own, or rename them"
        )
    # The revisions make the same schema (a test holds them together); this spares an
    # embedded start the time that loading Alembic takes.
    metadata.create_all(connection)
    connection.execute(text(VERSION_TABLE))
    connection.execute(
        text("INSERT INTO alembic_version (version_num) VALUES (:revision)"),
        {"revision": SCHEMA_REVISION},
    )
    connection.execute(insert(facts).values(name="store_id", value=uuid4().hex))


def _upgrade(connection: Connection) -> None:
    from alembic import command

    command.upgrade(_config(connection), "head")
    if connection.execute(select(facts.c.name).where(facts.c.name == "store_id")).first() is None:
        connection.execute(insert(facts).values(name="store_id", value=uuid4().hex))


def known_revisions() -> list[str]:
    """Return the revisions that this code knows, oldest first."""
    from alembic.script import ScriptDirectory

    script = ScriptDirectory.from_config(_config(None))
    return [revision.revision for revision in script.walk_revisions()][::-1]


def _config(connection: Any) -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config
