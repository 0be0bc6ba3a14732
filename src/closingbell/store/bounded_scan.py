"""BoundedScan: pages of a table that grows without end, at a cost that has an end.

A filter that no index serves is applied to the next so many rows only. Where they do not hold
enough, the page says where the look stopped, and the next one goes on from there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Column, ColumnElement, Connection, Row, Select, select, tuple_

#: Rows that a page with filters looks at, at most.
MOST = 10_000

#: Given the columns by name, returns a condition.
Filter = Callable[[Any], ColumnElement[bool]]


class Scan(NamedTuple):
    """What a look at a table found.

    Attributes:
        rows: in the order of the scan.
        position: the key after which the next page begins; None = nothing follows.
        complete: False when the look stopped at its bound, so that fewer rows than were asked
            for do not mean that there are no more.
    """

    rows: list[Row[Any]]
    position: tuple[Any, ...] | None
    complete: bool


def scan(
    connection: Connection,
    query: Select[Any],
    key: Sequence[Column[Any]],
    after: Sequence[Any] | None,
    limit: int,
    filters: Sequence[Filter] = (),
    most: int = MOST,
) -> Scan:
    """Return the next rows, the greatest key first.

    Args:
        connection: to read on.
        query: selects whole rows; its conditions are such that the key's index serves them.
        key: columns that order the rows, and tell each from all others.
        after: the key at which the page before ended; None = from the greatest.
        limit: rows that are returned, at most.
        filters: further conditions, which no index serves.
        most: rows that are looked at with filters, at most.
    """
    if after is not None:
        query = query.where(tuple_(*key) < tuple_(*after))
    newest = [column.desc() for column in key]
    if not filters:
        rows = list(connection.execute(query.order_by(*newest).limit(limit + 1)))
        return _page(rows, key, limit)
    window = query.order_by(*newest).limit(most).subquery()
    chosen = select(window).where(*(one(window.c) for one in filters))
    backwards = [window.c[column.name].desc() for column in key]
    rows = list(connection.execute(chosen.order_by(*backwards).limit(limit + 1)))
    if len(rows) > limit:
        return _page(rows, key, limit)
    ends = query.with_only_columns(*key).order_by(*newest).limit(1).offset(most - 1)
    last = connection.execute(ends).one_or_none()
    return Scan(rows, None if last is None else tuple(last), last is None)


def _page(rows: list[Row[Any]], key: Sequence[Column[Any]], limit: int) -> Scan:
    if len(rows) <= limit:
        return Scan(rows, None, True)
    last = rows[limit - 1]._mapping
    return Scan(rows[:limit], tuple(last[column.name] for column in key), True)
