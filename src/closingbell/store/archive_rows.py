"""What is archived: which rows of a kind are old, how they look in Parquet, how they are pruned.

Times are timestamps in UTC there; what is JSON in the database is JSON text. A run's line carries what
belongs to it: its attempts, what it printed, who decided about it. Payloads are as their tasks let
them be shown: a masked field stays masked.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Double,
    Integer,
    Select,
    Table,
    and_,
    delete,
    or_,
    select,
)

from closingbell.core.mask import mask
from closingbell.store.alert_schema import alerts, notifications
from closingbell.store.audit_schema import audit_records
from closingbell.store.door_schema import approvals
from closingbell.store.schema import attempts, dismissals, events, firings, run_logs, runs

#: Rows that are read, and pruned, at once: a claim waits no longer than for so many.
CHUNK = 500
#: What a run's line carries beside its row, each as JSON text.
_BESIDE = {"attempts": attempts, "logs": run_logs, "approvals": approvals}

Row = dict[str, Any]


class Kind(NamedTuple):
    """One kind of rows.

    Attributes:
        name: of its folder.
        table: where they are.
        at: the column by whose month they are filed.
        keys: the columns that name a row.
        old: further conditions under which a row may go.
    """

    name: str
    table: Table
    at: Column[Any]
    keys: tuple[Column[Any], ...]
    old: Any = True


KINDS = {
    kind.name: kind
    for kind in (
        Kind("runs", runs, runs.c.finished_at, (runs.c.id,)),
        Kind("events", events, events.c.happened_at, (events.c.id,)),
        Kind(
            "firings", firings, firings.c.fire_at, (firings.c.schedule_id, firings.c.fire_at)
        ),
        Kind("alerts", alerts, alerts.c.cleared_at, (alerts.c.id,)),
        Kind(
            "notifications",
            notifications,
            notifications.c.created_at,
            (notifications.c.id,),
            notifications.c.next_at.is_(None),
        ),
        Kind("audit", audit_records, audit_records.c.acted_at, (audit_records.c.seq,)),
    )
}  # fmt: skip


def arrow_schema(kind: Kind) -> Any:
    """Return the Parquet schema of a kind."""
    import pyarrow as pa

    def type_of(column: Column[Any]) -> Any:
        match column.type:
            case BigInteger() if column.name.endswith("_at") or column.name == "claimed_until":
                return pa.timestamp("us", "UTC")
            case Boolean():
                return pa.bool_()
            case Integer():
                return pa.int64()
            case Double():
                return pa.float64()
            case _:
                return pa.string()

    fields = [pa.field(column.name, type_of(column)) for column in kind.table.columns]
    if kind.table is runs:
        fields += [pa.field(name, pa.string()) for name in _BESIDE]
    return pa.schema(fields)


def pages(
    connection: Connection, kind: Kind, window: Any, masks: Mapping[str, Sequence[str]]
) -> Iterator[list[Row]]:
    """Yield the rows of a window, a page at a time, oldest first.

    Args:
        connection: whose snapshot is read.
        kind: of rows.
        window: the condition for them.
        masks: hidden fields, by the task of a run or the type of an event.
    """
    order = [kind.at, *kind.keys] if kind.name != "audit" else list(kind.keys)
    last: Row | None = None
    while True:
        query = select(kind.table).where(window, kind.old).order_by(*order).limit(CHUNK)
        if last is not None:
            query = query.where(_after(order, [last[column.name] for column in order]))
        rows = [dict(row._mapping) for row in connection.execute(query)]
        if not rows:
            return
        last = dict(rows[-1])
        if kind.table is runs:
            _put_beside(connection, rows)
        _hide(kind, rows, masks)
        yield rows
        if len(rows) < CHUNK:
            return


def _after(order: Sequence[Column[Any]], values: Sequence[Any]) -> Any:
    """Return the condition for what comes after a row, written so that an index serves it."""
    steps = [
        and_(*(column == value for column, value in zip(order[:n], values[:n], strict=True)),
             order[n] > values[n])
        for n in range(len(order))
    ]  # fmt: skip
    return and_(order[0] >= values[0], or_(*steps))


def _put_beside(connection: Connection, rows: list[Row]) -> None:
    ids = [row["id"] for row in rows]
    for name, table in _BESIDE.items():
        found: dict[str, list[Row]] = defaultdict(list)
        query: Select[Any] = select(table).where(table.c.run_id.in_(ids))
        for line in connection.execute(query.order_by(*table.primary_key)):
            fields = dict(line._mapping)
            found[fields.pop("run_id")].append(fields)
        for row in rows:
            mine = found.get(row["id"])
            row[name] = None if mine is None else json.dumps(mine, ensure_ascii=False)


def _hide(kind: Kind, rows: list[Row], masks: Mapping[str, Sequence[str]]) -> None:
    """Mask what the tasks of runs, and those that listen to events, do not let be shown."""
    for table, name, content in ((runs, "task", "payload"), (events, "type", "data")):
        if kind.table is not table:
            continue
        for row in rows:
            hidden = masks.get(row[name])
            if hidden:
                shown = mask(json.loads(row[content]), hidden)
                row[content] = json.dumps(shown, ensure_ascii=False, separators=(",", ":"))


def prune(connection: Connection, kind: Kind, rows: Sequence[Row]) -> int:
    """Delete rows that are archived; one that has changed since then stays.

    Args:
        connection: in a writing transaction.
        kind: of them.
        rows: with their keys and their instant, in microseconds.
    """
    if kind.name == "audit":
        return 0
    if kind.table is firings:
        instants: dict[str, list[int]] = defaultdict(list)
        for row in rows:
            instants[row["schedule_id"]].append(row["fire_at"])
        return sum(
            connection.execute(
                delete(firings).where(firings.c.schedule_id == id_, firings.c.fire_at.in_(at))
            ).rowcount
            for id_, at in instants.items()
        )
    key = kind.keys[0]
    archived = {row[key.name]: row[kind.at.name] for row in rows}
    there = select(key, kind.at).where(key.in_(list(archived)))
    # A run that was retried meanwhile lives again, or ended anew.
    same = [name for name, at in connection.execute(there) if archived[name] == at]
    if kind.table is runs:
        for table in (attempts, run_logs, dismissals, approvals):
            connection.execute(delete(table).where(table.c.run_id.in_(same)))
    return connection.execute(delete(kind.table).where(key.in_(same))).rowcount
