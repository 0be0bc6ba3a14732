"""Append-only: the triggers by which the databases themselves keep lines as they were written.

SQLite reads a trigger's body anew for each database; PostgreSQL calls one function.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import Connection, event

from closingbell.store.metadata import metadata

_LINE_STAYS = "lines are added to {0}, and never changed or deleted"


class Guard(NamedTuple):
    """A change that is refused.

    Attributes:
        name: of the trigger.
        table: which is guarded.
        change: "INSERT", "DELETE", or "UPDATE" with its columns.
        when: the condition under which it is refused, or None for always.
        message: what the database says.
    """

    name: str
    table: str
    change: str
    when: str | None
    message: str


_ORDER_IDENTITY = (
    "id, account, symbol, side, type, time_in_force, created_at, effective_at, run_id, fence,"
    " ordinal, task, priority"
)
_ENTRY_LINE = (
    "account, seq, kind, happened_at, currency, amount, fee, symbol, quantity, price, order_id,"
    " run_id, task, external_id, note"
)

GUARDS = (
    Guard(
        "desk_accounts_advance",
        "desk_accounts",
        "UPDATE",
        "NEW.version <> OLD.version + 1 OR NEW.seq < OLD.seq",
        "each change of an account raises its version by one",
    ),
    Guard(
        "desk_accounts_stay",
        "desk_accounts",
        "UPDATE OF name, currency, initial, broker, opened_at",
        None,
        "an account keeps its name, currency and broker",
    ),
    Guard(
        "desk_orders_stay",
        "desk_orders",
        f"UPDATE OF {_ORDER_IDENTITY}",
        None,
        "what was ordered never changes",
    ),
    Guard("desk_orders_remain", "desk_orders", "DELETE", None, "orders are never deleted"),
    Guard(
        "desk_orders_end",
        "desk_orders",
        "UPDATE OF state",
        "OLD.state NOT IN ('new', 'open') AND NEW.state IN ('new', 'open')",
        "an order that ended never works again",
    ),
    Guard(
        "desk_order_history_follow",
        "desk_order_history",
        "INSERT",
        "NEW.seq <> {last} + 1",
        "the lines of an order are numbered 1, 2, 3 without gaps",
    ),
    Guard(
        "desk_order_history_stay",
        "desk_order_history",
        "UPDATE",
        None,
        _LINE_STAYS.format("desk_order_history"),
    ),
    Guard(
        "desk_order_history_remain",
        "desk_order_history",
        "DELETE",
        None,
        _LINE_STAYS.format("desk_order_history"),
    ),
    Guard(
        "desk_entries_follow",
        "desk_entries",
        "INSERT",
        "NEW.seq <> {last} + 1",
        "the entries of an account are numbered 1, 2, 3 without gaps",
    ),
    Guard(
        "desk_entries_stay",
        "desk_entries",
        f"UPDATE OF {_ENTRY_LINE}",
        None,
        _LINE_STAYS.format("desk_entries"),
    ),
    Guard(
        "desk_entries_remain", "desk_entries", "DELETE", None, _LINE_STAYS.format("desk_entries")
    ),
    Guard(
        "audit_records_follow",
        "audit_records",
        "INSERT",
        # More than one further is let through: where an end was cut off, life goes on.
        "NEW.seq <= {last}",
        "an audit record stands after all the others",
    ),
    Guard(
        "audit_records_stay",
        "audit_records",
        "UPDATE",
        None,
        _LINE_STAYS.format("audit_records"),
    ),
    Guard(
        "audit_records_remain",
        "audit_records",
        "DELETE",
        None,
        _LINE_STAYS.format("audit_records"),
    ),
)

#: The column that tells whose lines are numbered; None = all are of one row of numbers.
_OWNER = {"desk_entries": "account", "desk_order_history": "order_id", "audit_records": None}

_REFUSE = """CREATE FUNCTION closingbell_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION USING ERRCODE = 'restrict_violation', MESSAGE = TG_ARGV[0];
END $$"""

_LAST = """CREATE FUNCTION closingbell_last_{table}({given}) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
  RETURN (SELECT coalesce(max(seq), 0) FROM {table}{where});
END $$"""


def guard_statements(dialect: str) -> list[str]:
    """Return the statements that make all guards on a database, in order."""
    if dialect == "sqlite":
        return [_sqlite_trigger(guard) for guard in GUARDS]
    lasts = [_postgres_last(table, column) for table, column in _OWNER.items()]
    return [_REFUSE, *lasts, *(_postgres_trigger(guard) for guard in GUARDS)]


def _postgres_last(table: str, owner: str | None) -> str:
    if owner is None:
        return _LAST.format(table=table, given="", where="")
    return _LAST.format(table=table, given="owner text", where=f" WHERE {owner} = owner")


def _sqlite_trigger(guard: Guard) -> str:
    owner = _OWNER.get(guard.table)
    mine = "" if owner is None else f" WHERE {owner} = NEW.{owner}"
    last = f"(SELECT coalesce(max(seq), 0) FROM {guard.table}{mine})"
    when = "" if guard.when is None else f" WHEN {guard.when.format(last=last)}"
    return (
        f"CREATE TRIGGER {guard.name} BEFORE {guard.change} ON {guard.table}{when}"
        f" BEGIN SELECT RAISE(ABORT, '{guard.message}'); END"
    )


def _postgres_trigger(guard: Guard) -> str:
    owner = _OWNER.get(guard.table)
    last = f"closingbell_last_{guard.table}({'' if owner is None else f'NEW.{owner}'})"
    when = "" if guard.when is None else f" WHEN ({guard.when.format(last=last)})"
    return (
        f"CREATE TRIGGER {guard.name} BEFORE {guard.change} ON {guard.table} FOR EACH ROW{when}"
        f" EXECUTE FUNCTION closingbell_refuse('{guard.message}')"
    )


@event.listens_for(metadata, "after_create")
def _guard(_metadata: Any, connection: Connection, **_: Any) -> None:
    for statement in guard_statements(connection.dialect.name):
        connection.exec_driver_sql(statement)
