"""Fill a store with a desk's past, for measurements of the API: a few statements on either database."""

from __future__ import annotations

import random
from typing import Any

from sqlalchemy import Connection, text

from closingbell import App
from closingbell.monitor.figures import Figures

#: Tasks of the desk; the last one has never succeeded.
TASKS = 100

_SERIES = (
    "WITH RECURSIVE series (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM series WHERE n < {count})"
)
_ID = {
    "sqlite": "printf('%012x7abc8%015x', at / 1000, n)",
    "postgresql": "lpad(to_hex(at / 1000), 12, '0') || '7abc8' || lpad(to_hex(n), 15, '0')",
}

#: Runs that ended, a hundred a second, the last one now. Every fiftieth failed, and all of the
#: last task.
_ENDED = """, facts AS (
  SELECT CAST(n AS BIGINT) AS n, :now - ({count} - n) * CAST(10000 AS BIGINT) AS at,
    CASE WHEN n % {tasks} = {tasks} - 1 OR n / {tasks} % 50 = 7 THEN 1 ELSE 0 END AS bad
  FROM series)
INSERT INTO runs (id, task, state, priority, executor, due_at, payload, tags, cause,
  max_attempts, timeout_s, submitted_at, attempt, fence, worker_id, started_at, finished_at,
  outcome, error, requested_by, schedule_id, batch_id, event_id)
SELECT {id}, 'task-' || (n % {tasks}), CASE bad WHEN 1 THEN 'failed' ELSE 'success' END,
  1 + n % 9, 'async', at, '{{}}', CASE n % 10 WHEN 3 THEN '["risk"]' ELSE '[]' END, 'submit',
  1, 60, at, 1, 1, 'worker-' || (n % 4), at + 1000, at + 3000,
  CASE bad WHEN 1 THEN 'raised' ELSE 'returned' END,
  CASE bad WHEN 1 THEN '{{"type":"ValueError","message":"no price"}}' ELSE NULL END,
  CASE n % 5 WHEN 1 THEN 'ann' ELSE NULL END,
  CASE n % 4 WHEN 2 THEN 'schedule-' || (n % 12) ELSE NULL END,
  CASE n % 10 WHEN 5 THEN 'batch-' || (n / 5000) ELSE NULL END,
  CASE n % 10 WHEN 4 THEN 'event-' || n ELSE NULL END
FROM facts
"""
#: Runs that have not: some run, some could, some wait for later, or for people.
_ACTIVE = """, facts AS (
  SELECT CAST(n AS BIGINT) + 9000000 AS n, :now - 1000000 AS at,
    CASE n % 10 WHEN 0 THEN 'running' WHEN 1 THEN 'pending' ELSE 'scheduled' END AS state
  FROM series)
INSERT INTO runs (id, task, state, priority, executor, due_at, payload, tags, cause,
  max_attempts, timeout_s, submitted_at, attempt, fence, worker_id, started_at, hold, requested_by)
SELECT {id}, 'task-' || (n % {tasks}), state, 5, 'async',
  at + CASE state WHEN 'scheduled' THEN 86400000000 ELSE 0 END, '{{}}', '[]', 'submit', 1, 60, at,
  CASE state WHEN 'running' THEN 1 ELSE 0 END, CASE state WHEN 'running' THEN 1 ELSE 0 END,
  CASE state WHEN 'running' THEN 'worker-1' ELSE NULL END,
  CASE state WHEN 'running' THEN at ELSE NULL END,
  CASE n % 10 WHEN 5 THEN 'approval' ELSE NULL END, 'ann'
FROM facts
"""
#: Told by how many rows each has for `count` runs.
_REST = {
    "batches": (5_000, "INSERT INTO batches (id, task, name, size, requested_by, created_at)"
    " SELECT 'batch-' || n, 'task-5', 'books', 5000, 'ann', :now - n * 1000000 FROM series"),
    "events": (10, "INSERT INTO events (id, type, data, happened_at, runs) SELECT 'event-' || (n * 10 + 4),"
    " CASE n % 7 WHEN 1 THEN 'filled' ELSE 'closed' END, '{{}}', :now - n * CAST(100000 AS BIGINT), 1 FROM series"),
    "firings": (40, "INSERT INTO firings (schedule_id, fire_at, outcome, reason, noted_at)"
    " SELECT 'schedule-' || (n % 12), :now - n * CAST(400000 AS BIGINT), 'skipped', 'paused', :now FROM series"),
    "alerts": (100, "INSERT INTO alerts (id, type, severity, subject, task, message, data, note, raised_at,"
    " last_at, cleared_at, cleared_by) SELECT 'alert-' || n, 'task_failure', 'ERROR', 'task_failure:' || n,"
    " 'task-' || (n % {tasks}), 'it failed', '{{}}', 'n' || n, :now - n * CAST(1000000 AS BIGINT), :now,"
    " CASE WHEN n > 50 THEN :now ELSE NULL END, CASE WHEN n > 50 THEN 'ann' ELSE NULL END FROM series"),
    "notifications": (100, "INSERT INTO notifications (id, alert_id, channel, occasion, body, state, created_at,"
    " sent_at) SELECT 'note-' || n, 'alert-' || n, 'mail', 'raised', '{{}}', 'sent',"
    " :now - n * CAST(1000000 AS BIGINT), :now FROM series"),
    "audit": (10, "INSERT INTO audit_records (seq, acted_at, actor, actor_kind, action, target_kind, target_id,"
    " previous_hash, hash) SELECT n + 100000000, :now - ({count} - n) * CAST(100000 AS BIGINT), 'ann', 'person',"
    " 'run.cancelled', 'run', 'run-' || n, '{hash}', '{hash}' FROM series ORDER BY n"),
    "accounts": (None, "INSERT INTO desk_accounts (name, currency, initial, broker, opened_at, version, seq, peak,"
    " cursor_at, cursor_opened, prices, breached, sync) SELECT 'account-' || n, 'USD', '10000', 'paper', 0, 0,"
    " {entries}, '10000', 0, 0, '{{}}', 0, '{{}}' FROM series WHERE n <= 3"),
    "orders": (10, "INSERT INTO desk_orders (id, account, symbol, side, type, quantity, time_in_force, state,"
    " filled, created_at, effective_at, updated_at, fence, ordinal, priority) SELECT 'order-' || n, 'account-1',"
    " 'SYM-' || (n % 20), 'buy', 'market', '1', 'gtc', 'filled', '1', :now - n * CAST(100000 AS BIGINT),"
    " :now - n * CAST(100000 AS BIGINT), :now - n * CAST(100000 AS BIGINT), 1, 1, 5 FROM series"),
    "entries": (10, "INSERT INTO desk_entries (account, seq, kind, happened_at, currency, amount, fee, symbol,"
    " quantity, price, order_id) SELECT 'account-1', n, 'fill', :now - ({count} - n) * CAST(100000 AS BIGINT),"
    " 'USD', CASE n % 2 WHEN 1 THEN '-10' ELSE '10' END, '0', 'SYM-' || (n / 2 % 20),"
    " CASE n % 2 WHEN 1 THEN '1' ELSE '-1' END, '10', 'order-' || n FROM series ORDER BY n"),
    "snapshots": (10, "INSERT INTO desk_snapshots (account, taken_at, value, cash, peak, flows, realized,"
    " unrealized, exposure) SELECT 'account-1', :now - ({count} - n) * CAST(100000 AS BIGINT), '10000', '9990',"
    " '10000', '10000', '0', '0', '10' FROM series ORDER BY n"),
}  # fmt: skip

