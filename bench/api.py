"""Measure the API over loopback: lists with a million runs, submissions, and the stream.

    python bench/api.py --database sqlite:////tmp/desk.db --part lists --runs 1000000
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
from api_rows import TASKS, fill

from closingbell import App, create_app

TOKEN = "0123456789abcdef" * 4
HEADERS = {"Authorization": f"Bearer {TOKEN}"}

DESK = f"""
from closingbell import create_app
app = create_app()
for number in range({TASKS}):
    app.task(name=f"task-{{number}}")(lambda number=0: None)
"""


class Service(NamedTuple):
    """A service at work, and the processor time that it has taken."""

    url: str
    process: psutil.Process

    @property
    def cpu_s(self) -> float:
        """Seconds; the API has no children that do its work."""
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

#: "{n}" is another number each time, so that no answer is given again.
ROUTES = [
    "/api/v1/runs",
    "/api/v1/runs?limit=1000",
    "/api/v1/runs?task=task-3",
    "/api/v1/runs?state=failed",
    "/api/v1/runs?state=running",
    "/api/v1/runs?state=scheduled",
    "/api/v1/runs?hold=approval",
    "/api/v1/runs?task=task-3&state=failed",
    "/api/v1/runs?tag=risk",
    "/api/v1/runs?tag=nothing-has-this",
    "/api/v1/runs?schedule=schedule-6",
    "/api/v1/runs?batch=batch-1",
    "/api/v1/runs?event=event-104",
    "/api/v1/runs?cause=submit",
    "/api/v1/runs?requested_by=ann",
    "/api/v1/runs?requested_by=nobody",
    "/api/v1/runs?worker=worker-2",
    "/api/v1/runs?session_date=2026-01-05",
    "/api/v1/runs?submitted_until=2026-01-05T00:00:00Z",
    "/api/v1/runs?q=nothing-is-called-so",
    "/api/v1/overview",
    "/api/v1/throughput?window=1{n}m",
    "/api/v1/performance?window=13{n}m",
    "/api/v1/performance?window=7{n}h",
    "/api/v1/tasks",
    "/api/v1/tasks/task-99",
    "/api/v1/schedules",
    "/api/v1/events",
    "/api/v1/events?type=filled",
    "/api/v1/event-triggers",
    "/api/v1/alerts",
    "/api/v1/alerts?state=open",
    "/api/v1/alerts?task=task-3",
    "/api/v1/alert-rules",
    "/api/v1/notifications",
    "/api/v1/notifications?state=sent",
    "/api/v1/notifications?state=failed",
    "/api/v1/workers",
    "/api/v1/batches",
    "/api/v1/approvals",
    "/api/v1/audit",
    "/api/v1/audit?actor=nobody",
    "/api/v1/accounts",
    "/api/v1/accounts/account-1",
    "/api/v1/accounts/account-1/orders",
    "/api/v1/accounts/account-1/orders?symbol=NONE",
    "/api/v1/accounts/account-1/trades",
    "/api/v1/accounts/account-1/trades?symbol=NONE",
    "/api/v1/accounts/account-1/entries",
    "/api/v1/accounts/account-1/equity",
    "/api/v1/backtests",
    "/api/v1/scheduler/tasks/history",
    "/api/v1/scheduler/tasks/history?task_name=task-3&status=failed",
    "/api/v1/scheduler/tasks/failed",
    "/api/v1/scheduler/tasks/running",
    "/api/v1/scheduler/tasks/scheduled",
    "/api/v1/scheduler/metrics/performance",
    "/api/v1/scheduler/alerts",
    "/metrics",
    "/readyz",
]
#: Answers of these are given again for two seconds: fewer are asked for, each after that time.
KEPT = ("/api/v1/overview",)
KEPT_S, KEPT_TIMES = 2.1, 12


def lists(database: str, count: int, times: int, only: str) -> None:
    """Ask every list and metrics route of a store, which is filled where it is empty."""
    app = create_app(database)
    try:
        dialect = app.store.dialect
        if not app.store.run_pages.ids_beginning("", 1):
            fill(app, count)
    finally:
        app.stop()
    with (
        service(database, api_only=True) as served,
        httpx.Client(headers=HEADERS, base_url=served.url, timeout=120) as client,
    ):
        for route in ROUTES:
            if only in route:
                figures = _list(served, client, route, times)
                tell(part="lists", store=dialect, runs=count, route=route, **figures)


def _list(served: Service, client: httpx.Client, route: str, times: int) -> dict[str, Any]:
    took: list[float] = []
    cpu = 0.0
    kept = route in KEPT
    for number in range(KEPT_TIMES if kept else times):
        if kept:
            time.sleep(KEPT_S)
        before, began = served.cpu_s, time.perf_counter()
        answer = client.get(route.format(n=number + 10))
        took.append((time.perf_counter() - began) * 1000)
        cpu += (served.cpu_s - before) * 1000
    cuts = statistics.quantiles(took[1:], n=20)
    return {
        "status": answer.status_code,
        "bytes": len(answer.content),
        "first_ms": round(took[0], 2),
        "p50_ms": round(cuts[9], 2),
        "p95_ms": round(cuts[18], 2),
        "cpu_ms": round(cpu / len(took), 2),
    }


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
    dialect = "postgresql" if database.startswith("postgres") else "sqlite"
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
    words.add_argument(
        "--database", required=True, help="a new, empty one; for lists, one filled before will do"
    )
    words.add_argument("--part", choices=("lists", "submit", "stream"), required=True)
    words.add_argument("--runs", type=int, default=1_000_000)
    words.add_argument("--only", default="", help="lists: only routes that hold this")
    words.add_argument("--times", type=int, default=40)
    words.add_argument("--clients", type=int, default=200)
    words.add_argument("--rate", type=int, default=100, help="runs a second; each is told twice")
    words.add_argument("--seconds", type=float, default=8.0)
    given = words.parse_args()
    if given.part == "lists":
        lists(given.database, given.runs, given.times, given.only)
    elif given.part == "submit":
        submit(given.database, given.seconds)
    else:
        stream(given.database, given.clients, given.rate, given.seconds)


if __name__ == "__main__":
    main()
