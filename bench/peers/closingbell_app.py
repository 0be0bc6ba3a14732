"""closingbell's tasks under measurement, and the app of a worker in a process of its own."""

from __future__ import annotations

import os
import time

import closingbell
from bench import bodies


async def noop(payload: dict[str, object]) -> int:
    return 1


async def stamp(payload: dict[str, object]) -> int:
    return bodies.stamp(payload)


async def fired(payload: dict[str, str], context: closingbell.Context) -> int:
    began = time.time()
    assert context.fire_at is not None
    bodies.write_stamp(payload["series"], context.fire_at.timestamp(), began)
    return 1


def burn(payload: dict[str, int]) -> int:
    return bodies.burn(payload)


def make_app(database: str) -> closingbell.App:
    """The defaults, but for the two children that stand for the peers' two processes."""
    app = closingbell.create_app(database, process_slots=2)
    for handler in (noop, stamp, fired):
        app.task(handler)
    app.task(executor="process")(burn)
    return app


if "BENCH_DATABASE" in os.environ:
    app = make_app(os.environ["BENCH_DATABASE"])
