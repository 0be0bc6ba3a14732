"""An operator at another machine: a served desk, and the real command line in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

COMMAND = str(Path(sys.executable).with_name("closingbell"))
PATIENCE_S = 90.0

DESK = """
import time
from closingbell import create_app

app = create_app("sqlite:///desk.db")

@app.task(retries=0)
def slow(lines: int = 3):
    for number in range(lines):
        print("line", number, flush=True)
        time.sleep(0.05)
    return lines
"""


def environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if "CLOSINGBELL" not in name}
    return {**kept, **more}


def run(folder: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, *words],
        cwd=folder,
        env=environment(**more),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """The address of `closingbell serve desk`, in a folder that the operator does not see."""
    folder = tmp_path / "desk"
    folder.mkdir()
    (folder / "desk.py").write_text(DESK)
    process = subprocess.Popen(
        [COMMAND, "serve", "desk", "--json", "--port", "0"],
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        assert ready["event"] == "ready"
        yield ready["url"]
    finally:
        process.kill()
        process.communicate()


def test_operator_works_on_a_served_desk_from_elsewhere(tmp_path: Path, url: str) -> None:
    made = run(
        tmp_path / "desk", "token", "create", "laptop", "--owner", "ana", "--role", "operator",
        "--database", "desk.db",
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    there = {"CLOSINGBELL_URL": url, "CLOSINGBELL_TOKEN": made.stdout.strip()}
    (laptop := tmp_path / "laptop").mkdir()

    run_id = run(laptop, "submit", "slow", **there).stdout.strip()
    followed = run(laptop, "run", "logs", "-f", run_id, **there)
    assert (followed.returncode, followed.stdout) == (0, "line 0\nline 1\nline 2\n")
    shown = json.loads(run(laptop, "run", "show", run_id, "--json", **there).stdout)
    assert (shown["state"], shown["result"], shown["requested_by"]) == ("success", 3, "ana")

    watching = subprocess.Popen(
        [COMMAND, "watch", "runs", "--json"],
        cwd=laptop,
        env=environment(**there),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert watching.stderr is not None
        assert watching.stdout is not None
        while "watching" not in watching.stderr.readline():
            assert watching.poll() is None
        second = run(laptop, "submit", "slow", **there).stdout.strip()
        while (change := json.loads(watching.stdout.readline()))["id"] != second:
            assert watching.poll() is None
        assert change["noun"] == "runs"
    finally:
        watching.kill()
        watching.communicate()

    refused = run(laptop, "token", "list", **there)
    assert (refused.returncode, refused.stdout) == (7, "")
    assert list(laptop.iterdir()) == [], "no store was made where the operator sits"
