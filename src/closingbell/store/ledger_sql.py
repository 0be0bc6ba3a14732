"""The ledger's statements, the same on both databases but for how a value is marked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, CursorResult

_ACCOUNT = (
    "name, currency, initial, broker, opened_at, version, seq, peak, cursor_at, cursor_opened,"
    " prices, breached, sync"
)
_ORDER = (
    "id, account, symbol, side, type, quantity, limit_price, stop_price, time_in_force, state,"
    " filled, created_at, effective_at, updated_at, run_id, fence, ordinal, task, priority,"
    " broker_id, reason"
)
_STEP = "order_id, state, changed_at, filled, quantity, limit_price, stop_price, broker_id, reason"
_ENTRY = (
    "account, seq, kind, happened_at, currency, amount, fee, symbol, quantity, price, order_id,"
    " run_id, task, external_id, note"
)
_SNAPSHOT = "account, taken_at, value, cash, peak, flows, realized, unrealized, exposure"


def _marks(columns: str) -> str:
    return ", ".join("?" for _ in columns.split(", "))


# --- what changes --------------------------------------------------------------------

FENCE = "SELECT 1 FROM runs WHERE id = ? AND fence = ? AND state = 'running'"
#: PostgreSQL: the run cannot be settled before the change is true.
FENCE_LOCKED = FENCE + " FOR SHARE"

OPEN = f"INSERT INTO desk_accounts ({_ACCOUNT}) VALUES ({_marks(_ACCOUNT)}) ON CONFLICT DO NOTHING"
ADVANCE = (
    "UPDATE desk_accounts SET version = version + 1, seq = ?, peak = ?, cursor_at = ?,"
    " cursor_opened = ?, prices = ?, breached = ?, sync = ?"
    " WHERE name = ? AND version = ? AND seq = ?"
)
ADD_ORDER = f"INSERT INTO desk_orders ({_ORDER}) VALUES ({_marks(_ORDER)}) ON CONFLICT DO NOTHING"
MOVE_ORDER = (
    "UPDATE desk_orders SET state = ?, updated_at = ?, filled = coalesce(?, filled),"
    " quantity = coalesce(?, quantity), limit_price = coalesce(?, limit_price),"
    " stop_price = coalesce(?, stop_price), broker_id = coalesce(?, broker_id),"
    " reason = coalesce(?, reason) WHERE id = ? AND account = ?"
)
FIRST_STEP = f"INSERT INTO desk_order_history ({_STEP}, seq) VALUES ({_marks(_STEP)}, ?)"
NEXT_STEP = (
    f"INSERT INTO desk_order_history ({_STEP}, seq) VALUES ({_marks(_STEP)},"
    " (SELECT coalesce(max(seq), 0) + 1 FROM desk_order_history WHERE order_id = ?))"
)
ADD_ENTRY = f"INSERT INTO desk_entries ({_ENTRY}) VALUES ({_marks(_ENTRY)})"
PUT_SNAPSHOT = (
    f"INSERT INTO desk_snapshots ({_SNAPSHOT}) VALUES ({_marks(_SNAPSHOT)})"
    " ON CONFLICT (account, taken_at) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in _SNAPSHOT.split(", ")[2:])
)
_ARCHIVE = (
    "UPDATE desk_entries SET archived_at = ? WHERE account = ? AND archived_at IS NULL AND seq "
)
ARCHIVE_SQLITE = _ARCHIVE + "IN (SELECT value FROM json_each(?))"
ARCHIVE_POSTGRES = _ARCHIVE + "= ANY(?)"

CLOSE_LATCH = (
    "INSERT INTO desk_latches (account, name, run_id, closed_at) VALUES (?, ?, ?, ?)"
    " ON CONFLICT DO NOTHING"
)
OPEN_LATCH = "DELETE FROM desk_latches WHERE account = ? AND name = ?"

# --- what is read --------------------------------------------------------------------

ACCOUNTS = f"SELECT {_ACCOUNT} FROM desk_accounts ORDER BY name"
ACCOUNT = f"SELECT {_ACCOUNT} FROM desk_accounts WHERE name = ?"
ORDERS = f"SELECT {_ORDER} FROM desk_orders"
STEPS = f"SELECT {_STEP} FROM desk_order_history WHERE order_id = ? ORDER BY seq"
ENTRIES = f"SELECT {_ENTRY} FROM desk_entries"
SNAPSHOTS = f"SELECT {_SNAPSHOT} FROM desk_snapshots WHERE account = ?"
LATCH = "SELECT run_id FROM desk_latches WHERE account = ? AND name = ?"
#: As a partial index must be asked for.
WORKING = "state IN ('new', 'open')"


class Writing(NamedTuple):
    """A statement, and the values of each time that it is executed."""

    statement: str
    rows: Sequence[tuple[Any, ...]]


def execute(
    connection: Connection, statement: str, values: tuple[Any, ...] = ()
) -> CursorResult[Any]:
    """Execute one statement."""
    return connection.exec_driver_sql(_marked(connection, statement), values)


def write_all(connection: Connection, writings: Sequence[Writing]) -> list[int]:
    """Execute statements in order; return of each how many rows it found or wrote.

    On PostgreSQL they travel together, so that a change waits for the server once.
    """
    driver: Any = connection.connection.driver_connection
    if connection.dialect.name == "sqlite":
        return [_write(connection, *writing) for writing in writings]
    with driver.pipeline():
        cursors = [
            _send(driver, _marked(connection, statement), rows) for statement, rows in writings
        ]
    return [cursor.rowcount for cursor in cursors]


def _marked(connection: Connection, statement: str) -> str:
    return statement if connection.dialect.name == "sqlite" else statement.replace("?", "%s")


def _write(connection: Connection, statement: str, rows: Sequence[tuple[Any, ...]]) -> int:
    result = connection.exec_driver_sql(statement, rows[0] if len(rows) == 1 else list(rows))
    return len(result.fetchall()) if result.returns_rows else result.rowcount


def _send(driver: Any, statement: str, rows: Sequence[tuple[Any, ...]]) -> Any:
    cursor = driver.cursor()
    if len(rows) == 1:
        cursor.execute(statement, rows[0])
    else:
        cursor.executemany(statement, rows)
    return cursor
