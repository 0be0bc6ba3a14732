"""`runs`, `run ...`, `tasks`, `worker --burst`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.conftest import Command

ON_DESK = ("--database", "desk.db")


def ids(command: Command, *filters: str) -> list[str]:
    found = command("runs", *ON_DESK, "--json", *filters).json["runs"]
    return [run["id"] for run in found]


def by_name(tasks: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {task["name"]: task for task in tasks}


def test_runs_are_listed_newest_first_and_filtered(drained: Path, command: Command) -> None:
    answer = command("runs", *ON_DESK, "--json").json
    listed = [(run["task"], run["state"]) for run in answer["runs"]]
    assert listed == [("idle", "skipped"), ("valuation", "failed"), ("valuation", "success")]
    assert answer["next"] is None
    assert len(ids(command, "--task", "valuation")) == 2
    assert len(ids(command, "--state", "failed", "--state", "skipped")) == 2


def test_pages_of_runs_follow_each_other_without_gaps(drained: Path, command: Command) -> None:
    first = command("runs", *ON_DESK, "--json", "-n", "2").json
    second = ids(command, "-n", "2", "--after", first["next"])
    assert [run["id"] for run in first["runs"]] + second == ids(command)


def test_unknown_state_is_refused_with_the_known_ones(drained: Path, command: Command) -> None:
    answer = command("runs", *ON_DESK, "--state", "done")
    assert answer.code == 2
    assert "success" in answer.err


def test_table_for_pipes_has_headings_and_whole_values(drained: Path, command: Command) -> None:
    lines = command("runs", *ON_DESK).out.splitlines()
    assert lines[0].split() == ["ID", "TASK", "STATE", "CAUSE", "ATTEMPT", "DUE", "TOOK", "WHY"]
    assert lines[2].endswith("ValueError: more than we hold")


def test_run_is_shown_by_the_first_letters_of_its_id(drained: Path, command: Command) -> None:
    failed = ids(command, "--state", "failed")[0]
    others = [run for run in ids(command) if run != failed]
    shortest = next(
        n for n in range(1, 33) if not any(run.startswith(failed[:n]) for run in others)
    )
    answer = command("run", "show", failed[:shortest], *ON_DESK, "--json").json
    assert answer["id"] == failed
    assert [attempt["outcome"] for attempt in answer["attempts"]] == ["raised"]
    assert "failed after 1 attempt" in answer["explanation"]
    told = command("run", "show", failed, *ON_DESK).out
    assert "ValueError: more than we hold" in told
    assert command("run", "show", failed[:1], *ON_DESK).code == 2, "several begin so"


def test_run_that_is_not_there_is_not_found(drained: Path, command: Command) -> None:
    for verb in ("show", "cancel", "retry", "logs"):
        answer = command("run", verb, "nope", *ON_DESK)
        assert answer.code == 3
        assert "error[unknown_run]" in answer.err


def test_logs_are_what_the_run_printed(drained: Path, command: Command) -> None:
    run_id = ids(command, "--state", "success")[0]
    assert command("run", "logs", run_id, *ON_DESK).out == "valuing 3\n"
    pieces = command("run", "logs", run_id, *ON_DESK, "--json", "-f").out.splitlines()
    assert [json.loads(piece)["stream"] for piece in pieces] == ["stdout"]


def test_waiting_run_is_cancelled_and_an_ended_one_is_a_conflict(
    desk: Path, command: Command
) -> None:
    run_id = command("submit", "desk", "idle").out.strip()
    assert command("run", "cancel", run_id, *ON_DESK, "--reason", "not today").code == 0
    shown = command("run", "show", run_id, *ON_DESK, "--json").json
    assert (shown["state"], shown["reason"]) == ("cancelled", "not today")
    answer = command("run", "cancel", run_id, *ON_DESK)
    assert answer.code == 5
    assert "error[invalid_transition]" in answer.err


@pytest.mark.parametrize("app", [(), ("--app", "desk")])
def test_retried_run_runs_again_and_keeps_its_attempts(
    drained: Path, command: Command, app: tuple[str, ...]
) -> None:
    failed = ids(command, "--state", "failed")[0]
    assert command("run", "retry", failed, *ON_DESK, *app).code == 0
    assert command("worker", "desk", "--burst").code == 0
    shown = command("run", "show", failed, *ON_DESK, "--json").json
    assert shown["state"] == "failed"
    assert [attempt["number"] for attempt in shown["attempts"]] == [1, 2]


def test_bursting_worker_says_what_it_drained(desk: Path, command: Command) -> None:
    for amount in (1, 2, 300):
        command("submit", "desk", "valuation", f"amount={amount}")
    answer = command("worker", "desk", "--burst", "--json")
    assert answer.json["ended"] == {"success": 2, "failed": 1}


def test_tasks_are_told_with_and_without_a_target(drained: Path, command: Command) -> None:
    with_target = by_name(command("tasks", "desk", "--json").json["tasks"])
    assert set(with_target) == {"valuation", "risk_scan", "idle"}
    # Both valuations ran beside each other: the status is that of the one that ended last.
    ended = command("runs", "--task", "valuation", *ON_DESK, "--json").json["runs"]
    last = max(ended, key=lambda run: run["finished_at"])["state"]
    assert with_target["valuation"]["standing"]["last_status"] == last
    assert with_target["valuation"]["description"] == "Value the book."
    without = by_name(command("tasks", *ON_DESK, "--json").json["tasks"])
    error = "ValueError: more than we hold" if last == "failed" else None
    assert without["valuation"]["standing"]["last_error"] == error


def test_database_that_is_not_there_is_a_store_error_and_is_not_made(
    desk: Path, command: Command
) -> None:
    answer = command("runs", "--database", "nowhere.db")
    assert answer.code == 4
    assert "there is no database" in answer.err
    assert not (desk / "nowhere.db").exists()
