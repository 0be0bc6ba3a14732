"""Runs written inside the caller's own transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from closingbell.core.run import RunItem, RunTemplate


def insert_on(connection: Any, template: RunTemplate, items: Sequence[RunItem]) -> list[str]:
    """Insert runs on a SQLAlchemy connection; they exist when its transaction commits.

    Returns:
        The ids in order; for a taken key, the id of the run that has it.
    """
    from sqlalchemy import select
    from sqlalchemy.dialects.postgresql import insert as insert_postgresql
    from sqlalchemy.dialects.sqlite import insert as insert_sqlite

    from closingbell.store.schema import runs

    insert: Any = insert_sqlite if connection.dialect.name == "sqlite" else insert_postgresql
    shared = template._asdict()
    rows = [{**shared, "id": i.id, "payload": i.payload, "lane": i.lane} for i in items]
    connection.execute(insert(runs).on_conflict_do_nothing(), rows)
    if template.key is None:
        return [item.id for item in items]
    held = select(runs.c.id).where(runs.c.task == template.task, runs.c.key == template.key)
    holder = connection.execute(held).scalar_one_or_none()
    return [holder or item.id for item in items]
