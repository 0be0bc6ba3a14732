"""The same commands on PostgreSQL."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.cli.conftest import Command

pytestmark = pytest.mark.postgres


def test_desk_on_postgresql_is_served_listed_checked_and_examined(
    desk: Path, command: Command, postgres_address: str
) -> None:
    there = ("--database", postgres_address)
    run_id = command("submit", "desk", "valuation", "amount=3", *there).out.strip()
    drained = command("worker", "desk", "--burst", "--json", *there)
    assert drained.json["ended"] == {"success": 1}
    listed = command("runs", *there, "--json").json["runs"]
    assert [(run["id"], run["state"]) for run in listed] == [(run_id, "success")]
    assert command("run", "show", run_id[:6], *there, "--json").json["result"] == {"worth": 6}
    assert command("run", "logs", run_id, *there).out == "valuing 3\n"
    assert command("schedule", "list", *there, "--json").json["schedules"][0]["id"] == "valuation"
    assert command("db", "verify", *there, "--json").json["ok"] is True
    examined = command("doctor", "desk", *there, "--json")
    assert examined.code == 0, examined.out
    assert not (desk / "desk.db").exists()


def test_server_that_is_not_there_is_a_store_error(desk: Path, command: Command) -> None:
    nowhere = ("--database", "postgresql://nobody@127.0.0.1:1/desk")
    answer = command("runs", *nowhere)
    assert answer.code == 4
    assert "error[store_unavailable]" in answer.err
    examined = command("doctor", *nowhere, "--json")
    assert examined.code == 1
    assert "start the server" in str(examined.json)
    assert command("db", "verify", *nowhere).code == 4
