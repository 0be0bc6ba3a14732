"""Runs that ended, by the index of them: of each task those in one final state, by their end.

Whoever wants the latest of several tasks, or in several states, seeks in each of those streams:
what lies between is never walked, such as all failures of a task that has not succeeded for long.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Row,
    and_,
    func,
    select,
    text,
    union_all,
)

from closingbell.core.run import FINAL_STATES
from closingbell.store.codec import to_json
from closingbell.store.schema import literals, runs

#: The final states, in one order.
STATES = tuple(sorted(state.value for state in FINAL_STATES))


class End(NamedTuple):
    """When a run ended, and which."""

    finished_at: int
    id: str


def ended() -> ColumnElement[bool]:
    """Return, as SQL, that a run has ended; its end may then be sought in each state."""
    return and_(runs.c.finished_at.is_not(None), runs.c.state.in_(literals(STATES)))


def ended_tasks(connection: Connection) -> list[str]:
    """Return the names of all tasks that have ended runs, by one seek for each task."""
    return list(connection.execute(_TASKS).scalars())


def newest_of(task: str) -> Any:
    """Return, as SQL, when the run of a task ended that ended last."""
    parts = [
        select(func.max(runs.c.finished_at).label("at")).where(
            runs.c.task == task, runs.c.state == state, runs.c.finished_at.is_not(None)
        )
        for state in literals(STATES)
    ]
    ends = union_all(*parts).subquery()
    return select(func.max(ends.c.at)).scalar_subquery()


def newest(
    connection: Connection, columns: Sequence[Column[Any]], tasks: Sequence[str] | None = None
) -> list[Row[Any]]:
    """Return columns of the run that ended last, of each task in each state; None = all tasks'."""
    names = ended_tasks(connection) if tasks is None else tasks
    read = ", ".join(f"r.{column.name}" for column in columns)
    statement = _NEWEST[connection.dialect.name].format(streams=_streams(connection), columns=read)
    return list(connection.execute(text(statement), _given(names, STATES)))


def latest(
    connection: Connection,
    tasks: Sequence[str],
    states: Sequence[str],
    limit: int,
    before: End | None = None,
) -> list[End]:
    """Return the ends of the runs that ended last, the latest first.

    Args:
        connection: to read on.
        tasks: only these tasks'.
        states: only those that ended like this.
        limit: at most so many.
        before: only those that are behind this one, in this order.
    """
    streams = len(tasks) * len(states)
    if not streams or limit < 1:
        return []
    given = _given(tasks, states)
    if before is None:
        before = End(2**62, "")
    statement = _LATEST[connection.dialect.name].format(streams=_streams(connection))
    given |= {"before": before.finished_at, "id": before.id}

    def look(since: int, each: int) -> list[End]:
        rows = connection.execute(text(statement), {**given, "since": since, "each": each})
        return sorted((End(*row) for row in rows), reverse=True)[:limit]

    # A few of each stream first: however many there are, what is among the latest of all is not
    # older than the last of these.
    each = min(limit, 2 * limit // streams + 1)
    found = look(-(2**62), each)
    if each == limit or not found:
        return found
    return look(found[-1].finished_at if len(found) == limit else -(2**62), limit)


def _given(tasks: Sequence[str], states: Sequence[str]) -> dict[str, Any]:
    return {"tasks": to_json(list(tasks)), "states": to_json(list(states))}


def _streams(connection: Connection) -> str:
    if connection.dialect.name == "sqlite":
        return _STREAMS.format(tasks=_LIST.format("tasks"), states=_LIST.format("states"))
    return _STREAMS.format(tasks=_ARRAY.format("tasks"), states=_ARRAY.format("states"))


_LIST = "SELECT value FROM json_each(:{})"
_ARRAY = "SELECT jsonb_array_elements_text(CAST(:{} AS jsonb))"
_STREAMS = "WITH names (task) AS ({tasks}), ways (state) AS ({states})"
# Each task's name is one step in the index.
_TASKS = text(
    "WITH RECURSIVE names (task) AS (SELECT min(task) FROM runs WHERE finished_at IS NOT NULL"
    " UNION ALL SELECT (SELECT min(task) FROM runs WHERE finished_at IS NOT NULL"
    " AND task > names.task) FROM names WHERE names.task IS NOT NULL)"
    " SELECT task FROM names WHERE task IS NOT NULL"
)
_OF_STREAM = "FROM runs WHERE task = names.task AND state = ways.state AND finished_at IS NOT NULL"
# SQLite knows no LATERAL, but makes a cross join in the order in which it is written.
_NEWEST = {
    "sqlite": "{streams} SELECT {columns} FROM names CROSS JOIN ways CROSS JOIN runs AS r"
    f" WHERE r.id = (SELECT id {_OF_STREAM} ORDER BY finished_at DESC LIMIT 1)",
    "postgresql": "{streams} SELECT {columns} FROM names CROSS JOIN ways"
    f" CROSS JOIN LATERAL (SELECT * {_OF_STREAM} ORDER BY finished_at DESC LIMIT 1) AS r",
}
_PART = (
    f"{_OF_STREAM} AND finished_at >= :since AND finished_at <= :before"
    " AND (finished_at < :before OR id < :id) ORDER BY finished_at DESC, id DESC LIMIT :each"
)
_LATEST = {
    "sqlite": "{streams} SELECT r.finished_at, r.id FROM names CROSS JOIN ways CROSS JOIN runs AS r"
    f" WHERE r.id IN (SELECT id {_PART})",
    "postgresql": "{streams} SELECT r.finished_at, r.id FROM names CROSS JOIN ways"
    f" CROSS JOIN LATERAL (SELECT finished_at, id {_PART}) AS r",
}
