"""Holding a name for a moment, against all threads and processes of one store."""

from __future__ import annotations

import hashlib
import os
import re
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from closingbell.store.database import PostgresDatabase, SqliteDatabase, translated


class _Held:
    """One name in this process: who holds it may ask for it again."""

    __slots__ = ("depth", "lock")

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.depth = 0


class Holding:
    """Locks by name.

    Beside a SQLite file each name is a file of its own, which is locked while the name is
    held; on PostgreSQL it is an advisory lock of a transaction. Both end with their process.
    """

    def __init__(self, database: SqliteDatabase | PostgresDatabase) -> None:
        self._database = database
        self._names: dict[str, _Held] = {}

    @contextmanager
    def hold(self, name: str) -> Iterator[None]:
        """Wait for a name and hold it; the thread that holds it may take it again.

        Raises:
            StoreError: the database's folder cannot be written, or the server does not answer.
        """
        # Of a process only one thread waits outside, and needs a connection or a file for it.
        held = self._names.setdefault(name, _Held())
        with held.lock, ExitStack() as stack:
            if held.depth == 0:
                if isinstance(self._database, SqliteDatabase):
                    _lock_file(self._database, name, stack)
                else:
                    _lock_server(self._database, name, stack)
            held.depth += 1
            try:
                yield
            finally:
                held.depth -= 1


def lock_path(database: SqliteDatabase, name: str) -> Path:
    """Return the file that stands for a name."""
    digest = hashlib.blake2b(name.encode(), digest_size=4).hexdigest()
    plain = re.sub(r"[^A-Za-z0-9_-]", "-", name)[:40]
    return database.path.with_name(f"{database.path.name}-hold-{plain}-{digest}")


def _lock_file(database: SqliteDatabase, name: str, stack: ExitStack) -> None:
    import fcntl

    with translated():
        file = os.open(lock_path(database, name), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        # The lock belongs to this opening of the file, and ends when it is closed.
        stack.callback(os.close, file)
        fcntl.flock(file, fcntl.LOCK_EX)


def _lock_server(database: PostgresDatabase, name: str, stack: ExitStack) -> None:
    digest = hashlib.blake2b(f"closingbell:{name}".encode(), digest_size=8).digest()
    key = int.from_bytes(digest, "big", signed=True)
    with translated():
        # The rollback when the connection is given back frees the lock, however the use ended.
        connection = stack.enter_context(database.engine().connect())
        driver: Any = connection.connection.driver_connection
        # Without values and unprepared, the server keeps no snapshot while the lock is held.
        driver.execute(f"SELECT pg_advisory_xact_lock({key})", prepare=False)
