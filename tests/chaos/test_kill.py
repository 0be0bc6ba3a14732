"""Kill -9 at random moments: nothing is lost, nothing is settled twice."""

from __future__ import annotations

import importlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from closingbell import App, RunState
from closingbell.core.clock import from_micros, to_micros

ROOT = Path(__file__).parents[2]
TASKS = ("quick", "waiting", "limited", "apart")


class Fleet:
    """Worker processes that die and are replaced."""

    def __init__(self, address: str, size: int, log: Path) -> None:
        self._environment = {**os.environ, "CHAOS_DATABASE": address, "PYTHONPATH": str(ROOT)}
        self._log = log.open("ab")
        self._workers = [self._spawn() for _ in range(size)]
        self.killed = 0

    def _spawn(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.desk"],
            cwd=ROOT,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=self._log,
        )

    def wait_ready(self, index: int) -> None:
        """Wait until a worker says that it works."""
        stream = self._workers[index].stdout
        assert stream is not None
        assert stream.readline().strip() == b"ready"

    def kill(self, index: int) -> None:
        """Kill a worker as a power cut would, and start another."""
        worker = self._workers[index]
        worker.send_signal(signal.SIGKILL)
        worker.wait(10)
        if worker.stdout is not None:
            worker.stdout.close()
        self.killed += 1
        self._workers[index] = self._spawn()

    def stop(self) -> None:
        """End all workers in an orderly way."""
        for worker in self._workers:
            worker.terminate()
        for worker in self._workers:
            try:
                worker.wait(20)
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait(10)
            if worker.stdout is not None:
                worker.stdout.close()
        self._log.close()


@contextmanager
def fleet(address: str, log: Path) -> Iterator[Fleet]:
    """Two workers for the length of a test."""
    workers = Fleet(address, 2, log)
    try:
        yield workers
    finally:
        workers.stop()


def client(address: str) -> App:
    """Return the workers' own app, which here submits and looks, and is never started."""
    os.environ["CHAOS_DATABASE"] = address
    from tests.chaos import desk

    app: App = importlib.reload(desk).app
    return app


def chaos(address: str, kills: int, seed: int, log: Path) -> None:
    """Kill workers under load, then check every run and every firing."""
    chance = random.Random(seed)
    app = client(address)
    ids: list[str] = []
    with fleet(address, log) as workers:
        workers.wait_ready(0)
        workers.wait_ready(1)
        for round_number in range(kills):
            for name in TASKS:
                count = {"quick": 40, "waiting": 30, "limited": 4, "apart": 6}[name]
                payloads = [{"n": round_number * 100 + n} for n in range(count)]
                ids += app.submit_many(name, payloads)
            ids.append(app.submit("quick", {"n": -1}).id)
            time.sleep(chance.uniform(0.0, 0.35))
            victim = chance.randrange(2)
            workers.kill(victim)
            # Every other time the successor is killed while it starts, too.
            if chance.random() < 0.5:
                workers.wait_ready(victim)
        deadline = time.monotonic() + 60
        while (open_runs := _open(app)) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert open_runs == 0, f"{open_runs} runs never ended: {app.store.runs.counts()}"
        check_runs(app, ids)
        check_firings(app)
    app.stop()


def _open(app: App) -> int:
    counts = app.store.runs.counts()
    return counts["pending"] + counts["running"]


def check_runs(app: App, ids: list[str]) -> None:
    """Every run ended once, by the claim that its result names; each attempt is accounted for."""
    assert len(set(ids)) == len(ids)
    retried = 0
    for run_id in ids:
        run = app.get_run(run_id)
        assert run.state is RunState.SUCCESS, (run.state, run.error, run.reason)
        assert run.result["fence"] == run.fence
        fences = [attempt.fence for attempt in run.attempts]
        assert fences == list(range(1, run.fence + 1))
        assert run.attempts[-1].outcome == "returned"
        assert {a.outcome for a in run.attempts[:-1]} <= {"lost", "given_back"}
        retried += len(run.attempts) - 1
    print(f"{len(ids)} runs, {retried} attempts were lost or given back and made good")


def check_firings(app: App) -> None:
    """Every instant of the shared schedule is stored once, with at most one run."""
    rows = sorted(app.store.schedules.firings("tick", 1_000_000), key=lambda r: r["fire_at"])
    covered: list[int] = []
    step = 100_000
    for row in rows:
        covered += range(row["fire_at"], (row["until_at"] or row["fire_at"]) + 1, step)
    assert covered == list(range(covered[0], covered[-1] + 1, step))
    runs = [row["run_id"] for row in rows if row["run_id"] is not None]
    assert len(runs) == len(set(runs))
    states = app.store.runs.states(runs[-500:])
    assert set(states.values()) <= {"success", "pending", "running", "scheduled"}
    assert to_micros(from_micros(covered[0])) == covered[0]
    print(f"{len(covered)} firings, none doubled, none missed")


@pytest.mark.chaos
@pytest.mark.timeout(240)
def test_workers_killed_at_random_lose_no_run_and_double_no_firing(
    store_address: str, tmp_path: Path
) -> None:
    """A sample of `make chaos`, on each store."""
    chaos(store_address, kills=12, seed=20_121_123, log=tmp_path / "workers.log")


@pytest.mark.chaos_full
@pytest.mark.timeout(1_800)
def test_workers_killed_two_hundred_times_lose_no_run_and_double_no_firing(
    store_address: str, tmp_path: Path
) -> None:
    """The whole of it: two hundred kills on each store."""
    seed = int(os.environ.get("CHAOS_SEED", "0")) or random.SystemRandom().randrange(10**6)
    print(f"CHAOS_SEED={seed}")
    chaos(store_address, kills=200, seed=seed, log=tmp_path / "workers.log")
