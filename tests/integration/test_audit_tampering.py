"""Somebody edits the database by hand, past closingbell: `audit verify` finds it and names it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from closingbell.cli.main import commands
from closingbell.core.actor import acting_as
from closingbell.core.audit import Head
from closingbell.store.audit_schema import audit_records
from tests.conformance.desk import Desk

#: What a hand runs, one statement after the other.
Edit = Callable[[str], None]


@pytest.fixture
def desk(store_address: str) -> Iterator[Desk]:
    """A store with a chain of six records: ann pauses and resumes a schedule."""
    made = Desk(store_address)
    schedules = made.store.schedules
    with acting_as("ann"):
        schedules.put("s", "risk_scan", '{"trigger":"daily"}', "call", 5, made.now)
        for number in range(5):
            made.advance(60)
            schedules.pause("s", f"reason {number}", None, made.now)
    yield made
    made.close()


@pytest.fixture
def edit(desk: Desk, store_address: str) -> Edit:
    """Runs statements as a person with the file, or as the server's superuser."""

    def by_hand(statements: str) -> None:
        desk.store.close()
        if store_address.startswith("sqlite"):
            with closing(sqlite3.connect(Path(store_address.removeprefix("sqlite:///")))) as file:
                triggers = file.execute(
                    "SELECT name FROM sqlite_master WHERE type = 'trigger'"
                    " AND tbl_name = 'audit_records'"
                ).fetchall()
                for (name,) in triggers:
                    file.execute(f"DROP TRIGGER {name}")
                file.executescript(statements)
                file.commit()
            return
        engine = sa.create_engine(store_address)
        with engine.begin() as connection:
            connection.exec_driver_sql("ALTER TABLE audit_records DISABLE TRIGGER ALL")
            for statement in filter(str.strip, statements.split(";")):
                connection.exec_driver_sql(statement)
        engine.dispose()

    return by_hand


def verified(address: str, *words: str) -> tuple[int, dict[str, Any]]:
    """The exit code of `audit verify`, and what it says."""
    result = CliRunner().invoke(
        commands, ["audit", "verify", "--database", address, "--json", *words]
    )
    said: dict[str, Any] = json.loads(result.stdout)
    return result.exit_code, said


_COPY = (
    "acted_at, actor, actor_kind, action, target_kind, target_id, reason, before_json, after_json,"
    " previous_hash, hash"
)

_EDITS = {
    "a word altered": (
        "UPDATE audit_records SET actor = 'bob' WHERE seq = 3",
        [("altered", 3, 3)],
    ),
    "a reason erased": (
        "UPDATE audit_records SET reason = NULL WHERE seq = 6",
        [("altered", 6, 6)],
    ),
    "a digit of an instant altered": (
        "UPDATE audit_records SET acted_at = acted_at + 1 WHERE seq = 1",
        [("altered", 1, 1)],
    ),
    "a space put into a value": (
        "UPDATE audit_records SET after_json = ' ' || after_json WHERE seq = 2",
        [("altered", 2, 2)],
    ),
    "a hash altered": (
        f"UPDATE audit_records SET hash = '{'a' * 64}' WHERE seq = 4",
        [("altered", 4, 4)],
    ),
    "a record deleted": ("DELETE FROM audit_records WHERE seq = 3", [("missing", 3, 3)]),
    "some records deleted": (
        "DELETE FROM audit_records WHERE seq IN (2, 3, 5)",
        [("missing", 2, 3), ("missing", 5, 5)],
    ),
    "the first deleted": ("DELETE FROM audit_records WHERE seq = 1", [("missing", 1, 1)]),
    "the end cut off": ("DELETE FROM audit_records WHERE seq > 4", [("cut", 5, 6)]),
    "all deleted": ("DELETE FROM audit_records", [("cut", 1, 6)]),
    "two swapped": (
        "UPDATE audit_records SET seq = 99 WHERE seq = 2;"
        "UPDATE audit_records SET seq = 2 WHERE seq = 5;"
        "UPDATE audit_records SET seq = 5 WHERE seq = 99",
        [("moved", 2, 2), ("moved", 5, 5)],
    ),
    "one renumbered": (
        "UPDATE audit_records SET seq = 9 WHERE seq = 3",
        [("inserted", 9, 9), ("missing", 3, 3), ("missing", 7, 8), ("moved", 9, 9)],
    ),
    "one inserted at the end": (
        f"INSERT INTO audit_records (seq, {_COPY}) SELECT 7, {_COPY} FROM audit_records"
        " WHERE seq = 6",
        [("inserted", 7, 7), ("moved", 7, 7)],
    ),
    "the head altered": (
        f"UPDATE facts SET value = '6:{'b' * 64}' WHERE name = 'audit_head'",
        [("head", 6, 6)],
    ),
    "the head deleted": ("DELETE FROM facts WHERE name = 'audit_head'", [("head", 6, 6)]),
}


