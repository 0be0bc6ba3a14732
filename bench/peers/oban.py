"""Oban for Python on PostgreSQL: two `oban start` processes with a queue of 100, uvloop."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Any

from oban import job as task_decorator

from bench import bodies
from bench.peer import POSTGRES, Payload, PostgresPeer


# A worker finds a task by its module's name, so each needs a name of its own here.
@task_decorator(queue="bench")
async def noop(payload: Payload) -> None:
    bodies.noop(payload)


@task_decorator(queue="bench")
async def stamp(payload: Payload) -> None:
    bodies.stamp(payload)


@task_decorator(queue="bench")
async def burn(payload: Payload) -> None:
    bodies.burn(payload)


TASKS: dict[str, Any] = {"noop": noop, "stamp": stamp, "burn": burn}


class Oban(PostgresPeer):
    distributions = ("oban", "psycopg", "uvloop")
    imports = "from oban import Oban"
    bulk_chunk = 1_000
    uses_uvloop = True
    finished_sql = "SELECT count(*) FROM oban_jobs WHERE state = 'completed'"

    async def prepare(self) -> None:
        from oban.schema import install
        from psycopg_pool import AsyncConnectionPool

        async with AsyncConnectionPool(POSTGRES, min_size=1, max_size=1, open=False) as pool:
            await install(pool)
        self.open_counter()

    def worker_commands(self, profile: str) -> list[list[str]]:
        queue = "bench:1" if profile == "cpu" else "bench:100"
        start = [sys.executable, "-c", "import bench.peers.oban; from oban.cli import main; main()"]
        options = ["start", "--dsn", POSTGRES, "--queues", queue, "--log-level", "WARNING"]
        return [[*start, *options]] * 2

    async def connect(self) -> None:
        from oban import Oban as Client

        self.pool = await Client.create_pool(POSTGRES)
        self.client = Client(pool=self.pool)
        await self.client.start()

    async def close(self) -> None:
        await self.client.stop()
        await self.pool.close()

    async def submit(self, task: str, payload: Payload) -> None:
        await self.client.enqueue(TASKS[task].new(payload))

    async def submit_bulk(self, task: str, payloads: list[Payload]) -> None:
        await self.client.enqueue_many([TASKS[task].new(payload) for payload in payloads])

    async def submit_at(self, task: str, payload: Payload, at: float) -> None:
        planned = TASKS[task].new(payload)
        planned.scheduled_at = datetime.fromtimestamp(at, UTC)
        kind = type(planned.state)
        planned.state = "scheduled" if kind is str else kind("scheduled")
        await self.client.enqueue(planned)
