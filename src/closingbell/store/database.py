"""One database: its address, its connections, and its failures as our errors."""

from __future__ import annotations

import os
import re
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from closingbell.core.error import (
    SettingError,
    StoreError,
    StoreFull,
    StoreReadOnly,
    StoreUnavailable,
)

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

#: The file that `create_app()` uses when no database is named.
DEFAULT_FILE = "closingbell.db"
_EXPECTED = "an address such as 'sqlite:///desk.db' or 'postgresql://user@host/name'"


def read_address(database: str | Path | None) -> tuple[str, str]:
    """Return (dialect, SQLAlchemy address) of a database as users write it.

    Args:
        database: None for one SQLite file in the working folder, a path, or an address.

    Raises:
        SettingError: it is neither SQLite nor PostgreSQL, or has no file or database name.
    """
    if database is None:
        return "sqlite", f"sqlite:///{DEFAULT_FILE}"
    if isinstance(database, Path):
        return "sqlite", f"sqlite:///{database}"
    text = database.strip()
    if ":" not in text and text:
        return "sqlite", f"sqlite:///{text}"
    match = re.match(r"(sqlite|postgres|postgresql)(?:\+\w+)?(:.*)", text, re.ASCII | re.DOTALL)
    if match is None:
        raise SettingError("database", _masked(text), _EXPECTED)
    if match[1] == "sqlite":
        path = re.sub(r"^://(localhost)?/?", "", match[2]).split("?")[0]
        if path in ("", ":memory:") or not match[2].startswith("://"):
            raise SettingError(
                "database", text, _EXPECTED + " (a store in memory would lose its runs)"
            )
        return "sqlite", "sqlite" + match[2]
    if not match[2].startswith("://"):
        raise SettingError("database", _masked(text), _EXPECTED)
    return "postgresql", "postgresql+psycopg" + match[2]


def _masked(address: str) -> str:
    return re.sub(r"(://[^:@/]*):[^@/]*@", r"\1:***@", address)


class Database(Protocol):
    """Connections to one database; safe to use from any thread."""

    dialect: str
    #: The address without its password.
    label: str

    def reading(self) -> AbstractContextManager[Connection]:
        """Open a connection for reading one consistent snapshot."""
        ...

    def writing(self, *, news: bool = False) -> AbstractContextManager[Connection]:
        """Open a transaction that commits at the end, or rolls back on an error.

        Args:
            news: whether other processes should hear of it at once, because there may be
                something for them to run or to plan.
        """
        ...

    def close(self) -> None:
        """Give all connections back; the next use opens new ones."""
        ...


class SqliteDatabase:
    """A SQLite file: any number of readers, and one pen that writes.

    Whoever holds `pen` may use `writer()`, the one connection that writes in this
    process. Other processes are kept out by BEGIN IMMEDIATE and waited for.
    """

    dialect = "sqlite"

    def __init__(self, address: str, busy_timeout_s: float = 10.0) -> None:
        from sqlalchemy.engine import make_url

        self.address = address
        self.label = address
        self.path = Path(make_url(address).database or DEFAULT_FILE).absolute()
        self.pen = threading.RLock()
        self._busy_timeout_s = busy_timeout_s
        self._engine: Engine | None = None
        self._writer: Connection | None = None
        self._identity: tuple[int, int] | None = None
        self._lock = threading.Lock()

    def engine(self) -> Engine:
        """Return the engine, made on first use."""
        with self._lock:
            if self._engine is None:
                self._engine = self._make_engine()
                weakref.finalize(self, self._engine.dispose)
            return self._engine

    def _make_engine(self) -> Engine:
        import sqlite3

        from sqlalchemy import create_engine, event
        from sqlalchemy.pool import QueuePool

        if sqlite3.sqlite_version_info < (3, 38):
            raise StoreError(
                f"SQLite {sqlite3.sqlite_version} is too old: expected 3.38 or newer "
                "with this Python; use a newer Python build or PostgreSQL"
            )
        engine = create_engine(
            self.address,
            poolclass=QueuePool,
            pool_size=8,
            max_overflow=16,
            connect_args={
                "check_same_thread": False,
                "timeout": self._busy_timeout_s,
                "isolation_level": None,
            },
        )

        @event.listens_for(engine, "connect")
        def configure(connection: Any, _record: Any) -> None:
            # FULL: a committed run is on the disk, also through a power cut.
            for pragma in (
                "journal_mode=WAL",
                "synchronous=FULL",
                "cache_size=-32000",
                "temp_store=MEMORY",
                "wal_autocheckpoint=4000",
            ):
                connection.execute(f"PRAGMA {pragma}")

        @event.listens_for(engine, "begin")
        def begin(connection: Connection) -> None:
            # A read that turns into a write later fails at once, whatever the busy timeout.
            writes = connection.get_execution_options().get("closingbell_writes", False)
            connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

        return engine

    def writer(self) -> Connection:
        """Return the connection that writes; the caller holds `pen`."""
        self._look_at_file()
        if self._writer is None:
            with self._opening():
                self._writer = self.engine().connect().execution_options(closingbell_writes=True)
            self._remember_file()
        return self._writer

    def driver(self) -> Any:
        """Return the writer's sqlite3 connection; the caller holds `pen`."""
        return self.writer().connection.driver_connection

    def _look_at_file(self) -> None:
        # SQLite would make a new file, and go on writing to one that was moved away.
        if self._identity is None:
            return
        try:
            stat = self.path.stat()
        except OSError as problem:
            raise StoreUnavailable(
                f"the database file {self.path} is gone ({problem.strerror}): put it back, "
                "and the work goes on"
            ) from problem
        if (stat.st_dev, stat.st_ino) != self._identity:
            with self.pen:
                self.close()
                self._identity = None

    def _remember_file(self) -> None:
        if self._identity is None:
            stat = self.path.stat()
            self._identity = (stat.st_dev, stat.st_ino)

    @contextmanager
    def _opening(self) -> Iterator[None]:
        try:
            with translated():
                yield
        except StoreUnavailable as problem:
            # SQLite's word for a read-only disk too: readers share a file that they must make.
            if self.path.exists() and not os.access(self.path.parent, os.W_OK):
                raise StoreReadOnly(
                    f"the database cannot be written: {self.path.parent} is read-only"
                ) from problem
            raise

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        self._look_at_file()
        with self._opening(), self.engine().connect() as connection:
            self._remember_file()
            yield connection

    @contextmanager
    def writing(self, *, news: bool = False) -> Iterator[Connection]:
        # News needs no telling: other processes look at the file's version all the time.
        with self.pen, translated():
            writer = self.writer()
            with writer.begin():
                yield writer

    def close(self) -> None:
        with self.pen:
            if self._writer is not None:
                self._writer.close()
                self._writer = None
            with self._lock:
                engine, self._engine = self._engine, None
            if engine is not None:
                engine.dispose()


