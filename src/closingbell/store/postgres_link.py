"""Connections to PostgreSQL beside SQLAlchemy's pool, for the hot verbs and the hints."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from closingbell.store.codec import storable
from closingbell.store.database import PostgresDatabase, translated

if TYPE_CHECKING:
    import psycopg

#: Connections that wait for the next submission.
_KEPT = 4

# Whole batches join with a table of any size, through an index each time. The planner would
# rather hash the table, since it knows neither how short a batch is nor how few runs run now.
_INDEXES_ONLY = (
    "-c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off"
    " -c enable_bitmapscan=off -c jit=off -c plan_cache_mode=force_generic_plan"
)


def conninfo(database: PostgresDatabase) -> str:
    """Return the address as libpq reads it, with its password."""
    from sqlalchemy.engine import make_url

    url = make_url(database.address).set(drivername="postgresql")
    return url.render_as_string(hide_password=False)


def text_array(values: Sequence[str | None]) -> str:
    """Return texts as an array literal; ten times as fast as the driver's own."""
    quoted = [
        "NULL" if value is None else '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
        for value in values
    ]
    return storable("{" + ",".join(quoted) + "}")


def number_array(values: Sequence[int | None]) -> str:
    """Return whole numbers as an array literal."""
    return "{" + ",".join("NULL" if value is None else str(value) for value in values) + "}"


class Link:
    """One connection with prepared statements, made again after it broke; for one user at a time.

    Attributes:
        broke: whether a statement was under way when the connection was lost, so that
            nobody knows whether it was committed; the user resets it.
    """

    def __init__(self, database: PostgresDatabase, *, durable: bool = True) -> None:
        self._database = database
        self._options = _INDEXES_ONLY + ("" if durable else " -c synchronous_commit=off")
        self._connection: psycopg.Connection[tuple[Any, ...]] | None = None
        self.broke = False

    @contextlib.contextmanager
    def open(self) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
        """Give the connection, in autocommit.

        Raises:
            StoreError: the server does not answer or refused a statement.
        """
        with translated():
            connection = self._connection
            if connection is None or connection.closed:
                self.close()
                connection = self._connection = self._connect()
            try:
                yield connection
            except BaseException:
                if connection.closed or connection.info.transaction_status != 0:
                    # Interrupted halfway, as by Ctrl-C, is as good as lost.
                    self.broke = True
                    self.close()
                raise

    def _connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        import psycopg

        return psycopg.connect(
            conninfo(self._database),
            autocommit=True,
            prepare_threshold=0,
            connect_timeout=5,
            application_name="closingbell",
            options=self._options,
        )

    def __del__(self) -> None:
        # At the interpreter's end the system closes it, and nothing can be imported any more.
        if not sys.is_finalizing():
            self.close()

    def close(self) -> None:
        """Give the connection back; the next use opens a new one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            import psycopg

            with contextlib.suppress(psycopg.Error, OSError):
                connection.close()


class Links:
    """A few links for verbs that any thread may call."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database
        self._free: deque[Link] = deque()
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def open(self) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
        """Give a connection that nobody else uses meanwhile, in autocommit."""
        try:
            link = self._free.pop()
        except IndexError:
            link = Link(self._database)
        try:
            with link.open() as connection:
                yield connection
        finally:
            if len(self._free) < _KEPT:
                self._free.append(link)
            else:
                link.close()

    def close(self) -> None:
        """Give all connections back."""
        while self._free:
            self._free.pop().close()
