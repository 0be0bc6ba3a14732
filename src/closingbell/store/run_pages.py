"""Pages of runs: the newest first, at a cost that does not grow with the table.

A page is found over the index that leads there, or, where a filter says more than any index
knows, over the one of which a bounded look reaches furthest back. What the look did not reach
is left to the next page.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any, NamedTuple

from sqlalchemy import Connection, func, select, tuple_

from closingbell.core.clock import from_micros
from closingbell.core.run import RunState
from closingbell.core.run_filter import RunFilter
from closingbell.core.run_summary import RunIdPage, RunPage, RunSummary
from closingbell.store.codec import from_json, instant
from closingbell.store.database import Database, translated
from closingbell.store.run_ways import (
    Source,
    Way,
    columns_of,
    conditions,
    error_field,
    id_ranges,
    ways_of,
)
from closingbell.store.schema import runs

#: Rows that one page looks at.
LOOK = 10_000
#: All statements of a page see one and the same moment, as SQLite's do anyway; and a look ends
#: early where it walks an index, which looks dear while few rows are expected of it.
_SETTING = (
    "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ;"
    " SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off"
)
#: So many runs may wait, or run, for all of them to be looked at.
_FEW = 5_000
#: Rows that are looked at first: where many match, they are the page.
_FIRST = 1_000
#: Ids that one statement names; below what both databases take as parameters.
_CHUNK = 500
#: Characters of an error's message that a list shows.
_LINE = 300

_PLAIN = (
    runs.c.id, runs.c.task, runs.c.state, runs.c.priority, runs.c.executor, runs.c.tags,
    runs.c.key, runs.c.due_at, runs.c.fire_at, runs.c.session_date, runs.c.schedule_id,
    runs.c.event_id, runs.c.batch_id, runs.c.cause, runs.c.attempt, runs.c.max_attempts,
    runs.c.worker_id, runs.c.submitted_at, runs.c.started_at, runs.c.finished_at, runs.c.reason,
    runs.c.hold, runs.c.requested_by, runs.c.cancel_requested_at,
)  # fmt: skip


class _Look(NamedTuple):
    """One statement's part: a source in a range of ids."""

    source: Source
    first: str
    last: str


