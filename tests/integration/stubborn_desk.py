"""A desk whose handlers behave badly; the liveness tests run it in processes of its own."""

from __future__ import annotations

import asyncio
import ctypes
import os
import time
from pathlib import Path

from closingbell import Context, create_app

app = create_app(os.environ["STUBBORN_DATABASE"], lease_s=1.0, process_slots=1, thread_slots=4)


@app.task(retries=0)
async def blocks_the_loop(seconds: float) -> str:
    """Hold the event loop, as a forgotten `time.sleep` does."""
    time.sleep(seconds)  # noqa: ASYNC251
    return "done"


@app.task(retries=0, executor="thread")
def holds_the_interpreter(seconds: int) -> str:
    """Hold the interpreter's lock in C: no thread of this process moves meanwhile."""
    ctypes.PyDLL(None).sleep(seconds)
    return "done"


@app.task(retries=0, executor="process", timeout=1.0)
def never_returns(path: str) -> None:
    """Say which process this is, then hang."""
    Path(path).write_text(str(os.getpid()))
    while True:
        time.sleep(60)


@app.task(retries=0)
async def async_neighbour(seconds: float) -> str:
    """Wait on the loop."""
    await asyncio.sleep(seconds)
    return "done"


@app.task(retries=0, executor="thread")
def thread_neighbour(context: Context, seconds: float) -> str:
    """Wait in a thread."""
    context.wait_cancelled(seconds)
    return "done"


if __name__ == "__main__":
    app.start(block=False)
    print("ready", flush=True)
    app.wait()
