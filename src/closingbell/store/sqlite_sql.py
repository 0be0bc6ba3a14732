"""The SQL of the queue on SQLite.

States are literals: a partial index is chosen when a statement is prepared, and
what is bound later is not seen.
"""

from __future__ import annotations

from functools import cache

from closingbell.core.run import RunTemplate

CLAIM_COLUMNS = (
    "id, fence + 1, task, payload, attempt + 1, max_attempts, timeout_s, due_at, fire_at,"
    " session_date, schedule_id, executor, lost_count, cancel_reason, {now}, trace"
)
TEMPLATE = (
    "task, executor, priority, state, due_at, max_attempts, timeout_s, submitted_at, cause,"
    " tags, key, schedule_id, fire_at, session_date, event_id, hold, batch_id,"
    " requested_by, trace"
)
INSERT_ONE = (
    f"INSERT INTO runs (id, payload, lane, {TEMPLATE})"
    f" VALUES (?, ?, ?{', ?' * len(RunTemplate._fields)}) ON CONFLICT DO NOTHING"
)
INSERT_MANY = (
    f"INSERT INTO runs (id, payload, lane, {TEMPLATE})"
    " SELECT value ->> 0, value ->> 1, value ->> 2"
    f"{', ?' * len(RunTemplate._fields)} FROM json_each(?) WHERE true ON CONFLICT DO NOTHING"
)
# Runs that share nothing: each is an array of the columns, in their order.
INSERT_EACH = (
    f"INSERT INTO runs (id, payload, lane, {TEMPLATE}) SELECT"
    f" {', '.join(f'value ->> {n}' for n in range(3 + len(RunTemplate._fields)))}"
    " FROM json_each(?) WHERE true ON CONFLICT DO NOTHING"
)
KNOWN_IDS = "SELECT json_group_array(id) FROM runs WHERE id IN (SELECT value FROM json_each(?))"
AUDIT_COLUMNS = (
    "seq, acted_at, actor, actor_kind, action, target_kind, target_id, reason,"
    " before_json, after_json, previous_hash, hash"
)
INSERT_RECORDS = (
    f"INSERT INTO audit_records ({AUDIT_COLUMNS}) SELECT"
    f" {', '.join(f'value ->> {n}' for n in range(12))} FROM json_each(?)"
)
SETTLE_SUCCESS = (
    "UPDATE runs SET state = 'success', outcome = 'returned', finished_at = j.value ->> 2,"
    " result = j.value ->> 3, started_at = coalesce(j.value ->> 4, started_at)"
    " FROM json_each(?) AS j"
    " WHERE runs.id = j.value ->> 0 AND runs.state = 'running' AND runs.fence = j.value ->> 1"
)
# A run whose cancellation was asked for does not start another attempt.
SETTLE = """
UPDATE runs SET
  state = CASE WHEN cancel_requested_at IS NOT NULL AND j.value ->> 2 IN ('scheduled', 'pending')
          THEN 'cancelled' ELSE j.value ->> 2 END,
  finished_at = CASE WHEN cancel_requested_at IS NULL
                      AND j.value ->> 2 IN ('scheduled', 'pending')
                THEN NULL ELSE j.value ->> 5 END,
  reason = CASE WHEN cancel_requested_at IS NOT NULL AND j.value ->> 2 IN ('scheduled', 'pending')
           THEN cancel_reason ELSE j.value ->> 9 END,
  outcome = j.value ->> 3, attempt = j.value ->> 4,
  due_at = coalesce(j.value ->> 6, due_at), result = j.value ->> 7,
  error = coalesce(j.value ->> 8, CASE WHEN j.value ->> 2 = 'success' THEN NULL ELSE error END),
  lost_count = lost_count + (j.value ->> 10),
  started_at = coalesce(j.value ->> 11, started_at)
FROM json_each(?) AS j
WHERE runs.id = j.value ->> 0 AND runs.state = 'running' AND runs.fence = j.value ->> 1
"""
LEDGER = """
INSERT INTO attempts (run_id, fence, number, outcome, worker_id, started_at, finished_at,
                      error, reason)
SELECT runs.id, runs.fence, runs.attempt, j.value ->> 3, runs.worker_id,
       coalesce(j.value ->> 11, runs.started_at),
       j.value ->> 5, j.value ->> 8, j.value ->> 9
FROM json_each(?) AS j JOIN runs ON runs.id = j.value ->> 0
WHERE runs.state = 'running' AND runs.fence = j.value ->> 1
"""
LOGS = """
INSERT INTO run_logs (run_id, fence, seq, stream, text, written_at)
SELECT j.value ->> 0, j.value ->> 1,
       j.value ->> 2 + coalesce((SELECT max(seq) + 1 FROM run_logs
         WHERE run_id = j.value ->> 0 AND fence = j.value ->> 1), 0),
       j.value ->> 3, j.value ->> 4, j.value ->> 5
FROM json_each(?) AS j
"""
ALERTS = """
INSERT INTO alerts (id, type, severity, subject, task, run_id, message, data, note, raised_at,
                    last_at)
SELECT j.value ->> 1, j.value ->> 2, j.value ->> 5, (j.value ->> 2) || ':' || task, task, runs.id,
       j.value ->> 3, j.value ->> 4, j.value ->> 1, j.value ->> 6, j.value ->> 6
FROM json_each(?) AS j JOIN runs ON runs.id = j.value ->> 0 WHERE true
ON CONFLICT (subject) WHERE cleared_at IS NULL DO UPDATE SET
  count = count + 1, run_id = excluded.run_id, message = excluded.message, data = excluded.data,
  note = excluded.note, last_at = excluded.last_at
  WHERE alerts.note <> excluded.note
ON CONFLICT DO NOTHING
"""
# Refused is what is neither in its run's row nor, followed by another attempt, in the ledger.
STALE = """
SELECT json_group_array(j.value ->> 0) FROM json_each(?) AS j WHERE NOT EXISTS (
  SELECT 1 FROM runs WHERE runs.id = j.value ->> 0 AND runs.fence = j.value ->> 1
   AND runs.outcome = j.value ->> 2 AND runs.finished_at = j.value ->> 3)
 AND NOT EXISTS (
  SELECT 1 FROM attempts WHERE run_id = j.value ->> 0 AND attempts.fence = j.value ->> 1
   AND attempts.outcome = j.value ->> 2 AND attempts.finished_at = j.value ->> 3)
"""
CLAIM_ARRAY = f"json_array({CLAIM_COLUMNS.format(now='max(?1, due_at)')})"
CANDIDATE_ROWS = (
    " FROM (SELECT * FROM runs WHERE state = 'pending' AND lane IS NULL AND executor = ?2{unknown}"
    " ORDER BY priority, due_at, id LIMIT ?3)"
)
CANDIDATES = f"SELECT json_group_array({CLAIM_ARRAY})" + CANDIDATE_ROWS
ORDERED_CANDIDATES = (
    f"SELECT json_group_array(json_array(priority, due_at, {CLAIM_ARRAY}))" + CANDIDATE_ROWS
)
CLAIM = (
    "UPDATE runs SET state = 'running', fence = fence + 1, attempt = attempt + 1,"
    " worker_id = ?1, started_at = max(?2, due_at), reason = NULL"
    " WHERE id IN (SELECT value FROM json_each(?3)) AND state = 'pending'"
)
# One seek for each lane that waits, however many runs wait in it.
WAITING_LANES = """
WITH RECURSIVE waiting (lane) AS (
  SELECT min(lane) FROM runs WHERE state = 'pending' AND lane IS NOT NULL AND executor = ?1
  UNION ALL
  SELECT (SELECT min(lane) FROM runs WHERE state = 'pending' AND lane IS NOT NULL
           AND executor = ?1 AND lane > waiting.lane)
  FROM waiting WHERE waiting.lane IS NOT NULL
)
SELECT lane FROM waiting WHERE lane IS NOT NULL
"""
LANE_CANDIDATES = (
    f"SELECT json_group_array(json_array(priority, due_at, {CLAIM_ARRAY})) FROM"
    " (SELECT * FROM runs WHERE state = 'pending' AND lane = ?2 AND executor = ?3{unknown}"
    " ORDER BY priority, due_at, id LIMIT ?4)"
)
RUNNING_LANES = (
    "SELECT lane, count(*) FROM runs WHERE state = 'running' AND lane IS NOT NULL GROUP BY lane"
)
USED = "SELECT coalesce(sum(units), 0) FROM rate_uses WHERE bucket = ? AND used_at > ?"
FIRST_USE = "SELECT min(used_at) FROM rate_uses WHERE bucket = ? AND used_at > ?"
USE = "INSERT INTO rate_uses (bucket, used_at, units, window_us) VALUES (?, ?, ?, ?)"
PROMOTE = (
    "UPDATE runs SET state = 'pending' WHERE id IN (SELECT id FROM runs"
    " WHERE state = 'scheduled' AND hold IS NULL AND due_at <= ? ORDER BY due_at, id LIMIT ?)"
    " AND state = 'scheduled' AND hold IS NULL"
)
NEXT_DUE = "SELECT min(due_at) FROM runs WHERE state = 'scheduled' AND hold IS NULL"
INSERT_CLAIMED = (
    f"INSERT INTO runs (id, payload, lane, {TEMPLATE}, worker_id, started_at, attempt, fence)"
    f" VALUES (?, ?, ?{', ?' * len(RunTemplate._fields)}, ?, ?, 1, 1) ON CONFLICT DO NOTHING"
)


@cache
def waiting(kinds: int) -> str:
    """Return the statement that says of each executor kind whether runs wait: plain, in lanes."""
    looks = ", ".join(
        f"EXISTS (SELECT 1 FROM runs WHERE state = 'pending' AND lane IS {lane}"
        f" AND executor = ?{number})"
        for number in range(1, kinds + 1)
        for lane in ("NULL", "NOT NULL")
    )
    return f"SELECT {looks}"
