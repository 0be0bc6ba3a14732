"""Hints between processes: NOTIFY says that there may be something to claim.

PostgreSQL holds one lock of the whole database while a transaction that
notifies commits. So no submission notifies: a thread does, on a connection that
does not wait for the disk, the first time at once and then every few
milliseconds at most, however much was submitted meanwhile.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import threading
from collections.abc import Callable
from typing import Any

from closingbell.core.clock import Clock
from closingbell.core.error import StoreError
from closingbell.store.database import PostgresDatabase
from closingbell.store.postgres_link import Link

_log = logging.getLogger("closingbell.store")

CHANNEL = "closingbell"
#: Two hints of one process are at least so far apart, in seconds.
_PAUSE_S = 0.005
#: A listener that heard nothing for so long asks itself whether it still hears, in seconds.
_PING_S = 15.0
_ANSWER_S = 5.0
_BACKOFF_S = (0.1, 0.25, 0.5, 1.0, 2.0)


class Notifier:
    """Tells other processes; `hint` returns at once and may be called from any thread."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._link = Link(database, durable=False)
        self._wanted = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def hint(self) -> None:
        """Say that something was submitted."""
        if self._wanted.is_set():
            return
        self._wanted.set()
        if self._thread is None:
            with self._lock:
                if self._thread is None:
                    self._thread = threading.Thread(
                        target=self._tell, name="closingbell-notify", daemon=True
                    )
                    self._thread.start()

    def _tell(self) -> None:
        while True:
            self._wanted.wait()
            self._wanted.clear()
            # A hint that cannot be sent is not missed: who waits also polls.
            with contextlib.suppress(StoreError), self._link.open() as connection:
                connection.execute(f"NOTIFY {CHANNEL}")
            if self._stopping.wait(_PAUSE_S) and not self._wanted.is_set():
                self._link.close()
                return

    def close(self) -> None:
        """Send what is left to send, and end."""
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is not None:
            self._stopping.set()
            self._wanted.set()
            thread.join(timeout=2.0)
            self._stopping.clear()
            self._wanted.clear()


class Listener:
    """Hears other processes, on a connection of its own that is made again when it is deaf."""

    def __init__(self, database: PostgresDatabase, clock: Clock, heard: Callable[[], None]) -> None:
        self._link = Link(database, durable=False)
        self._clock = clock
        self._heard = heard
        self._own = f"{CHANNEL}_{os.urandom(8).hex()}"
        self._stop_read, self._stop_write = os.pipe()
        self._stopped = threading.Event()
        #: Whether hints arrive at present.
        self.hears = False
        self._thread = threading.Thread(target=self._run, name="closingbell-listen", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End, and wait for it."""
        if self._stopped.is_set():
            return
        self._stopped.set()
        os.write(self._stop_write, b"x")
        self._thread.join(timeout=5.0)
        if not self._thread.is_alive():
            os.close(self._stop_read)
            os.close(self._stop_write)

    def _run(self) -> None:
        failures = 0
        while not self._stopped.is_set():
            try:
                with self._link.open() as connection:
                    connection.execute(f"LISTEN {CHANNEL}")
                    connection.execute(f"LISTEN {self._own}")
                    self.hears = True
                    failures = 0
                    # What was submitted while nobody listened.
                    self._heard()
                    self._listen(connection)
            except StoreError as problem:
                if failures == 0 and not self._stopped.is_set():
                    _log.info("no hints from other processes, polling only: %s", problem)
            self.hears = False
            self._link.close()
            self._stopped.wait(_BACKOFF_S[min(failures, len(_BACKOFF_S) - 1)])
            failures += 1

    def _listen(self, connection: Any) -> None:
        wire = connection.pgconn
        asked = False
        while True:
            ready, _, _ = select.select(
                [wire.socket, self._stop_read], [], [], _ANSWER_S if asked else _PING_S
            )
            if self._stop_read in ready:
                return
            if not ready:
                if asked:
                    # A pooler in between may swallow notifications while all else works.
                    _log.warning("hints from other processes do not arrive; listening anew")
                    return
                connection.execute(f"NOTIFY {self._own}")
                asked = True
            else:
                wire.consume_input()
            while (notice := wire.notifies()) is not None:
                asked = False
                if notice.relname == CHANNEL.encode():
                    self._heard()