_FIGURES = (
    "INSERT INTO run_figures (width_s, task, bucket_at, worker, batch, figures)"
    " VALUES (:width_s, :task, :bucket_at, :worker, 1, :figures)"
)
#: All that is kept of a width, with the runs of a task in each: a day of minutes, a month of
#: hours, some days, and the sum. A million runs are what one day of them is.
_BUCKETS = ((60, 26 * 60, 7), (3_600, 33 * 24, 420), (86_400, 60, 10_000), (0, 1, 10_000))


def fill(app: App, count: int) -> None:
    """Fill an empty store with `count` runs that ended, and what comes with them.

    Events, audit records, orders, entries and snapshots are a tenth as many, alerts a hundredth.
    Figures of performance are all that is ever kept, however many runs there are.
    """
    store, now = app.store, app.clock.micros()
    identity = _ID[store.dialect]
    with store.database.writing() as connection:
        for statement, number in ((_ENDED, count), (_ACTIVE, 1_000)):
            _execute(connection, statement, number, now, id=identity)
        for share, statement in _REST.values():
            number = 3 if share is None else max(count // share, 2)
            _execute(connection, " " + statement, number, now, entries=count // 10, hash="a" * 64)
        connection.execute(text(_FIGURES), _figures(now))
    with store.database.writing() as connection:
        connection.execute(text("ANALYZE"))


def _execute(connection: Connection, statement: str, count: int, now: int, **more: Any) -> None:
    sql = (_SERIES + statement).format(count=count, tasks=TASKS, **more)
    connection.execute(text(sql), {"now": now} if ":now" in sql else {})


def _figures(now: int) -> list[dict[str, Any]]:
    names = ["", *(f"task-{number}" for number in range(TASKS))]
    some = {
        width: [_some(random.Random(seed), runs) for seed in range(20)]
        for width, _, runs in _BUCKETS
    }
    return [
        {
            "width_s": width,
            "task": name,
            "bucket_at": (now // (width * 1_000_000) - number) * width * 1_000_000 if width else 0,
            "worker": "worker-1" if width == 60 else "",
            "figures": some[width][(number + place) % 20],
        }
        for width, buckets, _ in _BUCKETS
        for place, name in enumerate(names)
        for number in range(buckets)
    ]


def _some(chance: random.Random, runs: int) -> bytes:
    figures = Figures()
    figures.success = runs
    for sketch in (figures.durations, figures.lateness, figures.waits):
        sketch.add([int(chance.lognormvariate(9, 1.5)) for _ in range(figures.success)])
    return figures.encode()
