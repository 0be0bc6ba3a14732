"""A worker without a scheduler, and one on a clock that stands still."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial

from closingbell import RetryPolicy, RunHandle, create_app
from closingbell.core.clock import SimulatedClock


def test_worker_alone_runs_what_was_delayed_and_what_must_be_tried_again(
    store_address: str,
) -> None:
    """It fires no schedule, and needs nobody to promote its retries."""
    app = create_app(store_address, guardian=False)
    tries: list[int] = []

    @app.task(retries=RetryPolicy(retries=2, initial_delay=timedelta(milliseconds=20)))
    async def flaky() -> str:
        tries.append(1)
        if len(tries) < 3:
            raise ConnectionError("not yet")
        return "done"

    @app.task
    async def later() -> str:
        return "late"

    @app.task(interval="50ms")
    async def tick() -> None: ...

    with app.running(scheduler=False):
        delayed = app.submit("later", delay=0.1)
        assert app.submit("flaky").result(10) == "done"
        assert delayed.result(10) == "late"
        assert app.list_runs(task="tick") == []


def test_run_on_a_standing_clock_is_settled_without_waiting_for_time_to_pass(
    sqlite_address: str,
) -> None:
    """Settlements that ride along with the next submission must not wait for one for ever."""
    clock = SimulatedClock(datetime(2026, 11, 27, 17, 0, tzinfo=UTC))
    app = create_app(sqlite_address, clock=clock, guardian=False)

    @app.task
    async def quick(n: int) -> int:
        return n

    with app.running():
        for n in range(20):
            handle = app.submit("quick", {"n": n})
            wait_until(partial(_has_ended, handle))


def _has_ended(handle: RunHandle) -> bool:
    return handle.status.is_final


def wait_until(reached: Callable[[], bool]) -> None:
    """Wait in real time."""
    deadline = time.monotonic() + 10
    while not reached():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.002)
