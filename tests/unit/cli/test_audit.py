"""`closingbell audit`: lists, verifies and exports; what commands do is in it, with who did it."""

from __future__ import annotations

import csv
import getpass
import io
import json
import socket
import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from closingbell.core.audit import canonical
from tests.unit.cli.conftest import Command


@pytest.fixture
def acted(drained: Path, command: Command) -> Path:
    """The desk's folder after a pause, a resume and a retry from the command line."""
    for words in (
        ("schedule", "pause", "valuation", "--reason", "=HYPERLINK(0)"),
        ("schedule", "resume", "valuation"),
        ("run", "retry", failed_run(command)),
    ):
        assert command(*words, "--database", "desk.db").code == 0
    return drained


def failed_run(command: Command) -> str:
    """The id of the run that failed."""
    answer = command("runs", "--state", "failed", "--database", "desk.db", "--json")
    return str(answer.json["runs"][0]["id"])


def records(command: Command, *words: str) -> list[dict[str, Any]]:
    """What `audit list` says, the oldest first."""
    answer = command("audit", "list", "--database", "desk.db", "--json", *words)
    assert answer.code == 0, answer.err
    found: list[dict[str, Any]] = answer.json["records"]
    return found[::-1]


def test_what_commands_did_is_listed_with_who_and_why(acted: Path, command: Command) -> None:
    declared, *by_hand = [r for r in records(command) if r["target_id"] == "valuation"]
    assert (declared["action"], declared["actor_kind"]) == ("schedule.created", "app code")
    assert [r["action"] for r in by_hand] == ["schedule.paused", "schedule.resumed"]
    assert by_hand[0]["reason"] == "=HYPERLINK(0)"
    submitted, retried = records(command, "--action", "run.")[-2:]
    assert submitted["action"] == "run.submitted"
    assert (retried["action"], retried["before"]) == ("run.retried", {"state": "failed"})
    for record in (*by_hand, submitted, retried):
        assert record["actor_kind"] == "command line"
        assert record["actor"] == f"{getpass.getuser()}@{socket.gethostname()}"


def test_commands_that_only_look_are_not_recorded(acted: Path, command: Command) -> None:
    before = records(command)
    for words in (("runs",), ("schedule", "list"), ("alerts",), ("audit", "verify")):
        assert command(*words, "--database", "desk.db").code == 0
    assert records(command) == before
    assert command("submit", "desk", "idle").code == 0
    assert [record["action"] for record in records(command)[len(before) :]] == ["run.submitted"]


def test_list_is_told_page_by_page(acted: Path, command: Command) -> None:
    answer = command("audit", "list", "--database", "desk.db", "-n", "2")
    assert "run.retried" in answer.out
    assert "schedule.resumed" in answer.out
    assert "schedule.paused" not in answer.out
    place = answer.err.strip().rpartition(" ")[2]
    following = command("audit", "list", "--database", "desk.db", "-n", "1", "--after", place)
    assert "schedule.paused" in following.out


def test_day_belongs_to_the_period_as_a_whole(acted: Path, command: Command) -> None:
    day = records(command)[0]["at"][:10]
    assert records(command, "--to", "2001-01-01") == []
    assert records(command, "--from", "2101-01-01") == []
    # The app's zone is not known to the command: it is UTC for both.
    assert len(records(command, "--from", day, "--to", day)) == len(records(command))


def test_chain_that_is_whole_is_said_to_be_with_its_head(acted: Path, command: Command) -> None:
    answer = command("audit", "verify", "--database", "desk.db")
    assert answer.code == 0
    [line] = answer.out.splitlines()
    head = line.removeprefix("head ")
    assert "whole" in answer.err
    assert command("audit", "verify", "--database", "desk.db", "--head", head).code == 0


def test_chain_that_was_edited_ends_in_a_failure_that_names_the_record(
    acted: Path, command: Command
) -> None:
    with closing(sqlite3.connect("desk.db")) as file:
        file.execute("DROP TRIGGER audit_records_stay")
        file.execute("UPDATE audit_records SET reason = 'nothing' WHERE action = 'schedule.paused'")
        file.commit()
    [seq] = [r["seq"] for r in records(command) if r["action"] == "schedule.paused"]
    answer = command("audit", "verify", "--database", "desk.db")
    assert answer.code == 1
    said = f"altered: record {seq} (schedule.paused) says something else than was recorded"
    assert said in answer.out.splitlines()
    told = command("audit", "verify", "--database", "desk.db", "--json")
    assert (told.code, told.json["ok"]) == (1, False)


def test_text_that_is_no_head_is_refused(acted: Path, command: Command) -> None:
    answer = command("audit", "verify", "--database", "desk.db", "--head", "7")
    assert answer.code == 2
    assert "SEQ:HASH" in answer.err


def test_csv_has_every_record_and_no_formula(acted: Path, command: Command) -> None:
    answer = command("audit", "export", "--database", "desk.db")
    rows = list(csv.DictReader(io.StringIO(answer.out, newline="")))
    assert [int(row["seq"]) for row in rows] == [r["seq"] for r in records(command)]
    assert [row["reason"] for row in rows if row["action"] == "schedule.paused"] == [
        "'=HYPERLINK(0)"
    ]


def test_json_lines_are_the_records(acted: Path, command: Command) -> None:
    answer = command("audit", "export", "--database", "desk.db", "--format", "jsonl")
    exported = [json.loads(line) for line in answer.out.splitlines()]
    listed = [
        {**one, "at": datetime.fromisoformat(one["at"]).isoformat()} for one in records(command)
    ]
    assert exported == listed


def test_report_is_written_whole_to_a_file(acted: Path, command: Command) -> None:
    answer = command(
        "audit", "export", "--database", "desk.db", "--format", "html", "-o", "q1.html", "--json"
    )
    assert answer.code == 0, answer.err
    page = Path("q1.html").read_text()
    assert answer.json == {"path": "q1.html", "format": "html", "bytes": len(page.encode())}
    assert page.endswith("</html>\n")
    assert "is whole" in page
    assert getpass.getuser() in page
    assert "<del><code>null</code></del>" in page


def test_export_that_has_nowhere_to_go_is_refused(acted: Path, command: Command) -> None:
    assert command("audit", "export", "--database", "desk.db", "--json").code == 2


def test_backup_and_restore_are_recorded_where_they_happened(acted: Path, command: Command) -> None:
    assert command("db", "backup", "copy.db", "--database", "desk.db").code == 0
    backed_up = records(command)[-1]
    assert (backed_up["action"], backed_up["after"]["path"]) == ("database.backed_up", "copy.db")
    assert command("db", "restore", "copy.db", "new.db").code == 0
    answer = command("audit", "list", "--database", "new.db", "--json")
    restored = answer.json["records"][0]
    assert (restored["action"], restored["after"]) == ("database.restored", {"path": "copy.db"})
    # The copy was taken before it was recorded, and the chain goes on from there.
    assert restored["previous_hash"] == backed_up["previous_hash"]
    assert command("audit", "verify", "--database", "new.db").code == 0
    assert canonical(restored["after"]) == '{"path":"copy.db"}'


def test_restart_of_the_same_app_records_nothing(acted: Path, command: Command) -> None:
    before = records(command)
    assert command("worker", "desk", "--burst").code == 0
    assert [r["seq"] for r in records(command)] == [r["seq"] for r in before]
