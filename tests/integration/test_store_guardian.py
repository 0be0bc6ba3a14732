"""The guardian keeps a lease exactly as long as its worker may be trusted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from closingbell.core.clock import SystemClock
from closingbell.store.guardian import Guardian
from closingbell.store.store import Store, open_store

_LEASE_S = 1.0


@pytest.fixture
def store(store_address: str) -> Iterator[Store]:
    opened = open_store(store_address, SystemClock())
    opened.prepare()
    yield opened
    opened.close()


def _register(store: Store, lease_s: float = _LEASE_S) -> None:
    now = store.queue.machine_micros()
    store.workers.register("w1", "desk-1", 1, {}, now, now + round(lease_s * 1e6))


def _lease_left(store: Store) -> float:
    [row] = store.workers.list_all()
    return float(row["lease_until"] - store.queue.machine_micros()) / 1e6


def _becomes(true: Callable[[], bool], within_s: float = 10.0) -> bool:
    give_up_at = time.monotonic() + within_s
    while time.monotonic() < give_up_at:
        if true():
            return True
        time.sleep(0.01)
    return true()


def _lives(pid: int) -> bool:
    try:
        # A child that nobody waited for yet has ended all the same.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _worker(address: str, deed: str) -> subprocess.Popen[str]:
    here = Path(__file__)
    return subprocess.Popen(
        [sys.executable, str(here.with_name("guarded.py")), address, "w1", str(_LEASE_S), deed],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_guardian_keeps_the_lease_while_a_handler_holds_the_interpreter(
    store: Store, store_address: str
) -> None:
    _register(store)
    worker = _worker(store_address, "hold")
    assert worker.stdout is not None
    worker.stdout.readline()
    held_until = time.monotonic() + 3 * _LEASE_S - 0.2
    least = _LEASE_S
    while time.monotonic() < held_until:
        least = min(least, _lease_left(store))
        assert store.workers.bury(store.queue.machine_micros()) == []
        time.sleep(0.02)
    assert least > 0
    assert [row["state"] for row in store.workers.list_all()] == ["alive"]
    worker.communicate("\n", timeout=10)
    assert _becomes(lambda: _lease_left(store) < 0)


def test_guardian_of_a_killed_worker_ends_at_once_and_so_does_the_lease(
    store: Store, store_address: str
) -> None:
    _register(store)
    worker = _worker(store_address, "wait")
    assert worker.stdout is not None
    guardian = int(worker.stdout.readline())
    assert _becomes(
        lambda: store.workers.list_all()[0]["seen_at"] > store.workers.list_all()[0]["started_at"]
    )
    worker.kill()
    worker.communicate(timeout=10)
    assert _becomes(lambda: not _lives(guardian), within_s=2.0)
    assert _becomes(lambda: _lease_left(store) < 0)
    assert [row["state"] for row in store.workers.list_all()] == ["alive"]


def test_guardian_stops_beating_when_the_worker_is_silent_for_longer_than_it_said(
    store: Store, store_address: str
) -> None:
    _register(store, 0.6)
    guardian = Guardian(store_address, "w1", 0.6)
    try:
        guardian.pulse(0.7)
        assert _becomes(lambda: _lease_left(store) < 0)
        assert _lives(guardian.pid)
        guardian.pulse(5.0)
        assert _becomes(lambda: _lease_left(store) > 0.3)
    finally:
        guardian.stop()
    assert not _lives(guardian.pid)


def test_guardian_that_was_killed_is_replaced_by_the_next_pulse(
    store: Store, store_address: str
) -> None:
    _register(store)
    guardian = Guardian(store_address, "w1", _LEASE_S)
    try:
        first = guardian.pid
        os.kill(first, signal.SIGKILL)
        assert _becomes(lambda: not _lives(first))
        guardian.pulse(30.0)
        assert guardian.pid != first
        before = store.workers.list_all()[0]["seen_at"]
        assert _becomes(lambda: store.workers.list_all()[0]["seen_at"] > before)
    finally:
        guardian.stop()


def test_guardian_of_a_worker_that_was_declared_dead_ends(store: Store, store_address: str) -> None:
    _register(store, 0.3)
    assert _becomes(lambda: _lease_left(store) < 0)
    store.workers.bury(store.queue.machine_micros())
    guardian = Guardian(store_address, "w1", 0.3)
    guardian.pulse(30.0)
    assert _becomes(lambda: not _lives(guardian.pid))
    guardian.stop()
    assert [row["state"] for row in store.workers.list_all()] == ["dead"]


def test_guardian_beats_on_after_the_store_was_away(tmp_path: Path) -> None:
    file = tmp_path / "desk.db"
    store = open_store(f"sqlite:///{file}", SystemClock())
    store.prepare()
    _register(store, 0.3)
    guardian = Guardian(f"sqlite:///{file}", "w1", 0.3)
    try:
        guardian.pulse(60.0)
        file.rename(tmp_path / "away.db")
        gone_at = time.monotonic()
        assert _becomes(lambda: time.monotonic() - gone_at > 0.4)
        (tmp_path / "away.db").rename(file)
        assert _becomes(lambda: _lease_left(store) > 0.1)
    finally:
        guardian.stop()
        store.close()


def test_guardian_is_small_and_quick_to_start(store: Store, store_address: str) -> None:
    _register(store, 0.15)
    started = time.monotonic()
    guardian = Guardian(store_address, "w1", 0.15)
    took = time.monotonic() - started
    try:
        guardian.pulse(30.0)
        before = store.workers.list_all()[0]["seen_at"]
        assert _becomes(lambda: store.workers.list_all()[0]["seen_at"] > before)
        status = Path(f"/proc/{guardian.pid}/status").read_text()
        [resident] = [line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")]
        assert int(resident) < 25 * 1024
        # The caller does not wait for it; a loaded machine may still take its time to fork.
        assert took < 0.15
        command = Path(f"/proc/{guardian.pid}/cmdline").read_text()
        assert store_address not in command
        assert "w1" not in command.split("\0")
    finally:
        guardian.stop()
