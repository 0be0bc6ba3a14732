"""Runs written inside the caller's own transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from closingbell.core.run import RunItem, RunTemplate
from closingbell.store.codec import from_json, to_json
from closingbell.store.database import Database
from closingbell.store.sqlite_sql import INSERT_EACH, KNOWN_IDS


def insert_apart(
    database: Database, template: RunTemplate, items: Sequence[RunItem], connection: Any
) -> list[str]:
    """Insert runs that no worker here takes at once: the caller's own, and held ones.

    Args:
        database: of the queue.
        template: what the runs share.
        items: what each has for itself.
        connection: the caller's; None for a transaction of its own.
    """
    if connection is not None:
        return insert_on(connection, template, items)
    with database.writing() as own:
        return insert_on(own, template, items)


def insert_on(connection: Any, template: RunTemplate, items: Sequence[RunItem]) -> list[str]:
    """Insert runs on a SQLAlchemy connection; they exist when its transaction commits.

    Returns:
        The ids in order; for a taken key, the id of the run that has it.
    """
    from sqlalchemy import select

    from closingbell.store.schema import runs

    insert = insert_of(connection)
    shared = template._asdict()
    rows = [{**shared, "id": i.id, "payload": i.payload, "lane": i.lane} for i in items]
    statement = insert(runs).on_conflict_do_nothing()
    if template.hold is None:
        connection.execute(statement, rows)
    else:
        from closingbell.store.approvals import note_requests

        # Only of what was stored: a repeated submission asks for nothing anew.
        made = connection.execute(statement.returning(runs.c.id), rows).scalars().all()
        note_requests(connection, made, template.submitted_at)
    if template.key is None:
        return [item.id for item in items]
    held = select(runs.c.id).where(runs.c.task == template.task, runs.c.key == template.key)
    holder = connection.execute(held).scalar_one_or_none()
    return [holder or item.id for item in items]


def insert_each_on(connection: Any, made: Sequence[tuple[RunTemplate, RunItem]]) -> set[str]:
    """Insert runs that share nothing, without keys and not held; return the ids that were there."""
    ids = [item.id for _, item in made]
    if connection.dialect.name == "sqlite":
        # One step inside SQLite each: after every step it waits for Python's global lock.
        there = connection.exec_driver_sql(KNOWN_IDS, (to_json(ids),)).scalar_one()
        rows = to_json([(*item, *template) for template, item in made])
        connection.exec_driver_sql(INSERT_EACH, (rows,))
        return set(from_json(there))
    from sqlalchemy import select

    from closingbell.store.schema import runs

    known = set(connection.execute(select(runs.c.id).where(runs.c.id.in_(ids))).scalars())
    values = [{**template._asdict(), **item._asdict()} for template, item in made]
    connection.execute(insert_of(connection)(runs).on_conflict_do_nothing(), values)
    return known


def is_stored(connection: Any, run_id: str) -> bool:
    """Whether a run of this id is there, as a SQLAlchemy connection sees it."""
    from sqlalchemy import select

    from closingbell.store.schema import runs

    query = select(runs.c.id).where(runs.c.id == run_id)
    return connection.execute(query).first() is not None


def insert_of(connection: Any) -> Any:
    """Return the `insert` of the connection's dialect, the one that knows ON CONFLICT."""
    if connection.dialect.name == "sqlite":
        from sqlalchemy.dialects.sqlite import insert as insert_sqlite

        return insert_sqlite
    from sqlalchemy.dialects.postgresql import insert as insert_postgresql

    return insert_postgresql


def put_row(
    connection: Any,
    table: Any,
    key: Mapping[str, Any],
    values: Mapping[str, Any],
    at_first: Mapping[str, Any] | None = None,
) -> dict[str, Any] | None:
    """Insert a row, or change the one that has its key, as `upsert`.

    Returns:
        The row as it was, or None when it is new.
    """
    from sqlalchemy import select, update

    mine = [table.c[name] == value for name, value in key.items()]
    fresh = insert_of(connection)(table).values(**key, **values, **(at_first or {}))
    fresh = fresh.on_conflict_do_nothing().returning(*(table.c[name] for name in key))
    while connection.execute(fresh).first() is None:
        # Held, so that what is told as before is what is changed.
        row = connection.execute(select(table).where(*mine).with_for_update()).one_or_none()
        if row is not None:
            connection.execute(update(table).where(*mine).values(**values))
            return dict(row._mapping)
    return None


def upsert(
    connection: Any,
    table: Any,
    key: Mapping[str, Any],
    values: Mapping[str, Any],
    at_first: Mapping[str, Any] | None = None,
) -> None:
    """Insert a row, or change the one that has its key; two callers at once both succeed.

    Args:
        connection: a SQLAlchemy connection.
        table: of the schema.
        key: its primary key.
        values: what to store either way.
        at_first: what to store only when the row is new.
    """
    statement = insert_of(connection)(table).values(**key, **values, **(at_first or {}))
    connection.execute(statement.on_conflict_do_update(index_elements=list(key), set_=dict(values)))
