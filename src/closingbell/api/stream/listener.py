"""Listener: one client of the stream, and what it was not sent yet."""

from __future__ import annotations

import asyncio
from collections import deque

from closingbell.wire.stream import Topic

#: What may wait for a client that reads slowly; who is further behind comes again.
MOST_WAITING_BYTES = 512 * 1024


class Listener:
    """One client; used on the event loop only."""

    def __init__(self, principal: str, topics: frozenset[Topic]) -> None:
        """Make a client of somebody who follows some topics."""
        self.principal = principal
        self.topics = topics
        self._waiting: deque[bytes] = deque()
        self._bytes = 0
        self._news = asyncio.Event()
        self.is_over = False

    def put(self, written: bytes) -> bool:
        """Keep something to send; False when too much waits already, and the client is let go."""
        if self._waiting and self._bytes + len(written) > MOST_WAITING_BYTES:
            self._waiting.clear()
            self.end()
            return False
        self._waiting.append(written)
        self._bytes += len(written)
        self._news.set()
        return True

    def end(self) -> None:
        """Send what waits, and nothing more."""
        self.is_over = True
        self._news.set()

    async def take(self, timeout_s: float) -> bytes:
        """Return what waits, all at once; b"" when nothing came in time or all is over."""
        if not self._waiting and not self.is_over:
            try:
                await asyncio.wait_for(self._news.wait(), timeout_s)
            except TimeoutError:
                return b""
        self._news.clear()
        taken = b"".join(self._waiting)
        self._waiting.clear()
        self._bytes = 0
        return taken
