"""The store goes away while work is under way, and comes back."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from closingbell import App, RunState, create_app
from closingbell.core.error import StoreUnavailable
from tests.postgres import PostgresServer


def desk_of(address: str, lease_s: float = 30.0) -> tuple[App, threading.Event]:
    """Return an app with a quick task and one that ends when the event is set."""
    app = create_app(address, lease_s=lease_s, guardian=False)
    released = threading.Event()

    @app.task
    async def quick(n: int) -> int:
        return n

    @app.task(retries=3)
    async def held() -> str:
        while not await asyncio.to_thread(released.wait, 0.05):
            pass
        return "done"

    return app, released


def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


@contextmanager
def missing(path: Path) -> Iterator[None]:
    """Take a database file away, and put it back."""
    aside = path.with_suffix(".aside")
    path.rename(aside)
    try:
        yield
    finally:
        aside.rename(path)


def test_sqlite_file_that_is_gone_refuses_submissions_until_it_is_back(tmp_path: Path) -> None:
    """What ran meanwhile settles afterwards; nothing is lost."""
    path = tmp_path / "desk.db"
    app, released = desk_of(f"sqlite:///{path}")
    with app.running():
        held = app.submit("held")
        until(lambda: held.status is RunState.RUNNING)
        with missing(path):
            with pytest.raises(StoreUnavailable, match="is gone"):
                app.submit("quick", {"n": 1})
            released.set()
            time.sleep(0.3)
        assert held.result(10) == "done"
        assert held.run.fence == 1
        assert app.submit("quick", {"n": 2}).result(10) == 2


def test_postgres_that_restarts_keeps_every_run(own_postgres: PostgresServer) -> None:
    """A short outage costs no attempt: the lease outlives it."""
    app, released = desk_of(own_postgres.address(own_postgres.create_database()))
    with app.running():
        held = app.submit("held")
        ids = app.submit_many("quick", [{"n": n} for n in range(500)])
        until(lambda: held.status is RunState.RUNNING)
        own_postgres.stop(crash=True)
        with pytest.raises(StoreUnavailable):
            app.submit("quick", {"n": -1})
        released.set()
        time.sleep(0.5)
        own_postgres.start()
        until(lambda: app.store.runs.counts()["success"] == 501)
        assert held.run.fence == 1
        assert {app.handle(run_id).result(10) for run_id in ids} == set(range(500))
        assert app.submit("quick", {"n": 7}).result(10) == 7


def test_outage_longer_than_the_lease_makes_a_new_worker_that_goes_on(
    own_postgres: PostgresServer,
) -> None:
    """A worker stops its own runs before another may take them; the run is made good."""
    app, released = desk_of(own_postgres.address(own_postgres.create_database()), lease_s=1.0)
    with app.running():
        held = app.submit("held")
        until(lambda: held.status is RunState.RUNNING)
        first = held.run.worker_id
        own_postgres.stop(crash=True)
        time.sleep(2.5)
        own_postgres.start()
        released.set()
        assert held.result(30) == "done"
        run = held.run
        assert run.worker_id != first
        assert [attempt.outcome for attempt in run.attempts] == ["lost", "returned"]
        assert app.submit("quick", {"n": 7}).result(10) == 7
