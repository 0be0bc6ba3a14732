"""`run approve`, `run reject`, `run waiting`, and what masked fields look like."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Command

ON_DESK = ("--database", "desk.db")
#: The value of a payload field that must not be seen.
SECRET = "hunter2"

DESK = """
from closingbell import create_app

app = create_app("sqlite:///desk.db", guardian=False)

@app.task(
    approval="two-person", masked=["api_key", "legs.token"], on_event="breach",
    interval="1h", payload={"api_key": "hunter2"},
)
def liquidate(api_key: str = "", legs: list[dict[str, int]] = []):
    return "sold"
"""

Login = Callable[[str], None]


@pytest.fixture
def desk(desk: Path) -> Path:
    (desk / "desk.py").write_text(DESK)
    return desk


@pytest.fixture
def login(monkeypatch: pytest.MonkeyPatch) -> Login:
    """Sits down at the keyboard as somebody."""
    return lambda name: monkeypatch.setattr("getpass.getuser", lambda: name)


@pytest.fixture
def held(desk: Path, command: Command, login: Login) -> str:
    """A run that ana asked for at the command line."""
    login("ana")
    answer = command("submit", "desk", "liquidate", f"api_key={SECRET}")
    assert answer.code == 0
    return answer.out.strip()


def test_second_person_releases_a_run_and_a_worker_runs_it(
    held: str, command: Command, login: Login
) -> None:
    [waits] = command("run", "waiting", *ON_DESK, "--json").json["runs"]
    assert (waits["run_id"], waits["needed"], waits["asked_by"].split("@")[0]) == (held, 1, "ana")
    assert waits["decisions"][0]["verdict"] == "requested"
    refused = command("run", "approve", held, *ON_DESK)
    assert refused.code == 5
    assert "error[approval_refused]" in refused.err
    assert "a second person must decide" in refused.err
    login("ben")
    told = command("run", "approve", held[:30], *ON_DESK, "--reason", "checked", "--json").json
    assert (told["run_id"], told["state"], told["needed"]) == (held, "released", 0)
    assert command("worker", "desk", "--burst").code == 0
    shown = command("run", "show", held, *ON_DESK, "--json").json
    assert (shown["state"], shown["hold"]) == ("success", None)
    assert shown["requested_by"].startswith("ana@")
    assert command("run", "waiting", *ON_DESK).err.strip() == "no run waits for approval"


def test_rejection_needs_a_reason_and_cancels(held: str, command: Command, login: Login) -> None:
    login("ben")
    assert command("run", "reject", held, *ON_DESK).code == 2
    assert command("run", "reject", held, *ON_DESK, "--reason", " ").code == 2
    assert command("run", "reject", held, *ON_DESK, "--reason", "too large").code == 0
    shown = command("run", "show", held, *ON_DESK, "--json").json
    assert shown["state"] == "cancelled"
    assert shown["reason"].endswith(": too large")
    assert command("run", "approve", held, *ON_DESK).code == 5


def test_retry_at_the_command_line_asks_anew_without_the_app(
    held: str, command: Command, login: Login
) -> None:
    login("ben")
    command("run", "reject", held, *ON_DESK, "--reason", "too large")
    told = command("run", "retry", held, *ON_DESK, "--json").json
    assert (told["id"], told["state"], told["hold"]) == (held, "scheduled", "approval")
    assert command("run", "approve", held, *ON_DESK).code == 5, "ben asked for it now"
    login("ana")
    assert command("run", "approve", held, *ON_DESK).code == 0


def test_run_that_waits_says_so_wherever_it_is_listed(held: str, command: Command) -> None:
    assert "waits for approval" in command("runs", *ON_DESK).out
    shown = command("run", "show", held, *ON_DESK).out
    assert "asked by" in shown
    assert "waits for a second person: asked for by ana@" in shown
    assert held in command("run", "waiting", *ON_DESK).out


def test_decision_about_an_unknown_run_is_not_found(held: str, command: Command) -> None:
    assert command("run", "approve", "nope", *ON_DESK).code == 3
    assert command("run", "reject", "nope", *ON_DESK, "--reason", "r").code == 3


def test_pages_of_waiting_runs_follow_each_other(held: str, command: Command) -> None:
    second = command("submit", "desk", "liquidate").out.strip()
    first = command("run", "waiting", *ON_DESK, "--json", "-n", "1").json
    assert [run["run_id"] for run in first["runs"]] == [held]
    rest = command("run", "waiting", *ON_DESK, "--json", "--after", first["next"]).json
    assert [run["run_id"] for run in rest["runs"]] == [second]


@pytest.mark.parametrize("how", [("--json",), ()], ids=["json", "text"])
def test_masked_fields_are_shown_by_no_command_with_or_without_the_app(
    held: str, command: Command, how: tuple[str, ...]
) -> None:
    assert command("event", "desk", "breach", f"api_key={SECRET}").code == 0
    seen = []
    for words in (
        ("runs",),
        ("run", "show", held),
        ("run", "waiting"),
        ("schedule", "list"),
        ("events",),
        ("audit", "list"),
        ("audit", "export"),
    ):
        answer = command(*words, *ON_DESK, *(how if words[-1] != "export" else ()))
        assert answer.code == 0, answer.err
        assert SECRET not in answer.out + answer.err, words
        seen.append(answer.out)
    assert any("•••" in out for out in seen)


def test_refusal_of_a_masked_field_does_not_quote_it(desk: Path, command: Command) -> None:
    answer = command("submit", "desk", "liquidate", '{"api_key": 4711, "legs": [{"token": "s3"}]}')
    assert answer.code == 2
    assert "'api_key' should be str; it is masked, and not shown" in answer.err
    assert "4711" not in answer.err
    assert "s3" not in answer.err
