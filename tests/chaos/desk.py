"""The desk that the chaos tests kill: every result says which claim made it."""

from __future__ import annotations

import asyncio
import os
import time
from datetime import timedelta

from closingbell import Context, RetryPolicy, create_app

#: Killed workers are no failure of the task: no run may run out of attempts here.
PATIENT = RetryPolicy(
    retries=10_000, initial_delay=timedelta(milliseconds=10), max_delay=timedelta(seconds=1)
)

app = create_app(
    os.environ["CHAOS_DATABASE"],
    lease_s=1.0,
    poison_after=10_000,
    grace_s=1.0,
    async_slots=32,
    thread_slots=4,
    process_slots=1,
)


@app.task(retries=PATIENT)
async def quick(context: Context, n: int) -> dict[str, int]:
    """End at once."""
    return {"n": n, "fence": context.fence}


@app.task(retries=PATIENT)
async def waiting(context: Context, n: int) -> dict[str, int]:
    """Hold a place for a while."""
    await asyncio.sleep(0.15)
    return {"n": n, "fence": context.fence}


@app.task(retries=PATIENT, max_concurrent=2)
def limited(context: Context, n: int) -> dict[str, int]:
    """Run in a thread, never more than two at once on the whole store."""
    time.sleep(0.02)
    return {"n": n, "fence": context.fence}


@app.task(retries=PATIENT, executor="process")
def apart(context: Context, n: int) -> dict[str, int]:
    """Run in a child process."""
    return {"n": n, "fence": context.fence}


@app.task(interval="100ms", catch_up="all", overlap="allow", retries=PATIENT)
async def tick(context: Context) -> dict[str, int]:
    """Fire on a grid that two schedulers share."""
    return {"n": 0, "fence": context.fence}


if __name__ == "__main__":
    app.start(block=False)
    print("ready", flush=True)
    app.wait()
