"""A desk in a folder of its own, and commands that run inside the test's process."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from typer.testing import CliRunner

from closingbell.cli.main import commands

DESK = '''
from closingbell import Skip, create_app

app = create_app("sqlite:///desk.db", timezone="America/New_York", guardian=False)
other = 17

@app.task(session="XNYS close-15m", retries=0)
def valuation(amount: int = 1):
    """Value the book."""
    print("valuing", amount)
    if amount > 100:
        raise ValueError("more than we hold")
    return {"worth": amount * 2}

@app.task(on_event="position_change", where="change < -0.05")
def risk_scan(symbol: str, change: float):
    return symbol

@app.task
def idle():
    return Skip("nothing to do")
'''


class Answer(NamedTuple):
    """What a command wrote and how it ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Command = Callable[..., Answer]


@pytest.fixture
def command() -> Iterator[Command]:
    """Runs one command line: `command("submit", "desk", "valuation")`."""
    logger = logging.getLogger("closingbell")
    level, handlers = logger.level, list(logger.handlers)

    def run(*words: str, stdin: str | None = None) -> Answer:
        result = CliRunner().invoke(commands, list(words), input=stdin)
        return Answer(result.exit_code, result.stdout, result.stderr)

    yield run
    logger.setLevel(level)
    logger.handlers = handlers


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The working folder, with desk.py in it; its database is made when it is first used."""
    monkeypatch.chdir(tmp_path)
    for name in ("APP", "DATABASE"):
        monkeypatch.delenv(f"CLOSINGBELL_{name}", raising=False)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "desk.py").write_text(DESK)
    sys.modules.pop("desk", None)
    yield tmp_path
    sys.modules.pop("desk", None)


@pytest.fixture
def drained(desk: Path, command: Command) -> Path:
    """The desk's folder after a run that succeeded, one that failed and one that was skipped."""
    for words in (("valuation", "amount=3"), ("valuation", "amount=200"), ("idle",)):
        assert command("submit", "desk", *words).code == 0
    assert command("worker", "desk", "--burst").code == 0
    return desk
