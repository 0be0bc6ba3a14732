"""Measure the API over loopback: lists with a million runs, submissions, and the stream.

    python bench/api.py --database sqlite:////tmp/desk.db --part lists --runs 10000,1000000
    python bench/api.py --database postgresql://... --part submit
    python bench/api.py --database sqlite:////tmp/desk.db --part stream

The service and the client are processes of their own. One line of JSON for each figure is
written to stdout; redirect it to bench/results/.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import psutil
import uvloop
from sqlalchemy import text

from closingbell import App, create_app

TOKEN = "0123456789abcdef" * 4
HEADERS = {"Authorization": f"Bearer {TOKEN}"}
TASKS = 20

DESK = f"""
from closingbell import create_app
app = create_app()
for number in range({TASKS}):
    app.task(name=f"task-{{number}}")(lambda number=0: None)
"""

#: Runs that ended, a hundred a second, the last one now; every fiftieth failed.
SEED = """
WITH RECURSIVE series (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM series WHERE n < :count),
facts AS (SELECT CAST(n AS BIGINT) AS n, :now - (:count - n) * CAST(10000 AS BIGINT) AS at FROM series)
INSERT INTO runs (id, task, state, priority, executor, due_at, payload, tags, cause,
  max_attempts, timeout_s, submitted_at, attempt, fence, worker_id, started_at, finished_at,
  outcome, error, requested_by, schedule_id, session_date)
SELECT {id}, 'task-' || (n % 20), CASE n % 50 WHEN 7 THEN 'failed' ELSE 'success' END,
  1 + n % 9, 'async', at, '{{}}', CASE n % 10 WHEN 3 THEN '["risk"]' ELSE '[]' END, 'submit', 1, 60, at, 1, 1,
  'worker-' || (n % 4), at + 1000, at + 3000,
  CASE n % 50 WHEN 7 THEN 'raised' ELSE 'returned' END,
  CASE n % 50 WHEN 7 THEN '{{"type":"ValueError","message":"no price"}}' ELSE NULL END,
  CASE n % 5 WHEN 1 THEN 'ann' ELSE NULL END, CASE n % 4 WHEN 2 THEN 'schedule-' || (n % 12) ELSE NULL END,
  NULL
FROM facts
"""
ID = {
    "sqlite": "printf('%012x7abc8%015x', at / 1000, n)",
    "postgresql": "lpad(to_hex(at / 1000), 12, '0') || '7abc8' || lpad(to_hex(n), 15, '0')",
}


def seed(app: App, count: int) -> None:
    """Fill the store with runs that ended."""
    store = app.store
    with store.database.writing() as connection:
        connection.execute(
            text(SEED.format(id=ID[store.dialect])), {"count": count, "now": app.clock.micros()}
        )
    with store.database.writing() as connection:
        connection.execute(text("ANALYZE"))


class Service(NamedTuple):
    """A service at work, and the processor time that it has taken."""

    url: str
    process: psutil.Process

    @property
    def cpu_s(self) -> float:
        """Seconds, its own and its children's."""
        own = self.process.cpu_times()
        return own.user + own.system


