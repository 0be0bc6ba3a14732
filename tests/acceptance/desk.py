"""What the acceptance tests share: an app on a given store, and signals instead of sleeps."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from closingbell import create_app
from closingbell.app import App
from closingbell.core.clock import Clock, SimulatedClock
from closingbell.core.run import Run

T = TypeVar("T")
P = ParamSpec("P")

#: How long anything may take before a test says that it never happened.
PATIENCE_S = 10.0
#: A Monday.
START = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)


class StandingClock(SimulatedClock):
    """The desk's time moves when the test says so; the machine's goes on, as threads need it."""

    def monotonic(self) -> float:
        return time.monotonic()

    def machine_micros(self) -> int:
        return time.time_ns() // 1000


def make_app(address: str, clock: Clock | None = None, **settings: Any) -> App:
    """An app without the guardian process, which tests of its own look after."""
    return create_app(address, clock=clock, **{"guardian": False, **settings})


def in_loop(test: Callable[P, Awaitable[None]]) -> Callable[P, None]:
    """Run an async test on an event loop of its own."""

    @wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        async def whole() -> None:
            await test(*args, **kwargs)

        asyncio.run(whole())

    return run


def eventually(look: Callable[[], T], what: str = "") -> T:
    """Return the first true answer of `look`; for what happens in another process or thread."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.005)
    raise AssertionError(f"it never happened: {what or look}")


def reached(app: App, run_id: str, until: Callable[[Run], bool]) -> Run:
    """The run, once `until` is true of it; waits in real seconds whatever the app's clock does."""

    def look() -> Run | None:
        run = app.get_run(run_id)
        return run if until(run) else None

    found = eventually(look, f"run {run_id} in the awaited state")
    assert found is not None
    return found


def ended(app: App, run_id: str) -> Run:
    """The run, once it has ended."""
    return reached(app, run_id, lambda run: run.state.is_final)


class Gate:
    """A handler waits here until the test opens it; the test waits until somebody came."""

    def __init__(self) -> None:
        self._came = threading.Semaphore(0)
        self._open = threading.Event()

    def arrive(self) -> None:
        self._came.release()

    def pass_through(self) -> None:
        self.arrive()
        assert self._open.wait(PATIENCE_S), "the test never opened the gate"

    def wait_arrival(self) -> None:
        assert self._came.acquire(timeout=PATIENCE_S), "nobody came to the gate"

    def open(self) -> None:
        self._open.set()
