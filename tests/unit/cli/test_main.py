"""What all commands have in common."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import typer.main

from closingbell.cli.main import commands
from tests.unit.cli.conftest import Command


def every_command(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, member in group.commands.items():
        if hasattr(member, "commands"):
            yield from every_command(member, (*path, name))
        elif name == getattr(group, "plain", None):
            yield path, member
        else:
            yield (*path, name), member


EVERY = dict(every_command(typer.main.get_command(commands)))


def test_commands_are_those_that_were_promised() -> None:
    assert {" ".join(path) for path in EVERY} == {
        "alert ack", "alert clear", "alert rules", "alert test-channel", "alerts", "audit export", "audit list", "audit verify", "backtest", "backtest compare", "backtest firings", "backtest html", "backtest list",
        "backtest rm", "backtest show", "backtest trades", "batch cancel", "batch list", "batch retry-failed",
        "batch show", "batch submit", "data actions", "data archive", "data check",
        "data import", "data list", "data show", "db archive", "db archived", "db backup", "db restore", "db upgrade", "db verify", "demo", "doctor", "event", "events", "metrics", "orders", "overview",
        "portfolio", "run approve", "run cancel",
        "run cancel-many", "run logs", "run reject", "run retry", "run retry-many", "run run-now", "run show", "run waiting", "runs", "schedule history", "schedule list",
        "schedule next", "schedule pause", "schedule remove", "schedule resume",
        "schedule run-now", "serve", "sign-in", "submit", "tasks",
        "token create", "token list", "token revoke",
        "trades", "version", "watch", "worker", "workers",
    }  # fmt: skip


@pytest.mark.parametrize("path", EVERY, ids=" ".join)
def test_every_command_has_json_debug_and_a_sentence_of_help(path: tuple[str, ...]) -> None:
    found = {option for parameter in EVERY[path].params for option in parameter.opts}
    assert {"--json", "--debug"} <= found
    assert EVERY[path].help
    for parameter in EVERY[path].params:
        assert getattr(parameter, "help", None), f"{parameter.name} says nothing"


#: What belongs to the machine itself, and what has an address of its own.
_HERE = {
    "demo",
    "doctor",
    "serve",
    "worker",
    "version",
    "sign-in",
    "backtest",
    "backtest firings",
    "backtest rm",
}


@pytest.mark.parametrize("path", EVERY, ids=" ".join)
def test_command_takes_a_service_unless_it_belongs_to_the_machine(path: tuple[str, ...]) -> None:
    found = {option for parameter in EVERY[path].params for option in parameter.opts}
    here = " ".join(path) in _HERE or path[0] in ("db", "data")
    assert ({"--url", "--token-file"} <= found) is not here


def test_help_says_the_exit_codes(command: Command) -> None:
    answer = command("--help")
    assert answer.code == 0
    assert "130 interrupted" in " ".join(answer.out.split())


def test_unknown_option_is_a_usage_error(command: Command) -> None:
    answer = command("runs", "--nonsense")
    assert (answer.code, answer.out) == (2, "")


def test_version_names_the_schema_and_the_calendars(command: Command) -> None:
    facts = command("version", "--json").json
    assert set(facts) == {"closingbell", "schema", "calendars", "python"}
