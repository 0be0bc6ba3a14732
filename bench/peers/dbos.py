"""DBOS Transact: a workflow per run, submitted by its client; a queue without a concurrency limit."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from bench import bodies
from bench.peer import POSTGRES, ROOT, Payload, Peer


def address(folder: Path, variant: str) -> str:
    if variant == "sqlite":
        return f"sqlite:///{folder}/dbos.db"
    return POSTGRES.replace("postgresql://", "postgresql+psycopg://")


def launch(folder: Path, variant: str, executor_id: str) -> Any:
    from dbos import DBOS

    DBOS(
        config={
            "name": "bench",
            "system_database_url": address(folder, variant),
            "log_level": "ERROR",
            "application_version": "1",
            "executor_id": executor_id,
        }
    )
    for name in ("noop", "stamp", "burn"):
        DBOS.workflow(name=name)(getattr(bodies, name))
    DBOS.launch()
    # Pure-Python work: two at a time, and a short poll, or each second would claim only two.
    is_cpu = bodies.PROFILE == "cpu"
    DBOS.register_queue(
        "bench",
        worker_concurrency=2 if is_cpu else None,
        polling_interval_sec=0.05 if is_cpu else 1.0,
        on_conflict="always_update",
    )
    return DBOS


class Dbos(Peer):
    distributions = ("dbos",)
    imports = "from dbos import DBOS"
    bulk_chunk = 500

    async def prepare(self) -> None:
        # Its schema is made by a launch, which refuses to happen inside a running event loop.
        subprocess.run(  # noqa: ASYNC221  (nothing else is on the loop)
            [sys.executable, "-m", "bench.peers.dbos", "prepare", self.variant],
            check=True,
            env={**os.environ, "BENCH_FOLDER": str(self.folder), "PYTHONPATH": str(ROOT)},
            stdout=subprocess.DEVNULL,
        )
        self.counter: Any
        if self.variant == "sqlite":
            self.table = "workflow_status"
            self.counter = sqlite3.connect(
                self.folder / "dbos.db", isolation_level=None, timeout=30
            )
        else:
            import psycopg

            self.table = "dbos.workflow_status"
            self.counter = psycopg.connect(POSTGRES, autocommit=True)

    def worker_commands(self, profile: str) -> list[list[str]]:
        command = [sys.executable, "-m", "bench.peers.dbos", "work", self.variant]
        # Its documentation keeps SQLite to one process.
        return [command] if self.variant == "sqlite" else [command, command]

    async def connect(self) -> None:
        from dbos import DBOSClient

        self.client = DBOSClient(system_database_url=address(self.folder, self.variant))

    def _options(self, task: str) -> Any:
        return {"queue_name": "bench", "workflow_name": task, "app_version": "1"}

    async def submit(self, task: str, payload: Payload) -> None:
        self.client.enqueue(self._options(task), payload)

    async def submit_bulk(self, task: str, payloads: list[Payload]) -> None:
        with self.client._sys_db.engine.begin() as connection:
            for payload in payloads:
                self.client.enqueue_in_transaction(connection, self._options(task), payload)

    async def submit_at(self, task: str, payload: Payload, at: float) -> None:
        delay = at - time.time()
        self.client.enqueue({**self._options(task), "delay_seconds": delay}, payload)

    async def count_finished(self) -> int:
        sql = f"SELECT count(*) FROM {self.table} WHERE status = 'SUCCESS'"
        return int(self.counter.execute(sql).fetchone()[0])


if __name__ == "__main__":
    running = launch(bodies.FOLDER, sys.argv[2], f"{sys.argv[1]}-{os.getpid()}")
    if sys.argv[1] == "prepare":
        running.destroy()
    else:
        threading.Event().wait()
