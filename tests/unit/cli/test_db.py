"""`db ...`."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from tests.unit.cli.conftest import Command

ON_DESK = ("--database", "desk.db")


def execute(database: Path, *statements: str) -> None:
    with closing(sqlite3.connect(database)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def test_sound_database_is_said_to_be_sound(drained: Path, command: Command) -> None:
    answer = command("db", "check", *ON_DESK, "--json")
    assert answer.code == 0
    assert answer.json["ok"] is True
    assert answer.json["runs"]["success"] == 1
    assert answer.json["rows"]["runs"] == 3


def test_broken_promise_is_found(drained: Path, command: Command) -> None:
    execute(
        drained / "desk.db",
        "INSERT INTO attempts (run_id, fence, number, outcome) VALUES ('gone', 1, 1, 'raised')",
    )
    answer = command("db", "check", *ON_DESK, "--json")
    assert answer.code == 1
    assert answer.json["problems"] == ["1 attempts belong to no run"]


def test_damaged_file_is_found(drained: Path, command: Command) -> None:
    with (drained / "desk.db").open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 40_960)
    assert command("db", "check", *ON_DESK).code in (1, 4)


def test_newer_schema_is_refused_with_a_sentence(drained: Path, command: Command) -> None:
    execute(drained / "desk.db", "UPDATE alembic_version SET version_num = '9999'")
    assert command("db", "check", *ON_DESK).code == 1
    for words in (("runs",), ("db", "upgrade")):
        answer = command(*words, *ON_DESK)
        assert answer.code == 4
        assert "it is newer than this closingbell" in answer.err


def test_upgrade_makes_the_schema_and_then_finds_it(desk: Path, command: Command) -> None:
    first, second = (command("db", "upgrade", *ON_DESK, "--json").json for _ in range(2))
    assert first["from"] is None
    assert second["from"] == second["to"] == first["to"]


def test_check_of_a_database_that_is_not_there_is_a_store_error(
    desk: Path, command: Command
) -> None:
    assert command("db", "check", "--database", "nowhere.db").code == 4
