"""Guardian: a small process that keeps a worker's lease while the worker cannot.

A handler that holds the interpreter's lock, as in a long call into C, stops every
thread of its process, the heartbeat too. The guardian is a process of its own and
goes on beating for it, as long as the worker's process lives and is not silent for
longer than it announced.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from closingbell.store.database import PostgresDatabase, SqliteDatabase, open_database

_CHILD = Path(__file__).with_name("guardian_child.py")
#: How long a child may take to end when it is told to, in seconds.
_FAREWELL_S = 2.0


class Guardian:
    """The worker's side of its guardian; the `Guardian` of the port."""

    def __init__(self, address: str, worker_id: str, lease_s: float) -> None:
        """Start the guardian; returns before it is up.

        Args:
            address: of the database, as SQLAlchemy reads it.
            worker_id: of a registered worker.
            lease_s: how long its lease lasts, in seconds; it is extended every third of that.
        """
        self._lock = threading.Lock()
        self._stopped = False
        # The password travels through the pipe: a command line is for everybody to read.
        self._order = json.dumps(
            {
                **_target(open_database(address)),
                "worker": worker_id,
                "lease_us": round(lease_s * 1_000_000),
                "parent": os.getpid(),
                "package": str(Path(__file__).parent.parent),
                "path": sys.path,
            }
        )
        self._child = self._start()

    @property
    def pid(self) -> int:
        """The process id of the guardian."""
        return self._child.pid

    def _start(self) -> subprocess.Popen[bytes]:
        # No site-packages and no environment: it starts in milliseconds and stays small.
        child = subprocess.Popen(  # noqa: S603  (our own interpreter and our own file)
            [sys.executable, "-I", "-S", str(_CHILD)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            start_new_session=True,
        )
        self._write(child, self._order)
        if child.stdin is not None:
            # A guardian that hangs must not hang its worker.
            os.set_blocking(child.stdin.fileno(), False)
        return child

    def pulse(self, silence_s: float) -> None:
        """Say that the worker lives, and for how long it may now be silent.

        A guardian that died is replaced.
        """
        with self._lock:
            if self._stopped:
                return
            if self._child.poll() is not None:
                self._close()
                self._child = self._start()
            self._write(self._child, repr(float(silence_s)))

    def stop(self) -> None:
        """End the guardian and wait for it; idempotent."""
        with self._lock:
            self._stopped = True
            self._close()
            try:
                self._child.wait(timeout=_FAREWELL_S)
            except subprocess.TimeoutExpired:
                self._child.kill()
                self._child.wait()

    def _close(self) -> None:
        if self._child.stdin is not None:
            with contextlib.suppress(OSError):
                self._child.stdin.close()

    @staticmethod
    def _write(child: subprocess.Popen[bytes], line: str) -> None:
        if child.stdin is not None:
            with contextlib.suppress(OSError):
                child.stdin.write(line.encode() + b"\n")


def _target(database: SqliteDatabase | PostgresDatabase) -> dict[str, Any]:
    if isinstance(database, SqliteDatabase):
        return {"dialect": "sqlite", "target": str(database.path)}
    from closingbell.store.postgres_link import conninfo

    return {"dialect": "postgresql", "target": conninfo(database), "libpq": _libpq()}


def _libpq() -> str | None:
    """Return the client library that psycopg brought along, if it did."""
    spec = importlib.util.find_spec("psycopg_binary")
    if spec is None or spec.origin is None:
        return None
    package = Path(spec.origin).parent
    for folder in (package.parent / "psycopg_binary.libs", package / ".dylibs"):
        found = sorted(folder.glob("libpq[-.]*"))
        if found:
            return str(found[0])
    return None