def _nobody_asks(_news: bool) -> None:
    """Take no note of a write."""


class PostgresDatabase:
    """A PostgreSQL database reached through a pool."""

    dialect = "postgresql"

    def __init__(self, address: str, pool_size: int = 8) -> None:
        self.address = address
        self.label = _masked(address)
        #: Told, from any thread, after each transaction of `writing` that was committed,
        #: whether it was news.
        self.on_write: Callable[[bool], None] = _nobody_asks
        self._pool_size = pool_size
        self._engine: Engine | None = None
        self._lock = threading.Lock()

    def engine(self) -> Engine:
        """Return the engine, made on first use."""
        with self._lock:
            if self._engine is None:
                from sqlalchemy import create_engine

                self._engine = create_engine(
                    self.address,
                    pool_size=self._pool_size,
                    max_overflow=16,
                    pool_pre_ping=True,
                    connect_args={"connect_timeout": 5, "application_name": "closingbell"},
                )
                # An app that is never stopped leaves no open connection behind.
                weakref.finalize(self, self._engine.dispose)
            return self._engine

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        with translated(), self.engine().connect() as connection:
            yield connection

    @contextmanager
    def writing(self, *, news: bool = False) -> Iterator[Connection]:
        with translated(), self.engine().begin() as connection:
            yield connection
        self.on_write(news)

    @contextmanager
    def autocommit(self) -> Iterator[Connection]:
        """Open a connection on which each statement is a transaction of its own."""
        with translated(), self.engine().connect() as connection:
            yield connection.execution_options(isolation_level="AUTOCOMMIT")

    def close(self) -> None:
        with self._lock:
            engine, self._engine = self._engine, None
        if engine is not None:
            engine.dispose()


def open_database(database: str | Path | None) -> SqliteDatabase | PostgresDatabase:
    """Return the database of an address; nothing is connected yet."""
    dialect, address = read_address(database)
    return SqliteDatabase(address) if dialect == "sqlite" else PostgresDatabase(address)


@contextmanager
def translated() -> Iterator[None]:
    """Turn a driver's failures into `StoreError`s with a sentence."""
    import sqlite3

    from sqlalchemy.exc import DBAPIError
    from sqlalchemy.exc import TimeoutError as PoolTimeout

    try:
        yield
    except DBAPIError as problem:
        raise store_error(problem.orig or problem) from problem
    except PoolTimeout as problem:
        raise StoreUnavailable(f"no database connection came free: {problem}") from problem
    except sqlite3.Error as problem:
        raise store_error(problem) from problem
    except OSError as problem:
        raise store_error(problem) from problem
    except Exception as problem:
        if type(problem).__module__.partition(".")[0] == "psycopg":
            raise store_error(problem) from problem
        raise


def store_error(problem: BaseException) -> StoreError:
    """Return the StoreError that a driver's exception means."""
    state = getattr(problem, "sqlstate", None) or ""
    said = str(problem).strip() or type(problem).__name__
    low = said.lower()
    if "readonly" in low or "read-only" in low or state == "25006":
        return StoreReadOnly(f"the database cannot be written: {said}")
    if "disk is full" in low or "no space left" in low or state == "53100":
        return StoreFull(f"the database is full: {said}; free some space, and the work goes on")
    if (
        "locked" in low
        or "unable to open" in low
        or "disk i/o" in low
        or isinstance(problem, OSError)
        or state[:2] in ("08", "57", "53")
        or state in ("40001", "40P01", "55P03")
        or (not state and type(problem).__name__ in ("OperationalError", "InterfaceError"))
    ):
        if "no such table" in low or "no such column" in low:
            return StoreError(f"the database has no closingbell schema: {said}")
        return StoreUnavailable(f"the database does not answer: {said}")
    return StoreError(f"the database refused: {said}")
