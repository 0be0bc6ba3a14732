"""`submit` and `event`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.cli.conftest import Command


def test_submitted_run_is_stored_and_its_id_written(desk: Path, command: Command) -> None:
    answer = command("submit", "desk", "valuation", "amount=3", "--priority", "2", "--tag", "eod")
    run = command("run", "show", answer.out.strip(), "--app", "desk", "--json").json
    assert (run["task"], run["payload"], run["state"]) == ("valuation", {"amount": 3}, "pending")
    assert (run["priority"], run["tags"]) == (2, ["eod"])


def test_same_key_makes_no_second_run(desk: Path, command: Command) -> None:
    first, second = (command("submit", "desk", "idle", "--key", "a").out for _ in range(2))
    assert first == second
    assert len(command("runs", "--database", "desk.db", "--json").json["runs"]) == 1


def test_delayed_run_is_due_later(desk: Path, command: Command) -> None:
    assert command("submit", "desk", "idle", "--delay", "1h", "--json").json["state"] == "scheduled"
    at = command("submit", "desk", "idle", "--at", "2030-01-02T09:30", "--json").json["due_at"]
    assert at == "2030-01-02T14:30:00Z", "naive means the app's zone"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("desk", "valuatoin"), 3, "did you mean 'valuation'?"),
        (("desk", "valuation", "amount=[1]"), 2, "error[payload_mismatch]"),
        (("desk", "valuation", "amont=1"), 2, "error[payload_mismatch]"),
        (("desk", "valuation", "{"), 2, "error[invalid_submission]"),
        (("desk", "idle", "--priority", "0"), 2, "error[invalid_request]"),
        (("desk", "idle", "--delay", "-5"), 2, "expected seconds"),
        (("desk", "idle", "--at", "tomorrow"), 2, "error[invalid_submission]"),
        (("desk",), 2, "a TASK after the target"),
        (("nowhere:app", "idle"), 2, "error[invalid_target]"),
    ],
)
def test_submission_that_cannot_work_is_refused_and_nothing_is_stored(
    desk: Path, command: Command, words: tuple[str, ...], code: int, said: str
) -> None:
    assert command("submit", "desk", "idle").code == 0
    answer = command("submit", *words)
    assert (answer.code, answer.out) == (code, "")
    assert said in answer.err
    assert len(command("runs", "--database", "desk.db", "--json").json["runs"]) == 1


def test_target_comes_from_the_environment(
    desk: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOSINGBELL_APP", "desk:app")
    assert command("submit", "valuation", "amount=4").code == 0
    run_id = command("runs", "--json").json["runs"][0]["id"]
    assert command("run", "show", run_id, "--json").json["payload"] == {"amount": 4}


def test_database_of_the_command_line_leads_over_the_apps_own(desk: Path, command: Command) -> None:
    assert command("submit", "desk", "idle", "--database", "other.db").code == 0
    assert (desk / "other.db").exists()
    assert not (desk / "desk.db").exists()


@pytest.mark.parametrize(("amount", "code"), [(3, 0), (200, 1)])
def test_waiting_ends_with_the_run_and_its_exit_code(
    drained: Path, command: Command, amount: int, code: int
) -> None:
    key = ("--key", f"once {amount}")
    assert command("submit", "desk", "valuation", f"amount={amount}", *key).code == 0
    assert command("worker", "desk", "--burst").code == 0
    answer = command("submit", "desk", "valuation", f"amount={amount}", *key, "--wait")
    assert answer.code == code
    assert (answer.out == '{"worth": 6}\n') is (code == 0)
    assert ("error[task_failed]" in answer.err) is (code == 1)


def test_waiting_in_vain_ends_with_a_failure(desk: Path, command: Command) -> None:
    answer = command("submit", "desk", "idle", "--wait", "--timeout", "0.05")
    assert answer.code == 1
    assert "error[run_not_finished]" in answer.err


@pytest.mark.parametrize(("change", "started"), [("-0.06", 1), ("-0.01", 0)])
def test_event_starts_the_runs_whose_condition_it_meets(
    desk: Path, command: Command, change: str, started: int
) -> None:
    answer = command("event", "desk", "position_change", "symbol=IBM", f"change={change}", "--json")
    assert len(answer.json["run_ids"]) == started
    stored = command("events", "--database", "desk.db", "--json").json["events"]
    assert [(event["type"], event["runs"]) for event in stored] == [("position_change", started)]