class StoredRunPages:
    """Lists of runs, a page at a time."""

    def __init__(self, database: Database, look: int = LOOK) -> None:
        """Read from a database.

        Args:
            database: which.
            look: rows that one page may look at.
        """
        self._database = database
        self._look = look

    def page(self, wanted: RunFilter, after: str | None = None, limit: int = 100) -> RunPage:
        """Return a page of the runs that are meant, the newest first.

        Whoever walks from page to page sees each run that is meant all the while exactly once,
        whatever is added and changed meanwhile.

        Args:
            wanted: which runs.
            after: the `next` of the page before.
            limit: at most so many.
        """
        with self._snapshot() as connection:
            found = self._ids(connection, wanted, after, limit)
            items = self._summaries(connection, found.ids)
        return RunPage(items, found.next, found.complete)

    def ids(self, wanted: RunFilter, after: str | None = None, limit: int = 1_000) -> RunIdPage:
        """Return the ids of a page; as `page`."""
        with self._snapshot() as connection:
            return self._ids(connection, wanted, after, limit)

    def of(self, run_ids: list[str]) -> list[RunSummary]:
        """Return the runs of these ids that are stored, in the order of the ids."""
        with self._database.reading() as connection:
            return self._summaries(connection, run_ids)

    def ids_beginning(self, beginning: str, most: int) -> list[str]:
        """Return the first ids that begin so, in their order, `most` at most."""
        id_ = runs.c.id
        query = select(id_).where(id_ >= beginning).order_by(id_).limit(most)
        with self._database.reading() as connection:
            found = connection.execute(query).scalars()
            # What follows in the order of the primary key is all that can begin so.
            return [run_id for run_id in found if run_id.startswith(beginning)]

    @contextmanager
    def _snapshot(self) -> Iterator[Connection]:
        with self._database.reading() as connection, translated():
            if connection.dialect.name == "postgresql":
                connection.exec_driver_sql(_SETTING)
            yield connection

    def _ids(
        self, connection: Connection, wanted: RunFilter, after: str | None, limit: int
    ) -> RunIdPage:
        ranges = id_ranges(wanted)
        if after is not None:
            ranges = [(first, min(last, after)) for first, last in ranges if first < after]
        quick = self._quick(connection, wanted, ranges, limit)
        if quick is not None:
            return quick
        way, reached = self._choose(connection, wanted, ranges)
        plain = wanted.said.keys() <= way.said
        found: set[str] = set()
        for look in _looks(way, ranges):
            asked = None if plain else wanted
            query = self._query(look, asked, reached, limit + 1, max(self._look, _FEW))
            found.update(connection.execute(query).scalars())
        ids = sorted(found, reverse=True)[: limit + 1]
        if len(ids) > limit:
            return RunIdPage(ids[:limit], ids[limit - 1], True)
        return RunIdPage(ids, reached, reached is None)

    def _quick(
        self, connection: Connection, wanted: RunFilter, ranges: list[tuple[str, str]], limit: int
    ) -> RunIdPage | None:
        """Return a page that the first rows of the most promising index fill, or None."""
        way = next(iter(ways_of(wanted)))
        if len(way.sources) > 1 or len(ranges) != 1 or not way.sources[0].ordered:
            return None
        if wanted.said.keys() <= way.said:
            return None
        query = self._query(_Look(way.sources[0], *ranges[0]), wanted, None, limit + 1, _FIRST)
        ids = list(connection.execute(query).scalars())
        return RunIdPage(ids[:limit], ids[limit - 1], True) if len(ids) > limit else None

    def _choose(
        self, connection: Connection, wanted: RunFilter, ranges: list[tuple[str, str]]
    ) -> tuple[Way, str | None]:
        """Return the way whose look reaches furthest back, and to which id; None = the end."""
        best: tuple[Way, str] | None = None
        for way in ways_of(wanted):
            if any(
                _is_many(connection, source, _FEW) for source in way.sources if not source.ordered
            ):
                continue
            if wanted.said.keys() <= way.said:
                return way, None
            reached = self._reach(connection, _looks(way, ranges))
            if reached is None:
                return way, None
            if best is None or reached < best[1]:
                best = way, reached
        assert best is not None  # noqa: S101  (the last way has no condition)
        return best

    def _reach(self, connection: Connection, looks: list[_Look]) -> str | None:
        """Return the id that a bounded look reaches; None = it reaches the end."""
        ordered = [look for look in looks if look.source.ordered]
        reached: list[str] = []
        for look in ordered:
            each = max(1, self._look // len(ordered))
            query = _within(select(runs.c.id), look)
            last = connection.execute(query.offset(each - 1).limit(1)).scalar_one_or_none()
            if last is not None:
                reached.append(last)
        return max(reached, default=None)

    def _query(
        self, look: _Look, wanted: RunFilter | None, reached: str | None, limit: int, most: int
    ) -> Any:
        read = [runs.c.id] if wanted is None else columns_of(wanted, look.source)
        if not look.source.ordered:
            inner = select(*read).where(*look.source.where)
        else:
            if reached is not None and look.first < reached:
                look = look._replace(first=reached)
            if wanted is None:
                return _within(select(runs.c.id), look).limit(limit)
            inner = _within(select(*read), look)
        # Bounded inside, so that only its own index is thought of.
        seen = inner.limit(most).subquery()
        query = select(seen.c.id).where(seen.c.id >= look.first, seen.c.id < look.last)
        if reached is not None:
            query = query.where(seen.c.id >= reached)
        if wanted is not None:
            query = query.where(*conditions(wanted, seen.c, self._database.dialect))
        # In the order of the look, so that it ends with the last row of the page.
        keys = [*(column for column, _ in look.source.lead), runs.c.id]
        return query.order_by(*(seen.c[key.name].desc() for key in keys)).limit(limit)

    def _summaries(self, connection: Connection, ids: list[str]) -> list[RunSummary]:
        dialect = self._database.dialect
        kind = error_field(runs.c.error, "type", dialect).label("error_type")
        message = func.substr(error_field(runs.c.error, "message", dialect), 1, _LINE + 1)
        query = select(*_PLAIN, kind, message.label("error_message"))
        rows: dict[str, Any] = {}
        for start in range(0, len(ids), _CHUNK):
            chunk = query.where(runs.c.id.in_(ids[start : start + _CHUNK]))
            rows.update((row.id, row) for row in connection.execute(chunk))
        return [_summary(rows[run_id]) for run_id in ids if run_id in rows]


def _looks(way: Way, ranges: list[tuple[str, str]]) -> list[_Look]:
    return [_Look(source, *span) for source in way.sources for span in ranges]


def _within(query: Any, look: _Look) -> Any:
    """Return a query of columns as one of the rows of a look, the greatest ids first."""
    lead = look.source.lead
    keys = [*(column for column, _ in lead), runs.c.id]
    values = [value for _, value in lead]
    query = query.where(*look.source.where, tuple_(*keys) < tuple_(*values, look.last))
    if lead or look.first:
        query = query.where(tuple_(*keys) >= tuple_(*values, look.first))
    return query.order_by(*(key.desc() for key in keys))


def _is_many(connection: Connection, source: Source, most: int) -> bool:
    one = select(runs.c.id).where(*source.where).limit(most + 1).subquery()
    return int(connection.execute(select(func.count()).select_from(one)).scalar_one()) > most


def _summary(row: Any) -> RunSummary:
    error = None
    if row.error_type is not None or row.error_message is not None:
        error = " ".join(f"{row.error_type or 'Error'}: {row.error_message or ''}".split())
        error = error if len(error) <= _LINE else error[: _LINE - 1] + "…"
    return RunSummary(
        id=row.id,
        task=row.task,
        state=RunState(row.state),
        priority=row.priority,
        executor=row.executor,
        tags=tuple(from_json(row.tags)),
        key=row.key,
        due_at=from_micros(row.due_at),
        fire_at=instant(row.fire_at),
        session_date=None if row.session_date is None else date.fromisoformat(row.session_date),
        schedule_id=row.schedule_id,
        event_id=row.event_id,
        batch_id=row.batch_id,
        cause=row.cause,
        attempt=row.attempt,
        max_attempts=row.max_attempts,
        worker_id=row.worker_id,
        submitted_at=from_micros(row.submitted_at),
        started_at=instant(row.started_at),
        finished_at=instant(row.finished_at),
        error=error,
        reason=row.reason,
        hold=row.hold,
        requested_by=row.requested_by,
        cancel_requested_at=instant(row.cancel_requested_at),
    )
