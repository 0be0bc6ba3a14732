"""`schedule ...`."""

from __future__ import annotations

from pathlib import Path

from closingbell.cli.access import opened
from closingbell.cli.desk_access import inner_client
from closingbell.cli.target import load_app
from closingbell.wire.schedule import ScheduleRequest, TriggerWords
from tests.unit.cli.conftest import Command

ON_DESK = ("--database", "desk.db")


def test_next_firings_are_explained_without_a_database(desk: Path, command: Command) -> None:
    answer = command(
        "schedule", "next", "desk", "valuation", "-n", "2", "--explain",
        "--after", "2012-11-22T00:00", "--json",
    )  # fmt: skip
    assert answer.code == 0
    (schedule,) = answer.json["schedules"]
    told = [(line["fire_at"], line["local"], line["explanation"]) for line in schedule["next"]]
    assert told[0] == (None, "2012-11-22", "no firing: XNYS holiday (Thanksgiving)")
    assert told[1][0] == "2012-11-23T17:45:00+00:00"
    assert "early close 13:00" in told[1][2]
    assert told[2][0] == "2012-11-26T20:45:00+00:00"
    assert not (desk / "desk.db").exists()


def test_next_firings_without_explanation_are_firings_only(desk: Path, command: Command) -> None:
    answer = command("schedule", "next", "desk", "valuation", "-n", "3", "--json")
    lines = answer.json["schedules"][0]["next"]
    assert len(lines) == 3
    assert all(line["fire_at"] for line in lines)


def test_next_firings_of_a_blackout_and_a_start_are_told(desk: Path, command: Command) -> None:
    (desk / "desk.py").write_text(
        "from closingbell import create_app\n"
        "from closingbell.triggers import Every\n"
        "app = create_app('sqlite:///desk.db')\n"
        "@app.task\n"
        "def scan(): ...\n"
        "app.schedule(scan, Every('1h'), id='hourly', blackout='13:00-15:00',\n"
        "             start='2026-01-01T12:00', end='2026-01-01T16:00')\n"
    )
    answer = command(
        "schedule", "next", "desk", "hourly", "--explain", "--after", "2025-01-01", "--json"
    )
    lines = answer.json["schedules"][0]["next"]
    assert [line["fire_at"] and line["fire_at"][11:16] for line in lines] == [
        "12:00", None, None, "15:00", "16:00", None,
    ]  # fmt: skip
    assert "blackout 13:00-15:00" in lines[1]["explanation"]
    assert "ends at" in lines[-1]["explanation"]


def test_task_without_a_schedule_is_told_and_an_unknown_one_is_not_found(
    desk: Path, command: Command
) -> None:
    answer = command("schedule", "next", "desk", "idle")
    assert answer.code == 0
    assert "has no schedule" in answer.err
    unknown = command("schedule", "next", "desk", "valuatoin")
    assert unknown.code == 3
    assert "did you mean 'valuation'?" in unknown.err


def test_schedule_is_listed_paused_and_resumed(drained: Path, command: Command) -> None:
    (listed,) = command("schedule", "list", *ON_DESK, "--json").json["schedules"]
    assert listed["when"] == "15 minutes before the close of every XNYS session"
    pause = command(
        "schedule", "pause", "valuation", *ON_DESK, "--reason", "migration",
        "--until", "2030-01-01T00:00+00:00",
    )  # fmt: skip
    assert pause.code == 0
    (paused,) = command("schedule", "list", *ON_DESK, "--json").json["schedules"]
    assert (paused["paused_reason"], paused["paused_until"][:10]) == ("migration", "2030-01-01")
    assert "migration" in command("schedule", "next", "valuation", *ON_DESK).err
    assert command("schedule", "resume", "valuation", *ON_DESK).code == 0
    (resumed,) = command("schedule", "list", *ON_DESK, "--json").json["schedules"]
    assert resumed["paused_at"] is None


def test_schedule_of_code_is_not_removed_and_one_made_by_hand_is(
    drained: Path, command: Command
) -> None:
    refused = command("schedule", "remove", "valuation", "--app", "desk")
    assert refused.code == 5
    assert "error[declared_in_code]" in refused.err
    with opened(load_app("desk")) as app, inner_client(app) as client:
        hourly = ScheduleRequest(id="hourly", task="idle", trigger=TriggerWords(interval="1h"))
        client.schedules.create(hourly)
    assert command("schedule", "remove", "hourly", *ON_DESK).code == 0
    (left,) = command("schedule", "list", *ON_DESK, "--json").json["schedules"]
    assert left["id"] == "valuation"
    assert len(command("runs", *ON_DESK, "--json").json["runs"]) == 3


def test_schedule_is_run_now_beside_its_firings(drained: Path, command: Command) -> None:
    answer = command("schedule", "run-now", "valuation", "--app", "desk", "--reason", "late news")
    assert answer.code == 0, answer.err
    run = command("run", "show", answer.out.strip(), *ON_DESK, "--json").json
    assert (run["task"], run["schedule_id"], run["state"]) == ("valuation", "valuation", "pending")


def test_unknown_schedule_is_not_found_by_any_verb(drained: Path, command: Command) -> None:
    for words in (
        ("pause", "valuatio", "--reason", "x"),
        ("resume", "valuatio"),
        ("remove", "valuatio"),
    ):
        answer = command("schedule", *words, *ON_DESK)
        assert answer.code == 3
        assert "did you mean 'valuation'?" in answer.err
    assert command("schedule", "history", "nothing", *ON_DESK).code == 3


def test_history_of_a_schedule_that_never_fired_is_empty(drained: Path, command: Command) -> None:
    assert command("schedule", "history", "valuation", *ON_DESK, "--json").json == {"firings": []}
