"""Procrastinate on PostgreSQL: two workers with concurrency 30 (default 1), LISTEN/NOTIFY, async tasks."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Any

import procrastinate

from bench import bodies
from bench.peer import POSTGRES, Payload, PostgresPeer

app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=POSTGRES))


def _define(name: str) -> Any:
    body = getattr(bodies, name)

    @app.task(name=name)
    async def handle(payload: Payload) -> int:
        return int(body(payload))

    return handle


TASKS = {name: _define(name) for name in ("noop", "stamp", "burn")}


class Procrastinate(PostgresPeer):
    distributions = ("procrastinate", "psycopg")
    imports = "import procrastinate"
    bulk_chunk = 1_000
    finished_sql = "SELECT count(*) FROM procrastinate_jobs WHERE status = 'succeeded'"

    async def prepare(self) -> None:
        async with app.open_async():
            await app.schema_manager.apply_schema_async()
        self.open_counter()

    def worker_commands(self, profile: str) -> list[list[str]]:
        concurrency = "1" if profile == "cpu" else "30"
        start = [sys.executable, "-m", "procrastinate", "--log-level", "warning"]
        return [[*start, "-a", "bench.peers.procrastinate.app", "worker", "-c", concurrency]] * 2

    async def connect(self) -> None:
        await app.open_async()

    async def close(self) -> None:
        await app.close_async()

    async def submit(self, task: str, payload: Payload) -> None:
        await TASKS[task].defer_async(payload=payload)

    async def submit_bulk(self, task: str, payloads: list[Payload]) -> None:
        await TASKS[task].batch_defer_async(*({"payload": payload} for payload in payloads))

    async def submit_at(self, task: str, payload: Payload, at: float) -> None:
        when = datetime.fromtimestamp(at, UTC)
        await TASKS[task].configure(schedule_at=when).defer_async(payload=payload)
