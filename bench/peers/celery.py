"""Celery with Redis as broker and result store: prefork 2, prefetch 64 (its advice for short tasks), acks_late."""

from __future__ import annotations

import sys
from datetime import UTC, datetime

from celery import Celery, group

from bench import bodies
from bench.peer import Payload, RedisPeer, redis_address

app = Celery("bench", broker=redis_address(0), backend=redis_address(1))
app.conf.update(
    # An accepted run outlives a killed worker.
    task_acks_late=True,
    worker_prefetch_multiplier=1 if bodies.PROFILE == "cpu" else 64,
    result_expires=3600,
    task_serializer="json",
    result_serializer="json",
    accept_content=["json"],
    worker_send_task_events=False,
    broker_connection_retry_on_startup=True,
    task_default_queue="bench",
)
TASKS = {
    name: app.task(getattr(bodies, name), name=name, bind=False)
    for name in ("noop", "stamp", "burn")
}


class CeleryPeer(RedisPeer):
    distributions = ("celery", "kombu", "redis")
    imports = "from celery import Celery"

    async def prepare(self) -> None:
        self.results = self.open_redis(1)

    def worker_commands(self, profile: str) -> list[list[str]]:
        start = [sys.executable, "-m", "celery", "-A", "bench.peers.celery:app", "worker"]
        quiet = [
            "--loglevel=WARNING",
            "--without-gossip",
            "--without-mingle",
            "--without-heartbeat",
        ]
        return [[*start, "-c", "2", "-P", "prefork", *quiet, "-Q", "bench"]]

    async def submit(self, task: str, payload: Payload) -> None:
        TASKS[task].apply_async((payload,))

    async def submit_bulk(self, task: str, payloads: list[Payload]) -> None:
        group(TASKS[task].s(payload) for payload in payloads).apply_async()

    async def submit_at(self, task: str, payload: Payload, at: float) -> None:
        TASKS[task].apply_async((payload,), eta=datetime.fromtimestamp(at, UTC))

    async def count_finished(self) -> int:
        return int(self.results.dbsize())
