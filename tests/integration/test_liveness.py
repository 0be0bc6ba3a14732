"""Handlers that block, hold the interpreter or never return, and the neighbours that they have."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from closingbell import App, ClosingbellError, RunHandle, RunState

ROOT = Path(__file__).parents[2]


@contextmanager
def worker(address: str) -> Iterator[None]:
    """Run the stubborn desk in a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.integration.stubborn_desk"],
        cwd=ROOT,
        env={**os.environ, "STUBBORN_DATABASE": address, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == b"ready"
        yield
    finally:
        process.terminate()
        process.wait(30)
        if process.stdout is not None:
            process.stdout.close()


@pytest.fixture
def desk(store_address: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[App]:
    """The desk's app in this process, which submits and looks."""
    monkeypatch.setenv("STUBBORN_DATABASE", store_address)
    from tests.integration import stubborn_desk

    app: App = importlib.reload(stubborn_desk).app
    yield app
    app.stop()


def started(handle: RunHandle) -> RunHandle:
    """Wait until a run has been claimed."""
    deadline = time.monotonic() + 20
    while handle.run.fence == 0 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert handle.run.fence == 1
    return handle


def with_neighbours(desk: App, address: str, stubborn: str, seconds: int) -> list[RunHandle]:
    """Run a stubborn task between two neighbours, with a second worker that would rescue."""
    with worker(address):
        neighbours = [
            started(desk.submit(name, {"seconds": seconds + 0.5}))
            for name in ("async_neighbour", "thread_neighbour")
        ]
        handles = [*neighbours, started(desk.submit(stubborn, {"seconds": seconds}))]
        with worker(address):
            for handle in handles:
                assert handle.result(30) == "done"
    return handles


def test_handler_that_blocks_the_loop_is_not_rescued_nor_its_neighbours(
    desk: App, store_address: str
) -> None:
    """Heartbeats do not live on the event loop."""
    handles = with_neighbours(desk, store_address, "blocks_the_loop", 4)
    assert [handle.run.fence for handle in handles] == [1, 1, 1]


def test_handler_that_holds_the_interpreter_is_not_rescued_nor_its_neighbours(
    desk: App, store_address: str
) -> None:
    """The guardian beats from outside while no thread of the worker can move."""
    handles = with_neighbours(desk, store_address, "holds_the_interpreter", 4)
    assert [handle.run.fence for handle in handles] == [1, 1, 1]


def test_process_that_never_returns_is_gone_after_its_timeout(
    desk: App, store_address: str, tmp_path: Path
) -> None:
    """Its process does not exist any more, and its place takes the next run."""
    with worker(store_address):
        marks = [tmp_path / "first", tmp_path / "second"]
        handles = [desk.submit("never_returns", {"path": str(mark)}) for mark in marks]
        for handle in handles:
            with pytest.raises(ClosingbellError, match="exceeded its timeout of 1 s"):
                handle.result(30)
            assert handle.status is RunState.FAILED
        for mark in marks:
            with pytest.raises(ProcessLookupError):
                os.kill(int(mark.read_text()), 0)
