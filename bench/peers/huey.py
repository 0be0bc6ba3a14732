"""Huey on SQLite or Redis: `huey_consumer -k process -w 2`, results stored."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import huey as library

from bench import bodies
from bench.peer import Payload, Peer, redis_address


def make_queue(folder: Path, variant: str) -> Any:
    if variant == "sqlite":
        return library.SqliteHuey("bench", filename=str(folder / "huey.db"))
    return library.RedisHuey("bench", url=redis_address())


def define_tasks(queue: Any) -> dict[str, Any]:
    return {
        name: queue.task(name=name)(getattr(bodies, name)) for name in ("noop", "stamp", "burn")
    }


class Huey(Peer):
    distributions = ("huey",)
    imports = "import huey"
    has_bulk = False

    async def prepare(self) -> None:
        if self.variant == "redis":
            import redis

            redis.Redis.from_url(redis_address()).flushall()
        self.queue = make_queue(self.folder, self.variant)
        self.tasks = define_tasks(self.queue)

    def worker_commands(self, profile: str) -> list[list[str]]:
        consumer = "huey.bin.huey_consumer"
        return [
            [
                sys.executable,
                "-m",
                consumer,
                "bench.peers.huey.queue",
                "-k",
                "process",
                "-w",
                "2",
                "-q",
            ]
        ]

    async def submit(self, task: str, payload: Payload) -> None:
        self.tasks[task](payload)

    async def submit_at(self, task: str, payload: Payload, at: float) -> None:
        # An aware time: a naive one is cut to whole seconds.
        self.tasks[task].schedule((payload,), eta=datetime.fromtimestamp(at, UTC))

    async def count_finished(self) -> int:
        return int(self.queue.result_count())


if "BENCH_VARIANT" in os.environ:
    queue = make_queue(bodies.FOLDER, os.environ["BENCH_VARIANT"])
    tasks = define_tasks(queue)
