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
    answer = command("db", "verify", *ON_DESK, "--json")
    assert answer.code == 0
    assert answer.json["ok"] is True
    assert answer.json["runs"]["success"] == 1
    assert answer.json["rows"]["runs"] == 3


def test_broken_promise_is_found(drained: Path, command: Command) -> None:
    execute(
        drained / "desk.db",
        "INSERT INTO attempts (run_id, fence, number, outcome) VALUES ('gone', 1, 1, 'raised')",
    )
    answer = command("db", "verify", *ON_DESK, "--json")
    assert answer.code == 1
    assert answer.json["problems"] == ["1 attempts belong to no run"]


def test_damaged_file_is_found(drained: Path, command: Command) -> None:
    with (drained / "desk.db").open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 40_960)
    assert command("db", "verify", *ON_DESK).code in (1, 4)


def test_newer_schema_is_refused_with_a_sentence(drained: Path, command: Command) -> None:
    execute(drained / "desk.db", "UPDATE alembic_version SET version_num = '9999'")
    assert command("db", "verify", *ON_DESK).code == 1
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
    assert command("db", "verify", "--database", "nowhere.db").code == 4


def test_copy_is_restored_as_a_database_of_its_own(drained: Path, command: Command) -> None:
    before = command("db", "verify", *ON_DESK, "--json").json
    for name in ("copy.sql", "copy.db"):
        said = command("db", "backup", f"copies/{name}", *ON_DESK, "--json").json
        assert said["bytes"] == (drained / "copies" / name).stat().st_size
        answer = command("db", "restore", f"copies/{name}", f"sqlite:///of-{name}.db", "--json")
        assert answer.json == {"path": f"copies/{name}", "database": f"sqlite:///of-{name}.db"}
        after = command("db", "verify", "--database", f"of-{name}.db", "--json").json
        # That it was copied and restored is in the audit ledger.
        assert after["rows"].pop("audit_records") > before["rows"]["audit_records"]
        rows = {name: n for name, n in before["rows"].items() if name != "audit_records"}
        assert (after["ok"], after["rows"], after["runs"]) == (True, rows, before["runs"])


def test_copy_and_restore_say_in_a_line_what_they_did(drained: Path, command: Command) -> None:
    written = command("db", "backup", "copy.sql", *ON_DESK)
    assert (written.code, written.out) == (0, "")
    assert "copy.sql:" in written.err
    assert "bytes (sql)" in written.err
    restored = command("db", "restore", "copy.sql", "new.db")
    assert (restored.code, restored.out) == (0, "")
    assert "copy.sql -> sqlite:///new.db" in restored.err


def test_copy_that_cannot_be_written_fails_with_a_sentence(drained: Path, command: Command) -> None:
    answer = command("db", "backup", "desk.db", *ON_DESK)
    assert answer.code == 1
    assert "error[backup_failed]" in answer.err
    assert "the database itself" in answer.err


def test_copy_of_a_database_that_is_not_there_is_a_store_error(
    desk: Path, command: Command
) -> None:
    assert command("db", "backup", "copy.sql", "--database", "nowhere.db").code == 4
    assert not (desk / "copy.sql").exists()
    assert not (desk / "nowhere.db").exists()


def test_restore_onto_a_database_that_is_there_is_refused(drained: Path, command: Command) -> None:
    command("db", "backup", "copy.sql", *ON_DESK)
    answer = command("db", "restore", "copy.sql", "desk.db")
    assert answer.code == 1
    assert "error[restore_failed]" in answer.err
    assert command("db", "verify", *ON_DESK).code == 0


def test_broken_promise_of_the_ledger_is_found(drained: Path, command: Command) -> None:
    entry = (
        "INSERT INTO desk_entries (account, seq, kind, happened_at, currency, amount, fee, symbol,"
        " quantity, price, order_id) VALUES ('main', 1, 'fill', 1, 'USD', '-1', '0', 'A', '1', '1',"
        " 'nobody')"
    )
    execute(
        drained / "desk.db",
        entry,
        "INSERT INTO desk_accounts (name, currency, initial, broker, opened_at, version, seq, peak,"
        " cursor_at, cursor_opened, prices, breached, sync) VALUES ('other', 'USD', '0', 'paper',"
        " 1, 0, 3, '0', -1, 0, '{}', 0, '{}')",
        "INSERT INTO desk_backtest_pages (backtest_id, kind, number, data) VALUES ('b', 'k', 0, x'00')",
    )
    assert command("db", "verify", *ON_DESK, "--json").json["problems"] == [
        "1 accounts do not end where their journal ends",
        "1 entries belong to no account",
        "1 fills belong to no order",
        "1 pages belong to no backtest",
    ]
