"""Dramatiq on Redis with stored results: two processes of eight threads (its default)."""

from __future__ import annotations

import sys
import time

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend

from bench import bodies
from bench.peer import Payload, RedisPeer, redis_address

broker = RedisBroker(url=redis_address(0))
broker.add_middleware(Results(backend=RedisBackend(url=redis_address(1)), store_results=True))
dramatiq.set_broker(broker)

TASKS = {
    name: dramatiq.actor(getattr(bodies, name), actor_name=name, queue_name="bench")
    for name in ("noop", "stamp", "burn")
}


class Dramatiq(RedisPeer):
    distributions = ("dramatiq", "redis")
    imports = "import dramatiq"
    # Its `group` sends one message at a time.
    has_bulk = False

    async def prepare(self) -> None:
        self.results = self.open_redis(1)

    def worker_commands(self, profile: str) -> list[list[str]]:
        start = [sys.executable, "-m", "dramatiq", "bench.peers.dramatiq", "--processes", "2"]
        return [[*start, "--threads", "1" if profile == "cpu" else "8"]]

    async def submit(self, task: str, payload: Payload) -> None:
        TASKS[task].send(payload)

    async def submit_at(self, task: str, payload: Payload, at: float) -> None:
        delay = round((at - time.time()) * 1000)
        TASKS[task].send_with_options(args=(payload,), delay=delay)

    async def count_finished(self) -> int:
        return int(self.results.dbsize())
