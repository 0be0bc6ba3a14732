"""`doctor`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.conftest import Answer, Command


def lines(answer: Answer) -> dict[str, dict[str, Any]]:
    return {line["check"]: line for line in answer.json["checks"]}


def test_healthy_desk_without_a_worker_has_a_warning_and_no_failure(
    drained: Path, command: Command
) -> None:
    answer = command("doctor", "desk", "--json")
    found = lines(answer)
    assert answer.code == 0
    assert found["workers"]["level"] == "warn"
    for check in ("target", "settings", "store", "disk", "schema", "clock", "schedules"):
        assert found[check]["level"] == "ok", check


def test_living_worker_is_seen(drained: Path, command: Command) -> None:
    from closingbell.cli.target import load_app

    with load_app("desk").running():
        assert "1 alive" in lines(command("doctor", "desk", "--json"))["workers"]["found"]


def test_runs_that_wait_without_a_worker_are_a_failure(desk: Path, command: Command) -> None:
    command("submit", "desk", "idle")
    answer = command("doctor", "--database", "desk.db", "--json")
    assert answer.code == 1
    assert lines(answer)["workers"]["advice"] == "closingbell serve TARGET"


def test_examination_of_a_target_changes_nothing(desk: Path, command: Command) -> None:
    answer = command("doctor", "desk", "--json")
    assert answer.code == 0
    assert lines(answer)["store"]["level"] == "warn"
    assert not (desk / "desk.db").exists()


@pytest.mark.parametrize(
    ("change", "check", "level", "said"),
    [
        ("import os\n@app.task(executor='process')\ndef p(): ...\n"
         "if os.environ.pop('CLOSINGBELL_HERE', None) is None:\n    del p",
         "handlers", "fail", "has no 'p'"),
        ("@app.task(executor='process')\ndef p(): ...", "handlers", "ok", "can import 1"),
        ("@app.task(cron='0 9 13 * FRI')\ndef odd(): ...", "cron", "warn", "day"),
        ("raise RuntimeError('no licence')", "target", "fail", "no licence"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_target_is_found(
    desk: Path,
    command: Command,
    monkeypatch: pytest.MonkeyPatch,
    change: str,
    check: str,
    level: str,
    said: str,
) -> None:
    monkeypatch.setenv("CLOSINGBELL_HERE", "only in this process")
    with (desk / "desk.py").open("a") as file:
        file.write(change + "\n")
    answer = command("doctor", "desk", "--json")
    found = lines(answer)[check]
    assert found["level"] == level
    assert said in found["found"]
    assert answer.code == (1 if level == "fail" else 0)


def test_schedule_of_a_task_that_is_gone_is_found(drained: Path, command: Command) -> None:
    (drained / "desk.py").write_text(
        "from closingbell import create_app\n"
        "app = create_app('sqlite:///desk.db')\n"
        "@app.task\n"
        "def another(): ...\n"
    )
    import sys

    sys.modules.pop("desk", None)
    found = lines(command("doctor", "desk", "--json"))["schedules"]
    assert found["level"] == "warn"
    assert "task 'valuation', which nobody here knows" in found["found"]


def test_setting_that_cannot_be_read_is_found(
    desk: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    (desk / "closingbell.toml").write_text("leese_s = 3\n")
    answer = command("doctor", "--json")
    assert answer.code == 1
    assert "did you mean 'lease_s'?" in lines(answer)["settings"]["found"]


def test_older_schema_is_a_failure_that_says_what_to_do(drained: Path, command: Command) -> None:
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(drained / "desk.db")) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '0000'")
    answer = command("doctor", "--database", "desk.db", "--json")
    assert answer.code == 1
    assert "closingbell db upgrade" in lines(answer)["schema"]["advice"]
