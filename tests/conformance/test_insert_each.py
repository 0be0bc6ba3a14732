"""Runs that are stored together and share nothing."""

from __future__ import annotations

from sqlalchemy import select

from closingbell import create_app
from closingbell.core.run import RunItem, RunTemplate
from closingbell.store.insert import insert_each_on, insert_on
from closingbell.store.schema import runs

_PLAIN = RunTemplate("price", "async", 5, "pending", 1_000, 3, 60.0, 900)
_FULL = RunTemplate(
    task="größe 'x'",
    executor="thread",
    priority=1,
    state="scheduled",
    due_at=4_102_444_800_000_000,
    max_attempts=1,
    timeout_s=0.25,
    submitted_at=2**53 + 1,
    tags='["a","b\\"c"]',
    schedule_id="007",
    fire_at=0,
    session_date="2026-11-20",
    event_id="1e5",
    requested_by="null",
    trace="00-ab-cd-01",
)


def test_insert_each_stores_every_column_as_an_insert_of_one_does(store_address: str) -> None:
    app = create_app(store_address)
    try:
        with app.store.database.writing() as connection:
            for number, template in enumerate((_PLAIN, _FULL)):
                insert_on(connection, template, [RunItem(f"a{number}", '{"n":[1,"é"]}', "lane:1")])
            made = [
                (template, RunItem(f"b{number}", '{"n":[1,"é"]}', "lane:1"))
                for number, template in enumerate((_PLAIN, _FULL))
            ]
            assert insert_each_on(connection, made) == set()
            rows = connection.execute(select(runs).order_by(runs.c.id)).all()

        one, each = [[tuple(row)[1:] for row in part] for part in (rows[:2], rows[2:])]
        assert [row.id for row in rows] == ["a0", "a1", "b0", "b1"]
        assert one == each
    finally:
        app.stop()


def test_insert_each_of_what_is_there_names_it_and_changes_nothing(store_address: str) -> None:
    app = create_app(store_address)
    try:
        with app.store.database.writing() as connection:
            insert_on(connection, _PLAIN, [RunItem("a", "{}")])
            there = insert_each_on(
                connection, [(_FULL, RunItem("a", "[]")), (_PLAIN, RunItem("b", "{}"))]
            )
            rows = {row.id: row.task for row in connection.execute(select(runs))}

        assert there == {"a"}
        assert rows == {"a": "price", "b": "price"}
    finally:
        app.stop()
