"""A look of the stream costs the same, however many runs there are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa

from closingbell.core.clock import SimulatedClock
from closingbell.store.store import Store, open_store
from tests.conformance.desk import START
from tests.integration.seeded import NOW, seed

_SECOND = 1_000_000
#: What reads all of a table that grows without end.
_SCANS = re.compile(
    r"Seq Scan on runs\b"
    r"|\bSCAN (runs|audit_records|events|alerts)(?! USING)\b"
)


@pytest.fixture
def store(store_address: str) -> Iterator[Store]:
    made = open_store(store_address, SimulatedClock(START))
    made.prepare()
    seed(made.database)
    with made.database.writing() as connection:
        connection.execute(sa.text("ANALYZE"))
    yield made
    made.close()


@contextmanager
def plans_of(store: Store) -> Iterator[list[tuple[str, str]]]:
    plans: list[tuple[str, str]] = []
    engine = store.database.engine()

    def explain(
        connection: sa.Connection, _cursor: Any, statement: str, values: Any, *_: Any
    ) -> None:
        if not re.match(r"\s*(WITH|SELECT)", statement):
            return
        raw: Any = connection.connection.driver_connection
        if store.dialect == "sqlite":
            rows = raw.execute("EXPLAIN QUERY PLAN " + statement, values or ()).fetchall()
            plans.append((statement, "\n".join(row[3] for row in rows)))
        else:
            cursor = raw.cursor()
            cursor.execute("EXPLAIN " + statement, values or None)
            plans.append((statement, "\n".join(row[0] for row in cursor.fetchall())))

    sa.event.listen(engine, "before_cursor_execute", explain)
    try:
        yield plans
    finally:
        sa.event.remove(engine, "before_cursor_execute", explain)


def test_look_reads_no_table_that_grows(store: Store) -> None:
    with plans_of(store) as plans:
        look = store.changes.look(NOW - 10 * _SECOND, NOW, 0, 2_000)
        ids = [mark.id for mark in look.runs[:500]]
        store.changes.runs(ids)
        store.changes.last_record()
        store.changes.running(2_000)

    assert len(plans) >= 10
    for statement, plan in plans:
        assert not _SCANS.search(plan), f"{statement}\n{plan}"


def test_look_takes_in_no_more_than_it_may(store: Store) -> None:
    look = store.changes.look(0, NOW, 0, 50)

    assert not look.whole
    assert len(look.running) == 50