@pytest.mark.parametrize("name", _EDITS)
def test_edit_by_hand_is_found_and_named(
    desk: Desk, edit: Edit, store_address: str, name: str
) -> None:
    statements, expected = _EDITS[name]
    code, said = verified(store_address)
    assert (code, said["ok"], said["records"]) == (0, True, 6)
    edit(statements)
    code, said = verified(store_address)
    assert (code, said["ok"]) == (1, False)
    named = [(f["problem"], f["seq"], f["until"]) for f in said["findings"]]
    assert sorted(named) == sorted(expected)


_COLUMNS = {
    "acted_at": "acted_at - 1",
    "actor": "'eve'",
    "actor_kind": "'system'",
    "action": "'schedule.removed'",
    "target_kind": "'run'",
    "target_id": "'t'",
    "reason": "'another'",
    "before_json": "'{}'",
    "after_json": "NULL",
    "previous_hash": f"'{'c' * 64}'",
    "hash": f"'{'d' * 64}'",
}


def test_every_column_of_every_record_is_kept_by_the_chain(
    desk: Desk, edit: Edit, store_address: str
) -> None:
    assert {column.name for column in audit_records.c} == {"seq", *_COLUMNS}
    records = list(desk.store.audit.walk())
    edit("DELETE FROM facts WHERE name = 'no such fact'")
    engine = sa.create_engine(store_address)
    for record in records:
        for column, value in _COLUMNS.items():
            with engine.begin() as connection:
                was = connection.exec_driver_sql(
                    f"SELECT {column} FROM audit_records WHERE seq = {record.seq}"
                ).scalar_one()
                connection.exec_driver_sql(
                    f"UPDATE audit_records SET {column} = {value} WHERE seq = {record.seq}"
                )
            findings = desk.store.audit.verify().findings
            named = {finding.seq for finding in findings if finding.problem == "altered"}
            assert named == {record.seq}, (record.seq, column)
            desk.store.close()
            statement = sa.text(f"UPDATE audit_records SET {column} = :was WHERE seq = :seq")
            with engine.begin() as connection:
                connection.execute(statement, {"was": was, "seq": record.seq})
    engine.dispose()
    assert verified(store_address)[1]["ok"] is True


def test_record_put_in_between_is_found_though_all_others_were_renumbered(
    desk: Desk, edit: Edit, store_address: str
) -> None:
    shifts = ";".join(
        f"UPDATE audit_records SET seq = {n + 1} WHERE seq = {n}" for n in range(6, 2, -1)
    )
    edit(
        f"{shifts};INSERT INTO audit_records (seq, {_COPY}) SELECT 3, {_COPY} FROM audit_records"
        " WHERE seq = 2"
    )
    code, said = verified(store_address)
    assert code == 1
    sentences = [finding["sentence"] for finding in said["findings"]]
    for n in range(4, 8):
        assert f"record {n} was record {n - 1}" in sentences
    assert "record 3 was record 2" in sentences


def test_chain_cut_off_with_its_head_is_found_by_a_head_that_was_kept(
    desk: Desk, edit: Edit, store_address: str
) -> None:
    _, said = verified(store_address)
    kept = said["head"]
    fourth = desk.store.audit.records(before_seq=5, limit=1)[0]
    edit(
        "DELETE FROM audit_records WHERE seq > 4;"
        f"UPDATE facts SET value = '{Head(4, fourth.hash)}' WHERE name = 'audit_head'"
    )
    assert verified(store_address)[0] == 0
    code, said = verified(store_address, "--head", kept)
    assert code == 1
    assert [(f["problem"], f["seq"]) for f in said["findings"]] == [("remade", 6)]


def test_work_goes_on_after_an_edit_and_does_not_hide_it(
    desk: Desk, edit: Edit, store_address: str
) -> None:
    edit("DELETE FROM audit_records WHERE seq > 4")
    desk.store.schedules.resume("s", 5)
    code, said = verified(store_address)
    assert code == 1
    assert [(f["problem"], f["seq"], f["until"]) for f in said["findings"]] == [("missing", 5, 6)]
    assert said["head"].startswith("7:")


def test_byte_of_the_file_that_is_changed_is_found(tmp_path: Path) -> None:
    address = f"sqlite:///{tmp_path / 'desk.db'}"
    desk = Desk(address)
    desk.store.audit.append("schedule.paused", "schedule", "s", reason="quarter end close")
    desk.close()
    file = tmp_path / "desk.db"
    content = file.read_bytes()
    assert content.count(b"quarter end close") == 1
    file.write_bytes(content.replace(b"quarter end close", b"quarter ent close"))
    code, said = verified(address)
    assert code == 1
    assert [(f["problem"], f["seq"]) for f in said["findings"]] == [("altered", 1)]
