"""APScheduler 3: scheduler, SQLAlchemy store and a pool of two processes inside the client's process."""

from __future__ import annotations

import logging
import threading
from datetime import UTC, datetime
from typing import Any

import psutil
from apscheduler.events import EVENT_JOB_EXECUTED
from apscheduler.executors.pool import ProcessPoolExecutor
from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
from apscheduler.schedulers.background import BackgroundScheduler

from bench.peer import Payload, Peer


class APScheduler(Peer):
    distributions = ("apscheduler", "sqlalchemy")
    imports = "from apscheduler.schedulers.background import BackgroundScheduler"
    has_bulk = False

    async def prepare(self) -> None:
        logging.getLogger("apscheduler").setLevel(logging.CRITICAL)
        self.done = 0
        self.lock = threading.Lock()
        self.scheduler = BackgroundScheduler(
            jobstores={"default": SQLAlchemyJobStore(f"sqlite:///{self.folder}/scheduler.db")},
            executors={"default": ProcessPoolExecutor(2)},
            job_defaults={"misfire_grace_time": None},
        )
        self.scheduler.add_listener(self._count, EVENT_JOB_EXECUTED)
        self.scheduler.start(paused=True)

    def _count(self, _event: Any) -> None:
        with self.lock:
            self.done += 1

    def start_service(self, profile: str) -> None:
        self.scheduler.resume()

    def stop_service(self) -> None:
        self.scheduler.shutdown(wait=False)
        for child in psutil.Process().children(recursive=True):
            child.kill()

    async def submit(self, task: str, payload: Payload) -> None:
        self.scheduler.add_job(f"bench.bodies:{task}", args=(payload,))

    async def submit_at(self, task: str, payload: Payload, at: float) -> None:
        when = datetime.fromtimestamp(at, UTC)
        self.scheduler.add_job(f"bench.bodies:{task}", "date", run_date=when, args=(payload,))

    async def count_finished(self) -> int:
        return self.done
