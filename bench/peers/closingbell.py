"""closingbell on SQLite or PostgreSQL, its worker inside the client's process or in its own."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bench.peer import POSTGRES, Payload, Peer
from bench.peers.closingbell_app import fired, make_app
from closingbell.triggers import Daily, Every

_SERVE = "from bench.peers.closingbell_app import app; app.start()"
# What is unfinished is asked for first: a look at two partial indexes, however many runs there are.
_LEFT = """SELECT EXISTS (SELECT 1 FROM runs WHERE state = 'pending' AND lane IS NULL)
 OR EXISTS (SELECT 1 FROM runs WHERE state = 'running')"""
_FINISHED = "SELECT count(*) FROM runs WHERE finished_at IS NOT NULL AND task IN ({})"
_NOT_SUCCESSFUL = "SELECT count(*) FROM runs WHERE state IN ('failed', 'cancelled', 'skipped')"
_TASKS = "'noop', 'stamp', 'burn', 'fired'"


class ClosingBell(Peer):
    """The variant is a store, and where the worker lives: "sqlite", "sqlite-1", "pg-2", ..."""

    distributions = ("closingbell", "sqlalchemy", "psycopg")
    imports = "import closingbell"

    def __init__(self, folder: Path, variant: str) -> None:
        super().__init__(folder, variant)
        store, _, workers = variant.partition("-")
        self.is_sqlite = store == "sqlite"
        self.worker_count = int(workers or 0)
        self.address = f"sqlite:///{folder}/closingbell.db" if self.is_sqlite else POSTGRES
        self.app = make_app(self.address)

    async def prepare(self) -> None:
        # Opens the store, which makes its schema.
        _ = self.app.store
        self.counter: Any
        if self.is_sqlite:
            path = self.folder / "closingbell.db"
            self.counter = sqlite3.connect(path, isolation_level=None, timeout=30)
        else:
            import psycopg

            self.counter = psycopg.connect(POSTGRES, autocommit=True)

    def start_service(self, profile: str) -> None:
        if self.worker_count:
            super().start_service(profile)
        else:
            self.app.start(block=False)

    def stop_service(self) -> None:
        super().stop_service()
        self.app.stop(0.0)

    def worker_commands(self, profile: str) -> list[list[str]]:
        return [[sys.executable, "-c", _SERVE]] * self.worker_count

    def worker_environment(self) -> dict[str, str]:
        return {"BENCH_DATABASE": self.address}

    async def submit(self, task: str, payload: Payload) -> None:
        self.app.submit(task, payload)

    async def submit_bulk(self, task: str, payloads: list[Payload]) -> None:
        self.app.submit_many(task, payloads)

    async def submit_at(self, task: str, payload: Payload, at: float) -> None:
        self.app.submit(task, payload, at=datetime.fromtimestamp(at, UTC))

    async def has_finished(self, count: int) -> bool:
        return not self._ask(_LEFT) and await self.count_finished() >= count

    async def count_finished(self) -> int:
        if self._ask(_NOT_SUCCESSFUL):
            raise RuntimeError("some runs did not end in success")
        return int(self._ask(_FINISHED.format(_TASKS)))

    def first_began_at(self) -> float:
        # When the first run was claimed, which is a little before its handler began.
        return float(self._ask("SELECT min(started_at) FROM runs WHERE task = 'noop'")) / 1e6

    def _ask(self, sql: str) -> Any:
        return self.counter.execute(sql).fetchone()[0]

    # --- what only closingbell is asked --------------------------------------------

    def schedule_firings(self, start: float, seconds: int, series: str) -> int:
        """Schedule ten firings a second, each half second from five schedules; return how many."""
        begin = datetime.fromtimestamp(start, UTC)
        for number in range(5):
            anchor = begin + timedelta(milliseconds=100 * number + 37)
            trigger = Every(
                "500ms",
                anchor=anchor,
                start=anchor,
                end=begin + timedelta(seconds=seconds),
            )
            self.app.schedule(fired, trigger, id=f"{series}-{number}", payload={"series": series})
        return 10 * seconds

    def fill(self, schedules: int, future_runs: int) -> None:
        """Store schedules and runs that are due long after the measurement."""
        now = datetime.now(UTC)
        for number in range(schedules):
            # Spread over the day, but not over the two hours around the measurement.
            at = now + timedelta(hours=1, seconds=number * 79_000 / max(schedules, 1))
            trigger = Daily(at.time().replace(microsecond=0, tzinfo=None))
            payload = {"series": "never"}
            self.app.schedule(fired, trigger, id=f"filler-{number}", payload=payload)
        chunk = 50_000
        for start in range(0, future_runs, chunk):
            payloads: Sequence[Payload] = [
                {"i": start + i, "side": "buy", "symbol": "AAPL"} for i in range(chunk)
            ]
            later = now + timedelta(days=1, seconds=start)
            self.app.submit_many("noop", payloads, at=later)