@contextmanager
def service(database: str, *, api_only: bool) -> Iterator[Service]:
    """Run `closingbell serve` in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "desk.py").write_text(textwrap.dedent(DESK))
        words = ["serve", "desk:app", "--json", "--port", "0", "--database", database]
        process = subprocess.Popen(
            [str(Path(sys.executable).with_name("closingbell")), *words]
            + (["--api-only"] if api_only else []),
            cwd=folder,
            env={**os.environ, "CLOSINGBELL_TOKEN": TOKEN},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        try:
            assert process.stdout is not None
            yield Service(json.loads(process.stdout.readline())["url"], psutil.Process(process.pid))
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=30)


def tell(**figures: Any) -> None:
    """Write one line."""
    print(json.dumps(figures), flush=True)


# --- lists ------------------------------------------------------------------------------

ROUTES = [
    "/api/v1/runs",
    "/api/v1/runs?limit=1000",
    "/api/v1/runs?task=task-3",
    "/api/v1/runs?state=failed",
    "/api/v1/runs?task=task-7&state=failed",
    "/api/v1/runs?tag=risk",
    "/api/v1/runs?schedule=schedule-6",
    "/api/v1/runs?requested_by=ann",
    "/api/v1/runs?worker=worker-2",
    "/api/v1/runs?q=nothing-is-called-so",
    "/api/v1/overview",
    "/api/v1/throughput",
    "/api/v1/performance",
    "/api/v1/tasks",
    "/api/v1/schedules",
    "/api/v1/events",
    "/api/v1/alerts",
    "/api/v1/workers",
    "/api/v1/batches",
    "/api/v1/approvals",
    "/api/v1/audit",
    "/api/v1/scheduler/tasks/history",
    "/api/v1/scheduler/tasks/history?task_name=task-3&status=failed",
    "/api/v1/scheduler/tasks/failed",
    "/api/v1/scheduler/tasks/scheduled",
    "/api/v1/scheduler/metrics/performance",
    "/metrics",
    "/readyz",
]


def lists(database: str, runs: list[int], times: int) -> None:
    """Ask every list and metrics route, with more and more runs in the store."""
    have = 0
    app = create_app(database)
    try:
        for count in runs:
            seed(app, count - have)
            have = count
            with (
                service(database, api_only=True) as served,
                httpx.Client(headers=HEADERS, base_url=served.url, timeout=60) as client,
            ):
                for route in ROUTES:
                    _list(app, served, client, route, count, times)
    finally:
        app.stop()


def _list(
    app: App, served: Service, client: httpx.Client, route: str, count: int, times: int
) -> None:
    took: list[float] = []
    status = size = 0
    before = 0.0
    for number in range(times + 3):
        if number == 3:
            before = served.cpu_s
        began = time.perf_counter()
        answer = client.get(route)
        took.append((time.perf_counter() - began) * 1000)
        status, size = answer.status_code, len(answer.content)
    cuts = statistics.quantiles(took[3:], n=20)
    tell(
        part="lists", store=app.store.dialect, runs=count, route=route, status=status, bytes=size,
        p50_ms=round(cuts[9], 2), p95_ms=round(cuts[18], 2),
        cpu_ms=round((served.cpu_s - before) / times * 1000, 2),
    )  # fmt: skip


# --- submissions ------------------------------------------------------------------------


class Connection:
    """A kept-alive connection that sends one request at a time, as cheaply as can be."""

    def __init__(self, url: str) -> None:
        self._host, _, port = url.removeprefix("http://").partition(":")
        self._port = int(port)

    async def open(self) -> None:
        """Connect."""
        self._reader, self._writer = await asyncio.open_connection(self._host, self._port)

    async def post(self, path: str, body: bytes) -> int:
        """Send a request; return its status."""
        self._writer.write(
            f"POST {path} HTTP/1.1\r\nHost: {self._host}:{self._port}\r\n"
            f"Authorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        await self._reader.readexactly(length)
        return int(head[9:12])


def submit(database: str, seconds: float) -> None:
    """Submit through the API on 1, 8 and 32 connections."""
    dialect = "sqlite" if database.startswith("sqlite") else "postgresql"
    with service(database, api_only=True) as served:
        for connections in (1, 8, 32):
            before = served.cpu_s
            done, took = uvloop.run(_submit(served.url, connections, seconds))
            tell(
                part="submit", store=dialect, connections=connections,
                requests_a_second=round(done / took), p50_ms=round(_LATENCIES[len(_LATENCIES) // 2], 2),
                p99_ms=round(_LATENCIES[int(len(_LATENCIES) * 0.99)], 2),
                cpu_ms=round((served.cpu_s - before) / done * 1000, 3),
            )  # fmt: skip


_LATENCIES: list[float] = []


async def _submit(url: str, connections: int, seconds: float) -> tuple[int, float]:
    opened = [Connection(url) for _ in range(connections)]
    for one in opened:
        await one.open()
        await one.post("/api/v1/runs", b'{"task":"task-1"}')
    began = time.perf_counter()
    until = began + seconds
    _LATENCIES.clear()

    async def keep_on(one: Connection) -> int:
        sent = 0
        while (at := time.perf_counter()) < until:
            status = await one.post("/api/v1/runs", b'{"task":"task-1","payload":{"number":1}}')
            assert status == 201, status
            _LATENCIES.append((time.perf_counter() - at) * 1000)
            sent += 1
        return sent

    counts = await asyncio.gather(*(keep_on(one) for one in opened))
    took = time.perf_counter() - began
    _LATENCIES.sort()
    return sum(counts), took


# --- the stream --------------------------------------------------------------------------


def stream(database: str, clients: int, rate: int, seconds: float) -> None:
    """Let clients follow while runs come at a rate; then drain a batch with and without them."""
    app = create_app(database)
    for number in range(TASKS):
        app.task(name=f"task-{number}")(lambda number=0: None)
    dialect = app.store.dialect
    try:
        with service(database, api_only=False) as served:
            drains: dict[str, list[float]] = {"without": [], "with": []}
            marks = [served.cpu_s]
            for _ in range(3):
                drains["without"].append(_drain(app))
            marks.append(served.cpu_s)
            followers = _Followers(served.url, clients)
            followers.start()
            marks.append(served.cpu_s)
            for _ in range(3):
                drains["with"].append(_drain(app))
            marks.append(served.cpu_s)
            time.sleep(15)
            followers.heard.clear()
            before = served.cpu_s
            sent = _load(app, rate, seconds)
            cpu = (served.cpu_s - before) / seconds
            time.sleep(2)
            late = sorted(followers.late(sent))
            heard = len(late) / (len(sent) * clients)
            followers.stop()
        tell(
            part="stream", store=dialect, clients=clients, runs_a_second=rate,
            heard=round(heard, 4), cpu_fraction=round(cpu, 3),
            late_p50_ms=round(late[len(late) // 2]), late_p95_ms=round(late[int(len(late) * 0.95)]),
            drained_without=round(statistics.median(drains["without"])),
            drained_with=round(statistics.median(drains["with"])),
            drain_cpu_us_without=round((marks[1] - marks[0]) / 60_000 * 1e6),
            drain_cpu_us_with=round((marks[3] - marks[2]) / 60_000 * 1e6),
        )  # fmt: skip
    finally:
        app.stop()


def _drain(app: App, count: int = 20_000) -> float:
    began = time.perf_counter()
    last = app.submit_many("task-1", [{}] * count)[-1]
    while any(app.store.runs.counts()[state] for state in ("pending", "running")):
        time.sleep(0.02)
    assert app.get_run(last).state == "success"
    return count / (time.perf_counter() - began)


def _load(app: App, rate: int, seconds: float) -> dict[str, float]:
    sent: dict[str, float] = {}
    began = time.perf_counter()
    while (passed := time.perf_counter() - began) < seconds:
        for _ in range(max(0, round(passed * rate) - len(sent))):
            at = time.perf_counter()
            sent[app.submit("task-2").id] = at
        time.sleep(0.005)
    return sent


class _Followers(threading.Thread):
    """Clients of the stream on one event loop; each notes when it first hears of a run."""

    def __init__(self, url: str, clients: int) -> None:
        super().__init__(daemon=True)
        self._url = url
        self._clients = clients
        self.heard: list[tuple[float, list[str]]] = []
        self._ready = threading.Semaphore(0)
        self._over: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        """Begin, and wait until all follow."""
        super().start()
        for _ in range(self._clients):
            self._ready.acquire(timeout=60)

    def run(self) -> None:
        """Follow."""
        uvloop.run(self._follow_all())

    async def _follow_all(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._over = asyncio.Event()
        tasks = [asyncio.create_task(self._follow(number)) for number in range(self._clients)]
        await self._over.wait()
        for task in tasks:
            task.cancel()

    async def _follow(self, number: int) -> None:
        host, _, port = self._url.removeprefix("http://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port), limit=2**22)
        writer.write(
            f"GET /api/v1/stream?topics=runs HTTP/1.1\r\nHost: {host}:{port}\r\n"
            f"Authorization: Bearer {TOKEN}\r\n\r\n".encode()
        )
        name = b""
        while line := await reader.readline():
            if line.startswith(b"event: "):
                name = line[7:].strip()
                if name == b"ready":
                    self._ready.release()
            elif line.startswith(b"data: ") and name == b"changes":
                # Cheap, as 200 clients share a processor with the service: ids are cut out.
                at = time.perf_counter()
                parts = line.split(b'"noun":"runs","id":"')[1:]
                self.heard.append((at, [part[:32].decode() for part in parts]))

    def late(self, sent: dict[str, float]) -> list[float]:
        """Return how late each client heard of each run, in milliseconds."""
        first: dict[str, list[float]] = {run: [] for run in sent}
        for at, ids in self.heard:
            for run in ids:
                if run in first and len(first[run]) < self._clients:
                    first[run].append((at - sent[run]) * 1000)
        return [one for run in first.values() for one in run]

    def stop(self) -> None:
        """Go."""
        if self._loop is not None and self._over is not None:
            self._loop.call_soon_threadsafe(self._over.set)
        self.join(10)


def main() -> None:
    """Read the command line."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--database", required=True, help="a new, empty one")
    words.add_argument("--part", choices=("lists", "submit", "stream"), required=True)
    words.add_argument("--runs", default="10000,1000000")
    words.add_argument("--times", type=int, default=40)
    words.add_argument("--clients", type=int, default=200)
    words.add_argument("--rate", type=int, default=100, help="runs a second; each is told twice")
    words.add_argument("--seconds", type=float, default=8.0)
    given = words.parse_args()
    if given.part == "lists":
        lists(given.database, [int(count) for count in given.runs.split(",")], given.times)
    elif given.part == "submit":
        submit(given.database, given.seconds)
    else:
        stream(given.database, given.clients, given.rate, given.seconds)


if __name__ == "__main__":
    main()
