"""The installed command, as a script or a person at a terminal runs it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

COMMAND = str(Path(sys.executable).with_name("closingbell"))
PATIENCE_S = 60

DESK = """
import time
from closingbell import create_app

app = create_app("sqlite:///desk.db")

@app.task(executor="process")
def value(amount: int):
    print("valuing in a child")
    return amount * 2

@app.task
def slow(context):
    for line in range(3):
        print("line", line, flush=True)
        time.sleep(0.3)

@app.task(interval="1s")
def tick(): ...

# As users write it, without a main guard.
app.start()
"""


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    (tmp_path / "desk.py").write_text(DESK)
    return tmp_path


def environment() -> dict[str, str]:
    own = {k: v for k, v in os.environ.items() if not k.startswith("CLOSINGBELL_")}
    return {**own, "PYTHONUNBUFFERED": "1", "CLOSINGBELL_PORT": "0"}


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, *words],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )


@pytest.fixture
def server(desk: Path) -> Iterator[subprocess.Popen[str]]:
    """`closingbell serve desk --json`, ready."""
    process = subprocess.Popen(
        [COMMAND, "serve", "desk", "--json"],
        cwd=desk,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        ready = json.loads(_stream(process.stdout).readline())
        assert ready["event"] == "ready"
        yield process
    finally:
        process.kill()
        process.communicate()


def _stream(stream: IO[str] | None) -> IO[str]:
    assert stream is not None
    return stream


def test_desk_served_by_one_process_answers_another_and_drains_on_ctrl_c(
    desk: Path, server: subprocess.Popen[str]
) -> None:
    answer = run(desk, "submit", "desk", "value", "amount=21", "--wait")
    assert (answer.returncode, answer.stdout) == (0, "42\n")
    slow = run(desk, "submit", "desk", "slow").stdout.strip()
    follow = run(desk, "run", "logs", "-f", slow, "--app", "desk")
    assert follow.stdout == "line 0\nline 1\nline 2\n"
    assert run(desk, "doctor", "desk").returncode == 0
    last = run(desk, "submit", "desk", "slow").stdout.strip()
    server.send_signal(signal.SIGINT)
    out, err = server.communicate(timeout=PATIENCE_S)
    assert server.returncode == 0, err
    assert out == "", "what tasks print is not the command's data"
    assert "valuing in a child" in err
    state = json.loads(run(desk, "run", "show", last, "--app", "desk", "--json").stdout)["state"]
    assert state in ("success", "pending"), "a drained run is done or given back, never lost"
    history = run(desk, "schedule", "history", "tick", "--app", "desk", "--json")
    assert {tick["outcome"] for tick in json.loads(history.stdout)["firings"]} == {"ran"}


def test_interrupted_command_ends_with_130(desk: Path) -> None:
    process = subprocess.Popen(
        [COMMAND, "submit", "desk", "slow", "--wait"],
        cwd=desk,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        # It says on stderr that it waits.
        assert "waiting" in _stream(process.stderr).readline()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE_S)
    finally:
        process.kill()
    assert (process.returncode, out) == (130, "")
    assert "Traceback" not in err


def test_reader_that_has_seen_enough_ends_a_command_quietly(desk: Path) -> None:
    assert run(desk, "db", "upgrade", "--database", "desk.db").returncode == 0
    for _ in range(3):
        assert run(desk, "submit", "desk", "slow").returncode == 0
    piped = subprocess.run(
        f"{COMMAND} runs --app desk --json | head -c 1; echo ${{PIPESTATUS[0]}}",
        shell=True,
        executable="/bin/bash",
        cwd=desk,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert piped.stdout == "{0\n"
    assert piped.stderr == ""


def test_help_loads_no_database_and_no_calendar() -> None:
    loaded = (
        "import sys; import closingbell.cli.main; "
        "print([m for m in ('sqlalchemy', 'pydantic', 'rich.console', 'closingbell.app', "
        "'closingbell.scheduler') if m in sys.modules])"
    )
    answer = subprocess.run(
        [sys.executable, "-c", loaded], capture_output=True, text=True, timeout=PATIENCE_S
    )
    assert answer.stdout == "[]\n", answer.stderr
