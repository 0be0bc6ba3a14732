"""Runs written inside the caller's own transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from closingbell.core.run import RunItem, RunTemplate


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
    connection.execute(insert(runs).on_conflict_do_nothing(), rows)
    if template.key is None:
        return [item.id for item in items]
    held = select(runs.c.id).where(runs.c.task == template.task, runs.c.key == template.key)
    holder = connection.execute(held).scalar_one_or_none()
    return [holder or item.id for item in items]


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
