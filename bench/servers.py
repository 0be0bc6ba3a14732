"""PostgreSQL with its defaults and Redis with a synchronous log, for measurements only."""

from __future__ import annotations

import contextlib
import ctypes
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
from psycopg import sql

from tests.postgres import PostgresServer

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


class DefaultPostgres(PostgresServer):
    """A server with the settings that initdb writes, on loopback TCP.

    Only where it listens is ours: fsync, synchronous_commit and shared_buffers (128 MB) are
    PostgreSQL's defaults, as is everything else.
    """

    def start(self) -> None:
        if self._process is not None:
            raise RuntimeError("the server is running already")
        if not self._data.exists():
            self._initialise()
        self.port = free_port()
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": str(self._folder),
        }
        options = [f"--{name}={value}" for name, value in settings.items()]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [str(self._programs / "postgres"), "-D", str(self._data), *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._folder,
                preexec_fn=_die_with_parent,
                **self._identity,
            )
        give_up_at = time.monotonic() + 30
        while True:
            try:
                psycopg.connect(self.loopback("postgres")).close()
            except psycopg.OperationalError as problem:
                if self._process.poll() is not None or time.monotonic() > give_up_at:
                    self.stop()
                    raise RuntimeError(f"no PostgreSQL:\n{self._log.read_text()}") from problem
                time.sleep(0.02)
            else:
                return

    def loopback(self, database: str) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    @contextlib.contextmanager
    def database(self) -> Iterator[str]:
        """Make an empty database, with a checkpoint behind it; yield its address."""
        name = f"bench_{secrets.token_hex(4)}"
        with psycopg.connect(self.loopback("postgres"), autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
            connection.execute("CHECKPOINT")
            try:
                yield self.loopback(name)
            finally:
                connection.execute(
                    sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
                )

    def about(self) -> dict[str, str]:
        """The version, and the settings that speed depends on."""
        names = ("server_version", "fsync", "synchronous_commit", "shared_buffers")
        with psycopg.connect(self.loopback("postgres")) as connection:
            found = {}
            for name in names:
                row = connection.execute(sql.SQL("SHOW {}").format(sql.SQL(name))).fetchone()
                found[name] = str(row[0]) if row else ""
            return found


class Redis:
    """A server that writes each command to its log, and the log to the disk, before it answers."""

    def __init__(self, program: str) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="closingbell-redis-"))
        self.port = free_port()
        options = {
            "bind": "127.0.0.1",
            "port": str(self.port),
            "dir": str(self._folder),
            "appendonly": "yes",
            "appendfsync": "always",
        }
        self._process = subprocess.Popen(
            [program, *(part for name, value in options.items() for part in (f"--{name}", value))],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=_die_with_parent,
        )
        self._wait()

    @property
    def address(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def _wait(self) -> None:
        give_up_at = time.monotonic() + 15
        while time.monotonic() < give_up_at:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
                return
            time.sleep(0.05)
        self.stop()
        raise RuntimeError("no Redis")

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGINT)
