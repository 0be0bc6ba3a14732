"""LoopThread: an event loop on a thread of its own."""

from __future__ import annotations

import asyncio
import threading


def new_event_loop() -> asyncio.AbstractEventLoop:
    """Return a new event loop: uvloop's where it is installed, else asyncio's."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


class LoopThread:
    """An event loop that runs on a daemon thread between `start` and `stop`."""

    def __init__(self, name: str = "closingbell-loop") -> None:
        self._name = name
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop; made by the first use, running after `start`."""
        if self._loop is None:
            self._loop = new_event_loop()
        return self._loop

    def start(self) -> None:
        """Run the loop; returns once it runs."""
        loop = self.loop
        running = threading.Event()
        loop.call_soon(running.set)
        self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        self._thread.start()
        running.wait()

    def stop(self, wait_s: float = 1.0) -> bool:
        """End the loop and its thread.

        Args:
            wait_s: how long a handler that blocks the loop is waited for.

        Returns:
            Whether it ended; a loop that is blocked cannot be ended and is left behind.
        """
        thread, loop = self._thread, self._loop
        if thread is None or loop is None:
            return True
        if thread.is_alive():
            loop.call_soon_threadsafe(loop.stop)
            thread.join(wait_s)
        return not thread.is_alive()

    def _run(self) -> None:
        loop = self.loop
        asyncio.set_event_loop(loop)
        try:
            loop.run_forever()
            loop.run_until_complete(loop.shutdown_asyncgens())
        finally:
            asyncio.set_event_loop(None)
            loop.close()
