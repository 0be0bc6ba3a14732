"""What a claim, a submission and a page of history cost as finished runs pile up, on both stores.

    python bench/growth.py [--sizes 10000,100000,1000000] [--stores sqlite,postgresql]

The store is filled with finished runs of ten tasks, then each verb is timed through the store's own
faces: medians in milliseconds. An exchange settles a hundred runs and claims the next hundred. Each
line is kept in bench/results/growth.jsonl. PostgreSQL runs with its defaults.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if __name__ == "__main__":
    # Not this folder, whose names must not stand for other modules.
    sys.path[0] = str(ROOT)

import sqlalchemy as sa  # noqa: E402

from bench.lock import alone  # noqa: E402
from bench.servers import DefaultPostgres  # noqa: E402
from closingbell.core.clock import SystemClock  # noqa: E402
from closingbell.core.identity import RunIds  # noqa: E402
from closingbell.core.limit import Room  # noqa: E402
from closingbell.core.port import Want  # noqa: E402
from closingbell.core.run import Claim, RunItem, RunTemplate, Settlement  # noqa: E402
from closingbell.store.database import SqliteDatabase  # noqa: E402
from closingbell.store.store import Store, open_store  # noqa: E402

RESULTS = ROOT / "bench" / "results" / "growth.jsonl"
BATCH = 100
STEP = 100_000

_FILL = """
WITH RECURSIVE series (n) AS (
  SELECT CAST(:first AS BIGINT) UNION ALL SELECT n + 1 FROM series WHERE n < :last)
INSERT INTO runs (id, task, state, priority, executor, due_at, payload, tags, cause, max_attempts,
  timeout_s, submitted_at, attempt, fence, worker_id, started_at, finished_at, outcome, result)
SELECT {id}, 'task-' || (n % 10), CASE WHEN n % 100 = 0 THEN 'failed' ELSE 'success' END, 5, 'async',
  1700000000000000 + n * 1000, '{{"symbol": "AAPL","threshold": 1000000.0}}', '["risk"]', 'submit', 4,
  300, 1700000000000000 + n * 1000, 1, 1, 'w0', 1700000000000000 + n * 1000,
  1700000000000500 + n * 1000, CASE WHEN n % 100 = 0 THEN 'raised' ELSE 'returned' END,
  '{{"value": 42.5}}'
