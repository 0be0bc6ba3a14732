"""Figures of performance: few rows of many runs, added to by every worker.

What the bytes mean is the monitor's; here they are only put together, under the row
locks that keep two workers from losing each other's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from sqlalchemy import Column, ColumnElement, Connection, Select, and_, delete, or_, select

from closingbell.store.database import Database
from closingbell.store.insert import insert_of
from closingbell.store.schema import run_figures

#: Rows locked by one statement; below what both databases take as parameters.
_CHUNK = 100


class _FigureRow(Protocol):
    """What is added; see `closingbell.monitor.recorder.FigureRow`."""

    @property
    def width_s(self) -> int: ...
    @property
    def task(self) -> str: ...
    @property
    def bucket_at(self) -> int: ...
    @property
    def worker(self) -> str: ...
    @property
    def data(self) -> bytes: ...


class _Span(Protocol):
    """Which buckets are meant; see `closingbell.monitor.window.Span`."""

    @property
    def width_s(self) -> int: ...
    @property
    def since(self) -> int: ...
    @property
    def until(self) -> int | None: ...


#: The name of what all tasks add up to; the least of all, and that of no task.
_TOTAL = ""
_NAMES = ("width_s", "task", "bucket_at", "worker")
_KEY = tuple(run_figures.c[name] for name in _NAMES)


class StoredPerformance:
    """Encoded figures by width, task, bucket and worker."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(
        self, rows: Sequence[_FigureRow], batch: int, merge: Callable[[bytes, bytes], bytes]
    ) -> bool:
        """Add figures to what is stored, in one transaction; see `monitor.recorder.FigureStore`."""
        with self._database.writing() as connection:
            if batch and _is_stored(connection, rows[0], batch):
                return False
            _add(connection, rows, batch, merge)
        return True

    def read(self, span: _Span, tasks: Sequence[str] | None = None) -> list[tuple[str, bytes]]:
        """Return task and figures of each row in a span, for some tasks or for all."""
        found: list[tuple[str, bytes]] = []
        with self._database.reading() as connection:
            names = _tasks(connection) if tasks is None else tasks
            for start in range(0, len(names), _CHUNK):
                rows = connection.execute(_of(span, names[start : start + _CHUNK]))
                found += [(task, figures) for task, figures in rows]
        return found

    def buckets(self, span: _Span, task: str) -> list[tuple[int, bytes]]:
        """Return the start and the figures of each row of one task in a span, by time."""
        query = _of(span, [task], run_figures.c.bucket_at).order_by(run_figures.c.bucket_at)
        with self._database.reading() as connection:
            return [(row.bucket_at, row.figures) for row in connection.execute(query)]

    def tasks(self, after: str = "", limit: int | None = None) -> list[str]:
        """Return the names of tasks that have figures, by name, from behind `after` on."""
        with self._database.reading() as connection:
            return _tasks(connection, after, limit)

    def prune(self, before: Mapping[int, int]) -> int:
        """Delete what is old; return how many rows.

        Args:
            before: by width in seconds, the instant before which buckets begin that go.
        """
        gone = 0
        with self._database.reading() as connection:
            tasks = _tasks(connection)
        for task in (_TOTAL, *tasks):
            with self._database.writing() as connection:
                for width, instant in before.items():
                    old = delete(run_figures).where(
                        run_figures.c.width_s == width,
                        run_figures.c.task == task,
                        run_figures.c.bucket_at < instant,
                    )
                    gone += connection.execute(old).rowcount
        return gone


def _of(span: _Span, tasks: Sequence[str], *more: Column[Any]) -> Select[Any]:
    query = select(run_figures.c.task, run_figures.c.figures, *more).where(
        run_figures.c.width_s == span.width_s,
        run_figures.c.task.in_(tasks),
        run_figures.c.bucket_at >= span.since,
    )
    if span.until is not None:
        query = query.where(run_figures.c.bucket_at < span.until)
    return query


def _tasks(connection: Connection, after: str = _TOTAL, limit: int | None = None) -> list[str]:
    # Each task has one row in the bucket since ever.
    query = (
        select(run_figures.c.task)
        .where(run_figures.c.width_s == 0, run_figures.c.task > after)
        .order_by(*_KEY)
        .limit(limit)
    )
    return list(connection.execute(query).scalars())


def _is_stored(connection: Connection, row: _FigureRow, batch: int) -> bool:
    key = row.width_s, row.task, row.bucket_at, row.worker
    query = select(run_figures.c.batch).where(_is(key))
    stored = connection.execute(query).scalar_one_or_none()
    return stored is not None and stored >= batch


def _is(key: tuple[int, str, int, str]) -> ColumnElement[bool]:
    # Spelled out: SQLite walks the whole index for a row value that is one of several.
    return and_(*(column == value for column, value in zip(_KEY, key, strict=True)))


def _add(
    connection: Connection,
    rows: Sequence[_FigureRow],
    batch: int,
    merge: Callable[[bytes, bytes], bytes],
) -> None:
    keys = [(row.width_s, row.task, row.bucket_at, row.worker) for row in rows]
    empty = [{**dict(zip(_NAMES, key, strict=True)), "batch": 0, "figures": b""} for key in keys]
    put = insert_of(connection)(run_figures)
    # New rows are put in place first, all before the first lock: two who make one at once then
    # share it, and nobody who waits for a new row holds what the other wants.
    connection.execute(put.on_conflict_do_nothing(), empty)
    stored: dict[tuple[int, str, int, str], bytes] = {}
    for start in range(0, len(keys), _CHUNK):
        query = (
            select(*_KEY, run_figures.c.figures)
            .where(or_(*(_is(key) for key in keys[start : start + _CHUNK])))
            .order_by(*_KEY)
            .with_for_update()
        )
        for row in connection.execute(query):
            stored[row.width_s, row.task, row.bucket_at, row.worker] = row.figures
    merged = [
        {
            **one,
            "batch": batch,
            "figures": merge(stored[key], row.data) if stored[key] else row.data,
        }
        for one, key, row in zip(empty, keys, rows, strict=True)
    ]
    change = {"batch": put.excluded.batch, "figures": put.excluded.figures}
    connection.execute(put.on_conflict_do_update(index_elements=list(_NAMES), set_=change), merged)
