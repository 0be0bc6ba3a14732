"""The guardian's own process: run as a file, with the standard library alone.

Its orders come through stdin: one line of JSON, then one number for each pulse of
the worker, the seconds for which it may be silent from then on. When stdin ends,
the worker is gone, and so is its guardian, at once and without another beat.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import json
import os
import select
import sqlite3
import sys
import types
from typing import Any, Protocol


class _Store(Protocol):
    def beat(self) -> bool:
        """Extend the lease; False when there is nothing left to extend."""
        ...


class _Sqlite:
    """Beats on a SQLite file, in the machine's time as its workers do."""

    def __init__(self, orders: dict[str, Any], clock: Any) -> None:
        # Not created when it is gone: whoever moved it may put it back.
        self._uri = "file:" + orders["target"].replace("%", "%25").replace("?", "%3f") + "?mode=rw"
        self._orders = orders
        self._clock = clock

    def beat(self) -> bool:
        store = sqlite3.connect(self._uri, uri=True, timeout=2.0, isolation_level=None)
        try:
            # A lease need not outlive a power cut.
            store.execute("PRAGMA synchronous=NORMAL")
            now = self._clock.machine_micros()
            extended = store.execute(
                "UPDATE workers SET seen_at = ?, lease_until = ? WHERE id = ? AND state = 'alive'",
                (now, now + self._orders["lease_us"], self._orders["worker"]),
            )
            return extended.rowcount == 1
        finally:
            store.close()


class _Postgres:
    """Beats on PostgreSQL through libpq itself, in the server's time; psycopg weighs 25 MB."""

    _BEAT = (
        b"UPDATE workers SET seen_at = t.now, lease_until = t.now + $2::bigint"
        b" FROM (SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now) AS t"
        b" WHERE id = $1 AND state = 'alive'"
    )

    def __init__(self, orders: dict[str, Any], library: str) -> None:
        self._pq = pq = ctypes.CDLL(library)
        pq.PQconnectdb.restype = pq.PQexecParams.restype = ctypes.c_void_p
        pq.PQexec.restype = ctypes.c_void_p
        pq.PQcmdTuples.restype = ctypes.c_char_p
        self._target = orders["target"].encode()
        self._values = (ctypes.c_char_p * 2)(
            orders["worker"].encode(), str(orders["lease_us"]).encode()
        )
        self._connection: ctypes.c_void_p | None = None

    def _connect(self) -> ctypes.c_void_p:
        os.environ.setdefault("PGCONNECT_TIMEOUT", "3")
        os.environ.setdefault("PGAPPNAME", "closingbell guardian")
        pq = self._pq
        connection = ctypes.c_void_p(pq.PQconnectdb(self._target))
        if pq.PQstatus(connection) != 0:
            pq.PQfinish(connection)
            raise OSError("the server does not answer")
        for setting in (b"SET statement_timeout = 3000", b"SET synchronous_commit = off"):
            pq.PQclear(ctypes.c_void_p(pq.PQexec(connection, setting)))
        return connection

    def beat(self) -> bool:
        pq = self._pq
        if self._connection is None:
            self._connection = self._connect()
        result = ctypes.c_void_p(
            pq.PQexecParams(self._connection, self._BEAT, 2, None, self._values, None, None, 0)
        )
        done = pq.PQresultStatus(result) == 1
        extended = bool(pq.PQcmdTuples(result) == b"1")
        pq.PQclear(result)
        if not done:
            pq.PQfinish(self._connection)
            self._connection = None
            raise OSError("the beat failed")
        return extended


class _Psycopg:
    """Beats on PostgreSQL where psycopg has no client library of its own to lend."""

    def __init__(self, orders: dict[str, Any]) -> None:
        sys.path[:] = orders["path"]
        self._orders = orders
        self._connection: Any = None

    def beat(self) -> bool:
        import psycopg

        try:
            if self._connection is None:
                self._connection = psycopg.connect(
                    self._orders["target"], autocommit=True, connect_timeout=3
                )
            statement = (
                _Postgres._BEAT.decode().replace("$2", "%(lease)s").replace("$1", "%(worker)s")
            )
            values = {"lease": self._orders["lease_us"], "worker": self._orders["worker"]}
            return bool(self._connection.execute(statement, values).rowcount == 1)
        except psycopg.Error:
            self._connection = None
            raise


def _store_of(orders: dict[str, Any], clock: Any) -> _Store:
    if orders["dialect"] == "sqlite":
        return _Sqlite(orders, clock)
    for library in (orders["libpq"], ctypes.util.find_library("pq")):
        if library:
            try:
                return _Postgres(orders, library)
            except (OSError, AttributeError):
                continue
    return _Psycopg(orders)


class _Pipe:
    """What the worker says."""

    def __init__(self) -> None:
        self._rest = b""

    def lines(self, timeout_s: float) -> list[bytes] | None:
        """Return the lines that arrive within a time; None when the worker is gone."""
        ready, _, _ = select.select([0], [], [], max(timeout_s, 0.0))
        if not ready:
            return []
        data = os.read(0, 65_536)
        if not data:
            return None
        *lines, self._rest = (self._rest + data).split(b"\n")
        return lines


def _clock(package: str) -> Any:
    # The package's own __init__ loads what a guardian never needs.
    house = types.ModuleType("closingbell")
    house.__path__ = [package]
    sys.modules["closingbell"] = house
    from closingbell.core.clock import SystemClock

    return SystemClock()


def main() -> None:
    """Beat until the worker is gone, dead or silent for too long."""
    pipe = _Pipe()
    heard: list[bytes] = []
    while not heard:
        more = pipe.lines(60.0)
        if more is None:
            return
        heard = more
    orders = json.loads(heard.pop(0))
    clock = _clock(orders["package"])
    store = _store_of(orders, clock)
    every = orders["lease_us"] / 3_000_000
    silent_until = clock.monotonic() + 3 * every
    next_beat = clock.monotonic() + every
    while True:
        for line in heard:
            silent_until = clock.monotonic() + float(line)
        now = clock.monotonic()
        if now >= next_beat:
            # A pipe that a grandchild holds open does not end with the worker.
            if os.getppid() != orders["parent"]:
                return
            next_beat = now + every
            if now < silent_until:
                try:
                    if not store.beat():
                        return
                except Exception:
                    next_beat = now + min(1.0, every / 3)
        more = pipe.lines(next_beat - clock.monotonic())
        if more is None:
            return
        heard = more


if __name__ == "__main__":
    main()
