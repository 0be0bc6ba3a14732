"""A system under measurement, and the processes of its service."""

from __future__ import annotations

import ctypes
import importlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parent.parent
POSTGRES = os.environ.get("BENCH_POSTGRES", "")
REDIS = os.environ.get("BENCH_REDIS", "")

Payload = dict[str, Any]
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def redis_address(database: int = 0) -> str:
    return f"{REDIS}/{database}"


class Peer:
    """One system with one way to set it; subclasses say how it is spoken to.

    Every task takes one payload: "noop", "stamp" and "burn", with the bodies of
    `bench.bodies`. A service has at most two worker processes.
    """

    #: Distributions whose versions are recorded.
    distributions: Sequence[str] = ()
    #: What a user imports.
    imports = ""
    has_bulk = True
    #: Runs in one call of the bulk verb.
    bulk_chunk = 5_000
    uses_uvloop = False

    def __init__(self, folder: Path, variant: str) -> None:
        self.folder = folder
        self.variant = variant
        self.processes: list[subprocess.Popen[bytes]] = []

    async def prepare(self) -> None:
        """Make an empty store."""

    async def connect(self) -> None:
        """Make the client ready to submit."""

    async def close(self) -> None:
        """Let the client go."""

    async def submit(self, task: str, payload: Payload) -> None:
        raise NotImplementedError

    async def submit_bulk(self, task: str, payloads: list[Payload]) -> None:
        raise NotImplementedError

    async def submit_at(self, task: str, payload: Payload, at: float) -> None:
        """Submit a run for an instant, in seconds since the epoch."""
        raise NotImplementedError

    async def has_finished(self, count: int) -> bool:
        """Whether the store says that `count` runs in all have finished."""
        return await self.count_finished() >= count

    async def count_finished(self) -> int:
        raise NotImplementedError

    def first_began_at(self) -> float:
        """When the first no-op began."""
        return float((self.folder / "first").read_text())

    # --- the service -------------------------------------------------------------

    def worker_commands(self, profile: str) -> list[list[str]]:
        """The worker's processes; none when it lives in the client's."""
        return []

    def worker_environment(self) -> dict[str, str]:
        return {}

    def start_service(self, profile: str) -> None:
        environment = {
            **os.environ,
            "BENCH_FOLDER": str(self.folder),
            "BENCH_PROFILE": profile,
            "BENCH_VARIANT": self.variant,
            "PYTHONPATH": str(ROOT),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            **self.worker_environment(),
        }
        with (self.folder / "worker.log").open("ab") as log:
            for command in self.worker_commands(profile):
                self.processes.append(
                    subprocess.Popen(
                        command,
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=log,
                        env=environment,
                        cwd=self.folder,
                        start_new_session=True,
                        preexec_fn=_die_with_parent,
                    )
                )

    @property
    def service_ended(self) -> bool:
        return bool(self.processes) and all(p.poll() is not None for p in self.processes)

    def service_tree(self) -> list[psutil.Process]:
        """Every process of the service."""
        found: dict[int, psutil.Process] = {}
        for pid in [p.pid for p in self.processes] or [os.getpid()]:
            try:
                process = psutil.Process(pid)
                for each in (process, *process.children(recursive=True)):
                    found[each.pid] = each
            except psutil.Error:
                continue
        return list(found.values())

    def stop_service(self) -> None:
        if not self.processes:
            return
        tree = self.service_tree()
        for process in self.processes:
            _signal_group(process, signal.SIGTERM)
        give_up_at = time.monotonic() + 4
        while time.monotonic() < give_up_at and any(p.poll() is None for p in self.processes):
            time.sleep(0.02)
        for process in self.processes:
            _signal_group(process, signal.SIGKILL)
        for each in tree:
            try:
                each.kill()
            except psutil.Error:
                continue
        for process in self.processes:
            process.wait()
        self.processes = []


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _signal_group(process: subprocess.Popen[bytes], number: int) -> None:
    try:
        os.killpg(process.pid, number)
    except (ProcessLookupError, PermissionError):
        return


class PostgresPeer(Peer):
    """A peer whose finished runs a query counts."""

    finished_sql = ""

    def open_counter(self) -> None:
        import psycopg

        self.counter = psycopg.connect(POSTGRES, autocommit=True)

    async def count_finished(self) -> int:
        row = self.counter.execute(self.finished_sql).fetchone()
        return int(row[0]) if row else 0


class RedisPeer(Peer):
    """A peer on Redis; its store is emptied before each measurement."""

    def open_redis(self, database: int = 0) -> Any:
        client = importlib.import_module("redis").Redis.from_url(redis_address(database))
        client.flushall()
        return client