FROM series
"""


class Claimer:
    """Takes a batch at a time, and settles it with the next exchange."""

    worker_id = "w1"

    def __init__(self) -> None:
        self.ended: list[Settlement] = []
        self.claimed = 0

    def take_settlements(self) -> list[Settlement]:
        ended, self.ended = self.ended, []
        return ended

    def put_back(self, settlements: list[Settlement]) -> None:
        self.ended = settlements + self.ended

    def want(self, settled: Sequence[Settlement]) -> Want:
        return Want({"async": BATCH, "thread": 8, "process": 2}, frozenset(), Room())

    def deliver(self, claims: list[Claim], settled: Sequence[Settlement], stale: set[str]) -> None:
        now = time.time_ns() // 1000
        self.claimed += len(claims)
        self.ended += [
            Settlement(c.id, c.fence, "success", "returned", c.attempt, now, result="42")
            for c in claims
        ]


class Desk:
    """A store under measurement."""

    def __init__(self, address: str) -> None:
        clock = SystemClock()
        self.store: Store = open_store(address, clock)
        self.store.prepare()
        self.finished = 0
        self._ids = RunIds(lambda: clock.micros() // 1000, os.urandom)

    def fill(self, finished: int) -> None:
        """Let the store hold so many finished runs, well cared for."""
        sqlite = self.store.dialect == "sqlite"
        run_id = "printf('%032x', n)" if sqlite else "lpad(to_hex(n), 32, '0')"
        while self.finished < finished:
            last = min(finished, self.finished + STEP)
            values = {"first": self.finished + 1, "last": last}
            with self.store.database.writing() as connection:
                connection.execute(sa.text(_FILL.format(id=run_id)), values)
            self.finished = last
        database = self.store.database
        if isinstance(database, SqliteDatabase):
            with database.pen:
                for care in ("ANALYZE", "PRAGMA wal_checkpoint(TRUNCATE)"):
                    database.driver().execute(care)
        else:
            engine = database.engine().execution_options(isolation_level="AUTOCOMMIT")
            with engine.connect() as connection:
                for care in ("VACUUM ANALYZE", "CHECKPOINT"):
                    connection.execute(sa.text(care))

    def submit(self, count: int = 1) -> list[str]:
        now = time.time_ns() // 1000
        template = RunTemplate("task-3", "async", 5, "pending", now, 4, 300.0, now)
        items = [RunItem(run_id, '{"n":1}') for run_id in self._ids.take(count)]
        return self.store.queue.submit(template, items)

    def exchange(self, rounds: int) -> float:
        """Milliseconds of an exchange that settles a batch and claims the next."""
        self.submit(BATCH * (rounds + 2))
        claimer, queue = Claimer(), self.store.queue
        queue.attach(claimer)
        queue.exchange()
        taken = []
        for _ in range(rounds):
            began = time.perf_counter()
            queue.exchange()
            taken.append(time.perf_counter() - began)
        while queue.exchange():
            pass
        queue.detach(claimer)
        assert claimer.claimed >= BATCH * (rounds + 2)
        return statistics.median(taken) * 1e3

    def measure(self) -> dict[str, float]:
        """Return what each verb costs, in milliseconds."""
        chance = random.Random(7)
        some = self.store.runs.list_page(before=f"{self.finished:032x}", limit=500)
        runs = self.store.runs

        def page() -> object:
            return self.store.history.ended(task="task-7", limit=50, before=chance.choice(some))

        def listed() -> object:
            before = f"{chance.randrange(100, self.finished):032x}"
            return runs.list_page(before=before, limit=50)

        costs = {
            "history page": _median(page, 200),
            "list page": _median(listed, 200),
            "failures page": _median(lambda: runs.list_page(states=["failed"], limit=50), 200),
            "one run": _median(lambda: runs.get(chance.choice(some).id), 200),
            "exchange": self.exchange(40),
            "submit": _median(self.submit, 400),
            "submit 1000": _median(lambda: self.submit(1_000), 6),
        }
        self.exchange(1)
        return costs


def _median(verb: Callable[[], object], times: int) -> float:
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        verb()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken) * 1e3


@contextmanager
def _address(store: str) -> Iterator[str]:
    if store == "sqlite":
        with tempfile.TemporaryDirectory() as folder:
            yield f"sqlite:///{folder}/desk.db"
    else:
        with DefaultPostgres() as server, server.database() as address:
            yield address


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="10000,100000,1000000")
    parser.add_argument("--stores", default="sqlite,postgresql")
    given = parser.parse_args()
    sizes = [int(size) for size in given.sizes.split(",")]
    with alone():
        for store in given.stores.split(","):
            rows: list[dict[str, float]] = []
            with _address(store) as address:
                desk = Desk(address)
                for size in sizes:
                    desk.fill(size)
                    rows.append(desk.measure())
                    line = {"store": store, "finished": size, "ms": rows[-1], "at": time.time()}
                    RESULTS.parent.mkdir(exist_ok=True)
                    with RESULTS.open("a") as results:
                        results.write(json.dumps(line) + "\n")
                desk.store.close()
            _show(store, sizes, rows)


def _show(store: str, sizes: list[int], rows: list[dict[str, float]]) -> None:
    print(f"\n{store}: medians in milliseconds by finished runs")
    print(f"{'':16}" + "".join(f"{size:>12,}" for size in sizes) + f"{'last/first':>12}")
    for verb in rows[0]:
        values = [row[verb] for row in rows]
        shown = "".join(f"{value:12.3f}" for value in values)
        print(f"{verb:16}{shown}{values[-1] / values[0]:12.2f}", flush=True)


if __name__ == "__main__":
    main()
