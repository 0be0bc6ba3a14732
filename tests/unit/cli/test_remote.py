"""The same commands on a service: the same words, on stdout and stderr, and the same exit codes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from closingbell import App
from closingbell.api.server import ApiServer
from closingbell.cli.target import load_app
from closingbell.core.role import Role
from tests.api_client import bearer
from tests.unit.cli.conftest import DESK, Command

#: Looks at everything; `desk` stands for where.
LOOKS = (
    "runs",
    "runs -f task:valuation --state failed",
    "run show FAILED",
    "run logs FAILED",
    "run logs -f FAILED",
    "run waiting",
    "tasks",
    "schedule list",
    "schedule history valuation",
    "events",
    "alerts --state all",
    "alert rules",
    "audit list -n 3",
    "audit verify",
    "batch list",
    "backtest list",
    "orders",
    "trades",
    "token list",
)
#: What cannot be, and how each command ends.
REFUSED = (
    ("run show nope", 3),
    ("run cancel FAILED", 5),
    ("run approve FAILED", 5),
    ("runs -f stat:failed", 2),
    ("schedule pause nothing --reason x", 3),
    ("alert ack nope", 3),
    ("portfolio nobody", 3),
    ("batch show nope", 3),
    ("backtest show nope", 3),
    ("token revoke nope", 3),
    ("audit verify --head 7", 2),
)


class Remote:
    """A service over the desk's store, and who asks it."""

    def __init__(self, app: App, url: str, folder: Path) -> None:
        self.app = app
        self.url = url
        self._folder = folder

    def words(self, role: Role = Role.ADMIN, name: str | None = "ana") -> tuple[str, ...]:
        """The options that lead there."""
        file = self._folder / f"{role.value}.token"
        file.write_text(bearer(self.app, role, name)["Authorization"].removeprefix("Bearer "))
        return ("--url", self.url, "--token-file", str(file))


@pytest.fixture
def account(desk: Path) -> None:
    (desk / "desk.py").write_text(DESK + "\napp.add_account(cash=100_000)\n")


@pytest.fixture
def remote(account: None, drained: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Remote]:
    """The desk as a service; no worker is at work."""
    monkeypatch.delenv("CLOSINGBELL_TOKEN", raising=False)
    app = load_app("desk")
    with ApiServer(app, port=0) as server:
        yield Remote(app, server.url, drained)
    app.stop()


def failed(command: Command) -> str:
    return str(
        command("runs", "--state", "failed", "--app", "desk", "--json").json["runs"][0]["id"]
    )


def common(text: str) -> list[str]:
    """What is said, but whether the process that answers has loaded the tasks."""
    return [line for line in text.splitlines() if '"registered"' not in line]


@pytest.mark.parametrize("how", [(), ("--json",)], ids=["text", "json"])
def test_every_look_says_the_same_here_and_there(
    remote: Remote, command: Command, how: tuple[str, ...]
) -> None:
    run_id = failed(command)
    there = remote.words()
    # A token is marked as used a moment after it was first shown: so it is settled before.
    assert command("token", "list", *there).code == 0
    for line in LOOKS:
        words = (*line.replace("FAILED", run_id).split(), *how)
        here = command(*words, "--app", "desk")
        assert here.code == 0, (line, here.err)
        answer = command(*words, *there)
        assert answer.code == 0, (line, answer.err)
        assert common(answer.out) == common(here.out), line


def test_every_refusal_is_the_same_here_and_there(remote: Remote, command: Command) -> None:
    run_id = failed(command)
    there = remote.words()
    for line, code in REFUSED:
        words = line.replace("FAILED", run_id).split()
        here, answer = command(*words, "--app", "desk"), command(*words, *there)
        assert (here.code, here.out) == (code, ""), (line, here.err)
        assert answer == here


def test_run_is_submitted_cancelled_and_tried_again_as_who_the_token_names(
    remote: Remote, command: Command
) -> None:
    there = remote.words(Role.OPERATOR)
    run_id = command("submit", "idle", *there, "--tag", "eod").out.strip()
    shown = command("run", "show", run_id[:30], *there, "--json").json
    assert (shown["requested_by"], shown["tags"], shown["state"]) == ("ana", ["eod"], "pending")
    assert command("run", "cancel", run_id, *there, "--reason", "no").code == 0
    assert command("run", "retry", run_id, *there).code == 0
    told = command("run", "cancel-many", "-f", "tag:eod", *there, "--json").json
    assert (told["matched"], told["done"]) == (1, 1)
    assert command("submit", "valuatoin", *there).code == 3
    assert command("event", "position_change", "symbol=A", "change=-0.5", *there).out.strip()


def test_batch_is_submitted_shown_and_cancelled(remote: Remote, command: Command) -> None:
    there = remote.words()
    lines = '{"amount": 1}\n\n{"amount": 2}\n'
    batch_id = command("batch", "submit", "valuation", "-", *there, stdin=lines).out.strip()
    shown = command("batch", "show", batch_id, *there, "--json").json
    assert (shown["size"], shown["counts"]["pending"]) == (2, 2)
    assert command("batch", "show", batch_id, "--app", "desk", "--json").json == shown
    assert command("batch", "cancel", batch_id, *there).out == "2 of 2 runs: cancel\n"
    for text in ("", "[1]", "{", '{"amount": 1}\n7'):
        refused = command("batch", "submit", "valuation", "-", *there, stdin=text)
        assert (refused.code, refused.out) == (2, ""), text


