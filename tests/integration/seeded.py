"""Fifty thousand runs in every state, made by one statement."""

from __future__ import annotations

import sqlalchemy as sa

from closingbell.core.clock import to_micros
from closingbell.store.database import PostgresDatabase, SqliteDatabase
from tests.conformance.desk import SECOND, START, gate

COUNT = 50_000
NOW = to_micros(START)
LANES = [gate(f"task:sync/{n}", 2) for n in range(5)]

_RUNS = """
WITH RECURSIVE series (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM series WHERE n < :count),
facts AS (
  SELECT CAST(n AS BIGINT) AS n, 'task-' || (n % 10) AS task, CASE
    WHEN n % 100 < 90 THEN 'success' WHEN n % 100 < 93 THEN 'failed'
    WHEN n % 100 < 94 THEN 'cancelled' WHEN n % 100 < 95 THEN 'running'
    WHEN n % 100 < 98 THEN 'pending' ELSE 'scheduled' END AS state
  FROM series)
INSERT INTO runs (id, task, state, priority, executor, lane, due_at, payload, tags, cause,
  schedule_id, max_attempts, timeout_s, submitted_at, attempt, fence, worker_id, started_at,
  finished_at, outcome, error, cancel_requested_at)
SELECT {id}, task, state, 1 + n % 9, CASE n % 3 WHEN 0 THEN 'thread' ELSE 'async' END,
  CASE WHEN n % 100 = 97 THEN '{lane}' || (n / 100 % 5) ELSE NULL END,
  :now + (CASE state WHEN 'scheduled' THEN n ELSE n - 50000 END) * 1000000, '{{}}', '[]', 'submit',
  CASE n % 50 WHEN 7 THEN 'schedule-' || (n % 700) ELSE NULL END, 3, 300, :now - 50000000000 + n,
  CASE WHEN state IN ('pending', 'scheduled') THEN 0 ELSE 1 END,
  CASE WHEN state IN ('pending', 'scheduled') THEN 0 ELSE 1 END,
  CASE WHEN state IN ('pending', 'scheduled') THEN NULL ELSE 'worker-' || (n / 100 % 20) END,
  CASE WHEN state IN ('pending', 'scheduled') THEN NULL ELSE :now - 50000000000 + n * 1000 END,
  CASE WHEN state IN ('pending', 'scheduled', 'running') THEN NULL
       ELSE :now - 50000000000 + n * 1000 + 500 END,
  CASE state WHEN 'success' THEN 'returned' WHEN 'failed' THEN 'raised' ELSE NULL END,
  CASE WHEN state = 'failed' OR n % 1000 = 98 THEN '{{"message":"no price"}}' ELSE NULL END,
  CASE WHEN state = 'running' AND n % 1000 = 94 THEN :now ELSE NULL END
FROM facts
"""
_SMALL = (
    "INSERT INTO workers (id, state, host, pid, about, started_at, seen_at, lease_until)"
    " SELECT DISTINCT worker_id, 'alive', 'desk-1', 1, '{}', 0, 0, 1 FROM runs"
    " WHERE worker_id IS NOT NULL",
    "INSERT INTO attempts (run_id, fence, number, outcome, finished_at)"
    " SELECT id, 0, 1, 'raised', submitted_at FROM runs WHERE finished_at IS NOT NULL",
    "INSERT INTO run_logs (run_id, fence, seq, stream, text, written_at)"
    " SELECT id, 1, 0, 'stdout', 'said', submitted_at FROM runs WHERE finished_at IS NOT NULL",
    "INSERT INTO firings (schedule_id, fire_at, outcome, run_id, noted_at)"
    " SELECT 'schedule-' || (priority % 7), finished_at, 'ran', id, 0 FROM runs"
    " WHERE finished_at IS NOT NULL",
    "INSERT INTO schedules (id, task, definition, source, next_fire_at, created_at, updated_at)"
    " SELECT 'schedule-' || id, task, '{}', 'app', due_at + 50000000000, 0, 0 FROM runs"
    " WHERE state = 'scheduled'",
)

_SERIES = (
    "WITH RECURSIVE series (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM series WHERE n < 20000) "
)
#: A desk that has traded for a while: each account has 5,000 entries and 5,000 orders.
_DESK = (
    _SERIES
    + "INSERT INTO desk_accounts (name, currency, initial, broker, opened_at, version, seq, peak,"
    " cursor_at, cursor_opened, prices, breached, sync) SELECT 'account-' || n, 'USD', '10000',"
    " 'paper', 0, 0, 5000, '10000', 0, 0, '{}', 0, '{}' FROM series WHERE n < 5",
    _SERIES
    + "INSERT INTO desk_orders (id, account, symbol, side, type, quantity, time_in_force, state,"
    " filled, created_at, effective_at, updated_at, run_id, fence, ordinal, priority)"
    " SELECT 'order-' || n, 'account-' || (1 + n % 4), 'SYM-' || (n % 20), 'buy', 'market', '10',"
    " 'gtc', CASE WHEN n % 500 < 4 THEN 'open' ELSE 'filled' END, '0', n, n, n,"
    " 'run-' || (n / 3), 1, 1 + n % 3, 5 FROM series",
    _SERIES + "INSERT INTO desk_order_history (order_id, seq, state, changed_at)"
    " SELECT 'order-' || n, 1, 'new', n FROM series",
    _SERIES
    + "INSERT INTO desk_entries (account, seq, kind, happened_at, currency, amount, fee, symbol,"
    " quantity, price, order_id, external_id) SELECT 'account-' || (1 + n % 4), (n + 3) / 4, 'fill',"
    " n, 'USD', '-100', '0', 'SYM-' || (n % 20), '10', '10', 'order-' || n, 'x-' || n FROM series"
    " ORDER BY n",
    _SERIES + "INSERT INTO desk_snapshots (account, taken_at, value, cash, peak, flows, realized,"
    " unrealized, exposure) SELECT 'account-' || (1 + n % 4), n, '1', '1', '1', '1', '0', '0', '0'"
    " FROM series",
)


def seed(database: SqliteDatabase | PostgresDatabase, count: int = COUNT) -> None:
    """Fill a prepared, empty store, and let it gather statistics."""
    sqlite = database.dialect == "sqlite"
    run_id = "printf('%032x', n)" if sqlite else "lpad(to_hex(n), 32, '0')"
    with database.writing() as connection:
        statement = _RUNS.format(id=run_id, lane="placeholder-")
        connection.execute(sa.text(statement), {"count": count, "now": NOW})
        for number, lane in enumerate(LANES):
            connection.execute(
                sa.text("UPDATE runs SET lane = :lane WHERE lane = :placeholder"),
                {"lane": lane, "placeholder": f"placeholder-{number}"},
            )
        for one in (*_SMALL, *_DESK):
            connection.execute(sa.text(one))
    with database.writing() as connection:
        connection.execute(sa.text("ANALYZE"))


__all__ = ["COUNT", "LANES", "NOW", "SECOND", "seed"]
