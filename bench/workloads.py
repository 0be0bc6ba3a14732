"""The workloads: the same steps on every system, each returning plain numbers.

W1  submit 5,000 runs one at a time, then in bulk; no worker
W2  drain no-op runs that wait already; from the first handler's start to the last stored end
W3  submit and drain together, one at a time, then in bulk by 500
W4  pickup on an idle system: 200 runs, one every 50 ms; from before submit to the handler's start
W5  lateness of 100 runs for given instants, one every 100 ms; and of firings of schedules
W5M W5 with 10,000 schedules and a million pending future runs in the store
W6  64 tasks of 50 ms and 2,000 of 1 ms of pure Python, against two bare processes doing the same
W7  memory of the idle service
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import time
from collections.abc import Awaitable, Callable

import psutil

from bench import bodies
from bench.peer import Payload, Peer

Numbers = dict[str, float]

POLL_S = 0.02
#: Seconds that one turn of `bodies.burn` takes; measured once by the driver.
TURN_S = float(os.environ.get("BENCH_TURN_S", "5e-8"))


def percentile(values: list[float], fraction: float) -> float:
    """The value at a fraction of the sorted values, between two of them by proportion."""
    ordered = sorted(values)
    place = (len(ordered) - 1) * fraction
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def payloads(count: int, start: int = 0) -> list[Payload]:
    return [{"i": start + i, "side": "buy", "symbol": "AAPL"} for i in range(count)]


class Measurement:
    """One workload on one peer, with a fresh store."""

    def __init__(self, peer: Peer, *, single: int, many: int) -> None:
        """Make a measurement.

        Args:
            peer: what is measured.
            single: how many runs are submitted one at a time.
            many: how many runs are submitted in bulk, and drained.
        """
        self.peer = peer
        self.single = single
        self.many = many

    # --- steps -----------------------------------------------------------------------

    async def submit_each(self, count: int, start: int = 0) -> None:
        submit = self.peer.submit
        for payload in payloads(count, start):
            await submit("noop", payload)

    async def submit_bulk(self, task: str, items: list[Payload], chunk: int | None = None) -> None:
        if not self.peer.has_bulk:
            for payload in items:
                await self.peer.submit(task, payload)
            return
        size = chunk or self.peer.bulk_chunk
        for start in range(0, len(items), size):
            await self.peer.submit_bulk(task, items[start : start + size])

    async def finished(self, count: int, within_s: float = 300.0) -> float:
        """Wait until the store holds `count` ends; return the time."""
        give_up_at = time.time() + within_s
        while not await self.peer.has_finished(count):
            if time.time() > give_up_at:
                raise TimeoutError(f"{await self.peer.count_finished()} of {count} finished")
            if self.peer.service_ended:
                raise RuntimeError("the service ended by itself")
            await asyncio.sleep(POLL_S)
        return time.time()

    async def warm_up(self, profile: str = "io") -> int:
        """Start the service, run a little through it, let it fall idle; return how many ended."""
        self.peer.start_service(profile)
        for _ in range(8):
            await self.peer.submit("stamp", {"series": "warm", "at": time.time()})
        await self.finished(8, 60.0)
        await asyncio.sleep(1.0)
        return 8

    def lateness_ms(self, series: str) -> list[float]:
        try:
            text = (self.peer.folder / bodies.STAMPS).read_text()
        except FileNotFoundError:
            return []
        parts = [line.split() for line in text.splitlines()]
        return [(float(began) - float(at)) * 1000 for name, at, began in parts if name == series]

    async def stamped(self, series: str, count: int, within_s: float) -> list[float]:
        give_up_at = time.time() + within_s
        while len(found := self.lateness_ms(series)) < count:
            if time.time() > give_up_at:
                raise TimeoutError(f"{len(found)} of {count} handlers began")
            await asyncio.sleep(0.1)
        return found

    # --- workloads ---------------------------------------------------------------------

    async def w1(self) -> Numbers:
        await self.peer.connect()
        await self.submit_each(50)
        began = time.perf_counter()
        await self.submit_each(self.single, 50)
        numbers = {"single_per_s": self.single / (time.perf_counter() - began)}
        if self.peer.has_bulk:
            items = payloads(self.many, 1_000_000)
            began = time.perf_counter()
            await self.submit_bulk("noop", items)
            numbers["bulk_per_s"] = self.many / (time.perf_counter() - began)
        return numbers

    async def w2(self) -> Numbers:
        await self.peer.connect()
        await self.submit_bulk("noop", payloads(self.many))
        await asyncio.sleep(0.5)
        started = time.time()
        self.peer.start_service("io")
        ended = await self.finished(self.many)
        first = self.peer.first_began_at()
        return {
            "runs_per_s": self.many / (ended - first),
            "with_start_runs_per_s": self.many / (ended - started),
            "start_s": first - started,
            "runs": self.many,
        }

    async def w3(self) -> Numbers:
        await self.peer.connect()
        base = await self.warm_up()
        began = time.time()
        await self.submit_each(self.single)
        submitted = time.time()
        ended = await self.finished(base + self.single)
        numbers = {
            "single_per_s": self.single / (ended - began),
            "single_submit_per_s": self.single / (submitted - began),
        }
        if self.peer.has_bulk:
            base += self.single
            await asyncio.sleep(0.5)
            items = payloads(self.many, 1_000_000)
            began = time.time()
            await self.submit_bulk("noop", items, chunk=500)
            ended = await self.finished(base + self.many)
            numbers["bulk_per_s"] = self.many / (ended - began)
        return numbers

    async def w4(self) -> Numbers:
        await self.peer.connect()
        await self.warm_up()
        following = time.time()
        for _ in range(200):
            await self.peer.submit("stamp", {"series": "pickup", "at": time.time()})
            following += 0.05
            await asyncio.sleep(max(0.0, following - time.time()))
        return _spread("", await self.stamped("pickup", 200, 20.0))

    async def w5(self) -> Numbers:
        await self.peer.connect()
        await self.warm_up()
        return await self._lateness()

    async def w5m(self) -> Numbers:
        await self.peer.connect()
        began = time.time()
        self.peer.fill(10_000, 1_000_000)  # type: ignore[attr-defined]
        filled = time.time() - began
        await self.warm_up()
        await asyncio.sleep(5.0)
        return {"fill_s": filled, **await self._lateness()}

    async def _lateness(self) -> Numbers:
        start = float(int(time.time()) + 3)
        for number in range(100):
            at = start + number * 0.1 + 0.037
            await self.peer.submit_at("stamp", {"series": "once", "at": at}, at)
        if time.time() > start:
            raise TimeoutError("the runs could not be submitted within 3 s")
        await asyncio.sleep(start + 10 - time.time())
        numbers = _spread("", await self.stamped("once", 100, 45.0))
        schedule_firings = getattr(self.peer, "schedule_firings", None)
        if schedule_firings is not None:
            start = float(int(time.time()) + 3)
            count = schedule_firings(start, 10, "fired")
            await asyncio.sleep(start + 10 - time.time())
            numbers |= _spread("firing_", await self.stamped("fired", count, 10.0))
        return numbers

    async def w6(self) -> Numbers:
        await self.peer.connect()
        base = await self.warm_up("cpu")
        numbers: Numbers = {}
        for label, seconds, count in (("50ms", 0.05, 64), ("1ms", 0.001, 2_000)):
            loops = int(seconds / TURN_S)
            bare = [bare_pair_s(loops, count) for _ in range(2)]
            began = time.time()
            await self.submit_bulk("burn", [{"i": i, "loops": loops} for i in range(count)])
            wall = await self.finished(base + count) - began
            base += count
            bare += [bare_pair_s(loops, count) for _ in range(2)]
            reference = percentile(bare, 0.5)
            numbers[f"{label}_wall_s"] = wall
            numbers[f"{label}_bare_s"] = reference
            numbers[f"{label}_overhead_percent"] = (wall / reference - 1) * 100
            await asyncio.sleep(0.5)
        return numbers

    async def w7(self) -> Numbers:
        await self.peer.connect()
        await self.warm_up()
        await asyncio.sleep(3.0)
        resident = shared = 0.0
        tree = self.peer.service_tree()
        for process in tree:
            try:
                memory = process.memory_full_info()
            except psutil.Error:
                continue
            resident += memory.rss / 2**20
            shared += memory.pss / 2**20
        return {"rss_mib": resident, "pss_mib": shared, "processes": len(tree)}


def workload(measurement: Measurement, name: str) -> Callable[[], Awaitable[Numbers]]:
    found: Callable[[], Awaitable[Numbers]] = getattr(measurement, name.lower())
    return found


def _spread(prefix: str, values: list[float]) -> Numbers:
    return {
        f"{prefix}p50_ms": percentile(values, 0.5),
        f"{prefix}p95_ms": percentile(values, 0.95),
        f"{prefix}p99_ms": percentile(values, 0.99),
        f"{prefix}max_ms": max(values),
        f"{prefix}min_ms": min(values),
    }


def bare_pair_s(loops: int, count: int) -> float:
    """Wall time of `count` burns shared between two bare processes: what W6 is held against."""
    context = multiprocessing.get_context("fork")
    pair = [context.Process(target=_burn_many, args=(loops, count // 2)) for _ in range(2)]
    began = time.perf_counter()
    for process in pair:
        process.start()
    for process in pair:
        process.join()
    return time.perf_counter() - began


def _burn_many(loops: int, count: int) -> None:
    for _ in range(count):
        bodies.burn({"loops": loops})


def measure_turn_s() -> float:
    """Seconds of one turn of `bodies.burn` on this machine, now."""
    loops, found = 200_000, []
    for _ in range(21):
        began = time.perf_counter()
        bodies.burn({"loops": loops})
        found.append((time.perf_counter() - began) / loops)
    return percentile(found, 0.5)
