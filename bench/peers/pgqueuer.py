"""PgQueuer on PostgreSQL: two processes, asyncpg, uvloop, batches of 100 (default 10), durability `durable`."""

from __future__ import annotations

import json
import sys
import time
from datetime import timedelta
from typing import Any

import asyncpg
from pgqueuer import PgQueuer
from pgqueuer.db import AsyncpgDriver
from pgqueuer.queries import Queries

from bench import bodies
from bench.peer import POSTGRES, Payload, PostgresPeer


async def work() -> None:
    worker = PgQueuer(AsyncpgDriver(await asyncpg.connect(POSTGRES)))
    for name in ("noop", "stamp", "burn"):
        worker.entrypoint(name)(_handler(getattr(bodies, name)))
    if bodies.PROFILE == "cpu":
        await worker.run(batch_size=1, max_concurrent_tasks=2)
    else:
        await worker.run(batch_size=100)


def _handler(body: Any) -> Any:
    async def handle(job: Any) -> None:
        body(json.loads(job.payload))

    return handle


class PgQueuerPeer(PostgresPeer):
    distributions = ("pgqueuer", "asyncpg", "uvloop")
    imports = "from pgqueuer import PgQueuer"
    bulk_chunk = 1_000
    uses_uvloop = True
    finished_sql = "SELECT count(*) FROM pgqueuer"

    async def prepare(self) -> None:
        self.submitted = 0
        connection = await asyncpg.connect(POSTGRES)
        await Queries(AsyncpgDriver(connection)).install()
        await connection.close()
        self.open_counter()

    def worker_commands(self, profile: str) -> list[list[str]]:
        return [[sys.executable, "-m", "bench.peers.pgqueuer"]] * 2

    async def connect(self) -> None:
        self.connection = await asyncpg.connect(POSTGRES)
        self.queries = Queries(AsyncpgDriver(self.connection))

    async def close(self) -> None:
        await self.connection.close()

    async def submit(self, task: str, payload: Payload) -> None:
        self.submitted += 1
        await self.queries.enqueue(task, json.dumps(payload).encode())

    async def submit_bulk(self, task: str, payloads: list[Payload]) -> None:
        count = len(payloads)
        self.submitted += count
        texts: list[bytes | None] = [json.dumps(payload).encode() for payload in payloads]
        await self.queries.enqueue([task] * count, texts, [0] * count)

    async def submit_at(self, task: str, payload: Payload, at: float) -> None:
        self.submitted += 1
        wait = timedelta(seconds=at - time.time())
        await self.queries.enqueue(task, json.dumps(payload).encode(), execute_after=wait)

    async def count_finished(self) -> int:
        # What is finished leaves the queue's table for the log.
        return self.submitted - await super().count_finished()


if __name__ == "__main__":
    import uvloop

    uvloop.run(work())