def test_schedule_is_paused_resumed_and_run_now(remote: Remote, command: Command) -> None:
    there = remote.words()
    assert command("schedule", "pause", "valuation", "--reason", "audit", *there).code == 0
    assert "audit" in command("schedule", "list", "--app", "desk").out
    assert "paused: audit" in command("schedule", "next", "valuation", *there).err
    assert command("schedule", "resume", "valuation", *there).code == 0
    run_id = command("schedule", "run-now", "valuation", *there).out.strip()
    assert command("run", "show", run_id, *there, "--json").json["schedule_id"] == "valuation"


def test_desk_and_its_account_are_shown(remote: Remote, command: Command) -> None:
    there = remote.words(Role.VIEWER)
    assert command("portfolio", *there, "--json").json["total_value"] == "100000"
    assert "100,000.00" in command("portfolio", *there).out
    told = command("overview", *there)
    assert told.code == 0
    assert "valuation" in told.out
    [worker] = command("workers", *there, "--json").json["workers"]
    assert worker["state"] == "stopped", "the one that drained the desk"
    assert command("metrics", *there).out.startswith("# HELP")


def test_audit_is_exported_byte_for_byte_as_here(remote: Remote, command: Command) -> None:
    there = remote.words()
    for form in ("csv", "jsonl"):
        words = ("audit", "export", "--format", form)
        assert command(*words, *there).out == command(*words, "--app", "desk").out
    told = command(*words, *there, "-o", "ledger.jsonl", "--json").json
    assert told["bytes"] == Path("ledger.jsonl").stat().st_size


def test_who_is_not_known_or_may_not_is_told_so(remote: Remote, command: Command) -> None:
    nobody = command("runs", "--url", remote.url)
    assert (nobody.code, nobody.out) == (7, "")
    assert "error[not_signed_in]" in nobody.err
    assert "--token-file" in nobody.err
    (forged := Path("forged")).write_text("cb_nope")
    assert command("runs", "--url", remote.url, "--token-file", str(forged)).code == 7
    may_not = command("submit", "idle", *remote.words(Role.VIEWER))
    assert (may_not.code, may_not.out) == (7, "")
    assert "error[forbidden]" in may_not.err


def test_address_that_nobody_answers_has_its_own_exit_code(desk: Path, command: Command) -> None:
    answer = command("runs", "--url", "http://127.0.0.1:1")
    assert (answer.code, answer.out) == (6, "")
    assert "error[service_unreachable]" in answer.err
    assert command("runs", "--url", "desk.example").code == 2
    Path("token").write_text("cb_nope")
    unencrypted = command("runs", "--url", "http://desk.example", "--token-file", "token")
    assert unencrypted.code == 2, "a token does not travel in the clear"


def test_what_is_typed_leads_over_the_environment(
    remote: Remote, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOSINGBELL_URL", "http://127.0.0.1:1")
    assert command("runs").code == 6
    assert command("submit", "idle").code == 6
    assert command("runs", "--database", "desk.db").code == 0
    assert command("runs", "--app", "desk").code == 0
    assert command("tasks", "desk").code == 0
    assert command("submit", "desk:app", "idle").code == 0
    assert command("schedule", "next", "desk", "valuation").code == 0
    assert command("doctor", "desk").code in (0, 1), "what has no --url does not care"
    there = remote.words()
    assert command("runs", *there).code == 0
    monkeypatch.setenv("CLOSINGBELL_APP", "nowhere:app")
    assert command("runs").code == 6, "a service leads over an app, where neither was typed"
    assert command("runs", *there).code == 0
    for both in (("runs", "--database", "desk.db"), ("runs", "--app", "desk"), ("tasks", "desk")):
        assert command(*both, *there).code == 2, both


def test_token_comes_from_the_environment_too(
    remote: Remote, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = remote.words()[-1]
    monkeypatch.setenv("CLOSINGBELL_TOKEN", Path(file).read_text())
    monkeypatch.setenv("CLOSINGBELL_URL", remote.url)
    assert command("runs", "--json").json["runs"]


def test_stream_is_watched_only_at_a_service(desk: Path, command: Command) -> None:
    assert command("watch").code == 2
    assert command("watch", "weather", "--url", "http://127.0.0.1:1").code == 2
    assert command("watch", "runs", "--url", "http://127.0.0.1:1").code == 6


def test_pages_of_a_list_follow_each_other_here_and_there(remote: Remote, command: Command) -> None:
    there = remote.words()
    whole = [run["id"] for run in command("runs", *there, "--json").json["runs"]]
    first = command("runs", *there, "--json", "-n", "2").json
    # A place in the list is the same for whoever asks.
    rest = command("runs", "--app", "desk", "--json", "--after", first["next"]).json
    assert [run["id"] for run in (*first["runs"], *rest["runs"])] == whole
    assert command("runs", *there, "-f", "task:idle", "--after", first["next"]).code == 2
