"""`runs --filter`, `run cancel-many`, `run retry-many`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.cli.conftest import Command

ON_DESK = ("--database", "desk.db")


def states(command: Command, *words: str) -> list[str]:
    found = command("runs", *ON_DESK, "--json", *words).json["runs"]
    return [run["state"] for run in found]


def test_runs_are_found_by_one_line(drained: Path, command: Command) -> None:
    assert states(command, "--filter", 'task:valuation "more than we hold"') == ["failed"]
    assert states(command, "-f", "-state:success,failed") == ["skipped"]
    assert states(command, "-f", "since:2020-01-01", "--state", "failed") == ["failed"]
    answer = command("runs", *ON_DESK, "--filter", "task:valuation", "-n", "1")
    assert "more: --after" in answer.err


@pytest.mark.parametrize(
    "words",
    [("-f", "stat:failed"), ("-f", "task:a", "--task", "b"), ("-f", "state:x"), ("-f", '"open')],
)
def test_line_that_cannot_be_read_is_a_usage_error(
    drained: Path, command: Command, words: tuple[str, ...]
) -> None:
    answer = command("runs", *ON_DESK, *words)
    assert answer.code == 2
    assert "error[invalid_filter]" in answer.err
    assert answer.out == ""


def test_many_runs_are_counted_then_cancelled(desk: Path, command: Command) -> None:
    for _ in range(3):
        assert command("submit", "desk", "idle").code == 0
    words = ("run", "cancel-many", "--filter", "task:idle", *ON_DESK)
    assert command(*words, "--dry-run").out == "3 runs would be asked to cancel\n"
    assert states(command) == ["pending"] * 3
    told = command(*words, "--most", "2", "--reason", "not today", "--json").json
    assert (told["matched"], told["done"], told["more"], told["dry_run"]) == (2, 2, True, False)
    assert command(*words).out == "1 of 1 runs: cancel\n"
    assert states(command) == ["cancelled"] * 3
    records = command("audit", "list", *ON_DESK, "--json", "--action", "runs.").json["records"]
    assert [record["reason"] for record in records] == [None, "not today"]


def test_many_runs_are_tried_again(drained: Path, command: Command) -> None:
    words = ("run", "retry-many", "-f", "task:valuation", "--json")
    told = command(*words, "--app", "desk:app").json
    assert (told["matched"], told["done"], told["refused"]) == (1, 1, [])
    assert sorted(states(command)) == ["pending", "skipped", "success"]


def test_many_runs_of_tasks_that_nobody_knows_are_refused_and_told(
    drained: Path, command: Command
) -> None:
    answer = command("run", "retry-many", "-f", "state:failed", *ON_DESK)
    assert answer.code == 1
    assert "0 of 1 runs: retry" in answer.out
    assert "unknown task 'valuation'" in answer.out
    assert states(command, "--state", "failed") == ["failed"]


def test_filter_that_says_nothing_cancels_nothing(drained: Path, command: Command) -> None:
    answer = command("run", "cancel-many", "-f", "", *ON_DESK)
    assert answer.code == 2
    assert "error[invalid_filter]" in answer.err
