"""Hub: looks at the store for all clients of this process, and tells each what it follows."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool

from closingbell.api.stream.cursor import Cursor, read_cursor
from closingbell.api.stream.frame import RETRY_MS, Frame, event, heartbeat, instant
from closingbell.api.stream.listener import Listener
from closingbell.api.stream.watch import Watch
from closingbell.core.error import ServiceBusy, StoreError, TooManyRequests
from closingbell.wire.stream import Topic

if TYPE_CHECKING:
    from closingbell.app import App

_log = logging.getLogger("closingbell")

#: Seconds between two looks at the store.
LOOK_S = 0.25
#: The same while more happens than a look takes in: clients are told to read again anyway, and
#: the processor is for those who make it happen.
BURST_LOOK_S = 1.0
#: Seconds without news after which a client hears that the connection lives.
HEARTBEAT_S = 15.0
#: Seconds between two looks at whether a client may still listen.
CHECK_S = 5.0
#: Clients at once, in all and of one principal.
MOST_CLIENTS = 500
MOST_OF_ONE = 250
#: A client that was away for longer reads everything again, in seconds.
LONGEST_AWAY_S = 3_600.0
#: Between two tries while the store does not answer, in seconds.
_TROUBLE_S = 1.0

#: Whether who listens still may.
Admitted = Callable[[], Awaitable[bool]]


class Hub:
    """The stream of one process, used on one event loop; it looks while somebody listens."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._listeners: dict[Listener, None] = {}
        self._of_one: Counter[str] = Counter()
        self._looking: asyncio.Task[None] | None = None
        self._begun: asyncio.Future[Watch] | None = None
        self._stop = asyncio.Event()
        self._ending = False

    @property
    def clients(self) -> int:
        """How many listen."""
        return len(self._listeners)

    @property
    def is_looking(self) -> bool:
        """Whether the store is looked at."""
        return self._looking is not None

    def admit(self, principal: str, topics: frozenset[Topic]) -> Listener:
        """Let a client listen; `listen` must follow.

        Raises:
            ServiceBusy: there are too many, or the service stops.
            TooManyRequests: this principal has too many.
        """
        if self._ending:
            raise ServiceBusy("the service stops", RETRY_MS / 1000)
        if len(self._listeners) >= MOST_CLIENTS:
            raise ServiceBusy(f"{MOST_CLIENTS} clients follow the stream already", 30)
        if self._of_one[principal] >= MOST_OF_ONE:
            raise TooManyRequests("streams of one token or person", 30)
        listener = Listener(principal, topics)
        self._listeners[listener] = None
        self._of_one[principal] += 1
        return listener

    async def listen(
        self, listener: Listener, last_event_id: str | None, admitted: Admitted
    ) -> AsyncIterator[bytes]:
        """Yield the stream as it is sent, until the client goes, or may listen no more."""
        try:
            yield f"retry: {RETRY_MS}\n\n".encode()
            watch = await self._watching()
            for part in await run_in_threadpool(self._opening, watch, listener, last_event_id):
                yield part
            quiet_s = 0.0
            clock = self._app.clock
            checked_at = clock.monotonic()
            while not listener.is_over:
                taken = await listener.take(CHECK_S)
                if taken:
                    quiet_s = 0.0
                    yield taken
                else:
                    quiet_s += CHECK_S
                    if quiet_s >= HEARTBEAT_S:
                        quiet_s = 0.0
                        yield heartbeat(watch.cursor)
                if clock.monotonic() - checked_at >= CHECK_S:
                    checked_at = clock.monotonic()
                    if not await admitted():
                        yield event("end", None, {"reason": "signed out"})
                        return
            yield await listener.take(0)
        finally:
            self._leave(listener)

    async def end(self) -> None:
        """Tell all clients that the service stops, and when to come again."""
        self._ending = True
        for listener in list(self._listeners):
            listener.put(event("end", None, {"reason": "the service stops"}))
            listener.end()
        self._stop.set()
        if self._looking is not None:
            await self._looking

    # --- looking ----------------------------------------------------------------------------

    def _leave(self, listener: Listener) -> None:
        if self._listeners.pop(listener, 0) is None:
            self._of_one[listener.principal] -= 1
            if not self._of_one[listener.principal]:
                del self._of_one[listener.principal]
        if not self._listeners:
            self._stop.set()

    async def _watching(self) -> Watch:
        """Return the watch once it knows how everything stands: what changes later is told."""
        if self._looking is None:
            self._stop = asyncio.Event()
            self._begun = asyncio.get_running_loop().create_future()
            self._looking = asyncio.create_task(self._look_until_stopped(self._stop, self._begun))
        begun = self._begun
        if begun is None:
            raise ServiceBusy("the stream begins", 1)
        return await asyncio.shield(begun)

    async def _look_until_stopped(self, stop: asyncio.Event, begun: asyncio.Future[Watch]) -> None:
        pause_s = LOOK_S
        watch: Watch | None = None
        while self._listeners and not self._ending:
            stop.clear()
            try:
                if watch is None:
                    watch = await run_in_threadpool(self._begin)
                    begun.set_result(watch)
                else:
                    frame = await run_in_threadpool(watch.step)
                    if frame is not None:
                        self._tell(frame)
                pause_s = LOOK_S if watch.saw_all else BURST_LOOK_S
            except StoreError as problem:
                pause_s = _TROUBLE_S
                _log.debug("the stream waits for the store: %s", problem)
            except Exception:
                pause_s = _TROUBLE_S
                _log.exception("the stream cannot look at the store")
            try:
                await asyncio.wait_for(stop.wait(), pause_s)
            except TimeoutError:
                continue
        self._looking = None
        if not begun.done():
            begun.cancel()

    def _begin(self) -> Watch:
        watch = Watch(self._app.store, self._app.clock)
        watch.begin()
        return watch

    def _tell(self, frame: Frame) -> None:
        for listener in list(self._listeners):
            written = frame.written(listener.topics)
            if written is not None and not listener.is_over and not listener.put(written):
                _log.warning("a client of the stream does not read, and is let go")

    # --- the beginning of one client's stream ---------------------------------------------------

    def _opening(self, watch: Watch, listener: Listener, last_event_id: str | None) -> list[bytes]:
        parts: list[bytes] = []
        place = watch.cursor
        if last_event_id:
            refusal = self._refusal(watch, last_event_id)
            if refusal is None:
                cursor = read_cursor(last_event_id)
                frame = None if cursor is None else watch.catch_up(cursor)
                written = None if frame is None else frame.written(listener.topics)
                if written is not None:
                    parts.append(written)
            else:
                parts.append(event("reset", place, {"reason": refusal}))
        running = watch.running() if Topic.RUNS in listener.topics else None
        data: dict[str, Any] = {"at": instant(place.at), "running": running}
        return [*parts, event("ready", place, data)]

    def _refusal(self, watch: Watch, last_event_id: str) -> str | None:
        cursor = read_cursor(last_event_id)
        place: Cursor = watch.cursor
        if cursor is None:
            return "this place cannot be read"
        if cursor.store != place.store:
            return "this place is of another store"
        longest = round(LONGEST_AWAY_S * max(1.0, self._app.clock.speed) * 1_000_000)
        if not place.at - longest <= cursor.at <= place.at + longest:
            return "this place is too long ago"
        if cursor.record > place.record:
            return "this place is of another store"
        return None
