"""The statements of the queue on PostgreSQL.

A state that is written `IN ('running', '')` is the same as `= 'running'` but for
the planner, which then cannot take the partial index of that state: batches name
their runs by id, and with stale statistics it would read all running runs for
each of them.
"""

from __future__ import annotations

from closingbell.core.run import RunTemplate

_TEMPLATE = ", ".join(RunTemplate._fields)
_MARKS = ", ".join(["%s"] * len(RunTemplate._fields))
_STARTED = ", ".join(
    "CASE WHEN waits THEN 'pending' ELSE 'running' END" if name == "state" else f"%({name})s"
    for name in RunTemplate._fields
)

INSERT_ONE = (
    f"INSERT INTO runs (id, payload, lane, {_TEMPLATE}) VALUES (%s, %s, %s, {_MARKS})"
    " ON CONFLICT DO NOTHING"
)
INSERT_MANY = f"""
INSERT INTO runs ({_TEMPLATE}, id, payload, lane)
SELECT {_MARKS}, id, payload, lane
FROM unnest(%s::text[], %s::text[], %s::text[]) AS item (id, payload, lane)
ON CONFLICT DO NOTHING
"""
_RUNNING_COLUMNS = f"id, payload, {_TEMPLATE}, fence, attempt, worker_id, started_at"
# A run that waits already goes first; then this one is stored as pending behind it.
INSERT_STARTED = f"""
WITH line AS MATERIALIZED (
  SELECT EXISTS (SELECT 1 FROM runs WHERE state = 'pending' AND lane IS NULL
                  AND executor = %(executor)s LIMIT 1) AS waits
)
INSERT INTO runs ({_RUNNING_COLUMNS})
SELECT %(id)s, %(payload)s, {_STARTED},
       CASE WHEN waits THEN 0 ELSE 1 END, CASE WHEN waits THEN 0 ELSE 1 END,
       CASE WHEN waits THEN NULL ELSE %(worker)s END,
       CASE WHEN waits THEN NULL ELSE %(now)s::bigint END
FROM line ON CONFLICT DO NOTHING RETURNING state
"""
_RUNNING = ", ".join(
    "'running'" if name == "state" else f"%({name})s" for name in RunTemplate._fields
)
INSERT_RUNNING = f"""
INSERT INTO runs ({_RUNNING_COLUMNS})
VALUES (%(id)s, %(payload)s, {_RUNNING}, 1, 1, %(worker)s, %(now)s)
ON CONFLICT DO NOTHING RETURNING state
"""
HOLDER = "SELECT id FROM runs WHERE task = %s AND key = %s"

_CLAIM_COLUMNS = (
    "id, {fence}, task, payload, {attempt}, max_attempts, timeout_s, due_at, fire_at,"
    " session_date, schedule_id, executor, lost_count, cancel_reason, {started}, trace"
)
_HELD_ARRAY = "json_build_array({})".format(
    _CLAIM_COLUMNS.format(fence="fence", attempt="attempt", started="started_at")
)
_NEXT_ARRAY = "json_build_array({})".format(
    _CLAIM_COLUMNS.format(
        fence="fence + 1", attempt="attempt + 1", started="greatest(%(now)s::bigint, due_at)"
    )
)
_CLAIMED = (
    "state = 'running', fence = runs.fence + 1, attempt = runs.attempt + 1, reason = NULL,"
    " worker_id = {worker}, started_at = greatest({now}, runs.due_at)"
)
_UNTIL_LANES_WAIT = (
    """
lanes AS MATERIALIZED (
  SELECT EXISTS (
    SELECT 1 FROM unnest(%(executors)s::text[]) AS place (executor), LATERAL (
      SELECT 1 FROM runs WHERE state = 'pending' AND lane IS NOT NULL
       AND runs.executor = place.executor LIMIT 1) AS waiting) AS wait
),
picked AS MATERIALIZED (
  SELECT first.ctid, place.executor AS kind, first.priority AS last_priority,
         first.due_at AS last_due, first.id AS last_id
  FROM unnest(%(executors)s::text[], %(free)s::int[], %(priorities)s::int[],
              %(dues)s::bigint[], %(after)s::text[])
         AS place (executor, free, priority, due_at, id),
  LATERAL (
    SELECT ctid, priority, due_at, id FROM runs
    WHERE state = 'pending' AND lane IS NULL AND runs.executor = place.executor
      AND (runs.priority, runs.due_at, runs.id) > (place.priority, place.due_at, place.id)
      AND task <> ALL (%(unknown)s::text[])
    ORDER BY priority, due_at, id
    LIMIT CASE WHEN (SELECT wait FROM lanes) THEN 0 ELSE place.free END
    FOR UPDATE SKIP LOCKED) AS first
),
claimed AS (
  UPDATE runs SET """
    + _CLAIMED.format(worker="%(worker)s", now="%(now)s::bigint")
    + f"""
  FROM picked WHERE runs.ctid = picked.ctid AND runs.state IN ('pending', '')
  RETURNING {_HELD_ARRAY} AS claim
)"""
)
_CLAIMS = """
(SELECT coalesce(json_agg(claim), '[]')::text FROM claimed),
(SELECT coalesce(json_agg(last_of_kind), '[]')::text FROM (
   SELECT json_build_array(kind, (array_agg(last_priority))[count(*)],
     (array_agg(last_due))[count(*)], (array_agg(last_id))[count(*)]) AS last_of_kind
   FROM picked GROUP BY kind) AS lasts)"""
_PLAIN = """
settled AS (
  UPDATE runs SET state = 'success', outcome = 'returned', finished_at = j.finished_at,
    result = j.result, started_at = coalesce(j.started_at, runs.started_at)
  FROM unnest(%(ids)s::text[], %(fences)s::bigint[], %(finished)s::bigint[], %(results)s::text[],
              %(started)s::bigint[])
    AS j (id, fence, finished_at, result, started_at)
  WHERE runs.id = j.id AND runs.fence = j.fence AND runs.state IN ('running', '')
  RETURNING 1
)"""
EXCHANGE = f"""
WITH {_PLAIN}, {_UNTIL_LANES_WAIT}
SELECT (SELECT count(*) FROM settled), (SELECT wait FROM lanes), {_CLAIMS}
"""
_REST = """
rest (id, fence, state, outcome, attempt, finished_at, due_at, result, error, reason, lost,
      ledger, started_at) AS MATERIALIZED (
  SELECT * FROM unnest(%(r_ids)s::text[], %(r_fences)s::bigint[], %(r_states)s::text[],
    %(r_outcomes)s::text[], %(r_attempts)s::int[], %(r_finished)s::bigint[],
    %(r_due)s::bigint[], %(r_results)s::text[], %(r_errors)s::text[], %(r_reasons)s::text[],
    %(r_lost)s::int[], %(r_ledger)s::int[],
    %(r_started)s::bigint[])
),
ended AS (
  UPDATE runs SET
    state = CASE WHEN {again} AND cancel_requested_at IS NOT NULL THEN 'cancelled'
            ELSE rest.state END,
    finished_at = CASE WHEN {again} AND cancel_requested_at IS NULL THEN NULL
                  ELSE rest.finished_at END,
    reason = CASE WHEN {again} AND cancel_requested_at IS NOT NULL THEN cancel_reason
             ELSE rest.reason END,
    outcome = rest.outcome, attempt = rest.attempt,
    due_at = coalesce(rest.due_at, runs.due_at), result = rest.result,
    error = coalesce(rest.error, runs.error), lost_count = lost_count + rest.lost,
    started_at = coalesce(rest.started_at, runs.started_at)
  FROM rest
  WHERE runs.id = rest.id AND runs.fence = rest.fence AND runs.state IN ('running', '')
  RETURNING runs.id, runs.task, rest.finished_at
),
ledger AS (
  INSERT INTO attempts (run_id, fence, number, outcome, worker_id, started_at, finished_at,
                        error, reason)
  SELECT runs.id, runs.fence, runs.attempt, rest.outcome, runs.worker_id,
         coalesce(rest.started_at, runs.started_at), rest.finished_at, rest.error, rest.reason
  FROM ended JOIN rest ON rest.id = ended.id AND rest.ledger = 1
       JOIN runs ON runs.id = ended.id
),
logged AS (
  INSERT INTO run_logs (run_id, fence, seq, stream, text, written_at)
  SELECT rest.id, rest.fence, piece.number + coalesce((
           SELECT max(seq) + 1 FROM run_logs
           WHERE run_logs.run_id = rest.id AND run_logs.fence = rest.fence), 0),
         piece.stream, piece.text, rest.finished_at
  FROM unnest(%(l_ids)s::text[], %(l_numbers)s::int[], %(l_streams)s::text[], %(l_texts)s::text[])
         AS piece (id, number, stream, text)
       JOIN ended ON ended.id = piece.id JOIN rest ON rest.id = piece.id
),
alerted AS (
  INSERT INTO alerts (id, type, severity, subject, task, run_id, message, data, note, raised_at,
                      last_at, count)
  SELECT DISTINCT ON (note.type, ended.task)
         note.id, note.type, note.severity, note.type || ':' || ended.task, ended.task, ended.id,
         note.message, note.data, note.id, ended.finished_at, ended.finished_at,
         count(*) OVER (PARTITION BY note.type, ended.task)
  FROM unnest(%(a_runs)s::text[], %(a_ids)s::text[], %(a_types)s::text[], %(a_messages)s::text[],
              %(a_data)s::text[], %(a_severities)s::text[])
         AS note (run_id, id, type, message, data, severity)
       JOIN ended ON ended.id = note.run_id
  ORDER BY note.type, ended.task, ended.finished_at DESC, note.id DESC
  ON CONFLICT (subject) WHERE cleared_at IS NULL DO UPDATE SET
    count = alerts.count + excluded.count, run_id = excluded.run_id, message = excluded.message,
    data = excluded.data, note = excluded.note, last_at = excluded.last_at
    WHERE alerts.note <> excluded.note
)""".format(again="rest.state IN ('scheduled', 'pending')")
EXCHANGE_FULL = f"""
WITH {_PLAIN}, {_REST}, {_UNTIL_LANES_WAIT}
SELECT (SELECT count(*) FROM settled) + (SELECT count(*) FROM ended),
       (SELECT wait FROM lanes), {_CLAIMS}
"""
# Refused is what is neither in its run's row nor, followed by another attempt, in the ledger.
REFUSED = """
SELECT j.id FROM unnest(%s::text[], %s::bigint[], %s::text[], %s::bigint[])
  AS j (id, fence, outcome, finished_at)
WHERE NOT EXISTS (
    SELECT 1 FROM runs WHERE runs.id = j.id AND runs.fence = j.fence
     AND runs.outcome = j.outcome AND runs.finished_at = j.finished_at)
  AND NOT EXISTS (
    SELECT 1 FROM attempts WHERE attempts.run_id = j.id AND attempts.fence = j.fence
     AND attempts.outcome = j.outcome AND attempts.finished_at = j.finished_at)
"""
HELD = (
    f"SELECT coalesce(json_agg({_HELD_ARRAY}), '[]')::text FROM runs"
    " WHERE state = 'running' AND worker_id = %s"
)

# --- limits --------------------------------------------------------------------------

LANE_LOCK = "SELECT pg_advisory_xact_lock(7165065)"
# One seek for each lane that waits, however many runs wait in it.
WAITING_LANES = """
WITH RECURSIVE waiting (lane) AS (
  (SELECT lane FROM runs WHERE state = 'pending' AND lane IS NOT NULL
    AND executor = %(executor)s ORDER BY lane LIMIT 1)
  UNION ALL
  SELECT (SELECT runs.lane FROM runs WHERE state = 'pending' AND runs.lane IS NOT NULL
           AND executor = %(executor)s AND runs.lane > waiting.lane ORDER BY runs.lane LIMIT 1)
  FROM waiting WHERE waiting.lane IS NOT NULL
)
SELECT lane FROM waiting WHERE lane IS NOT NULL
"""
CANDIDATES = f"""
WITH found AS MATERIALIZED (
  SELECT first.* FROM unnest(%(lanes)s::text[], %(places)s::int[]) AS place (lane, free), LATERAL (
    SELECT * FROM runs
    WHERE state = 'pending' AND runs.lane IS NOT NULL AND runs.lane = place.lane
      AND executor = %(executor)s AND task <> ALL (%(unknown)s::text[])
    ORDER BY priority, due_at, id LIMIT place.free FOR UPDATE SKIP LOCKED) AS first
),
free AS MATERIALIZED (
  SELECT * FROM runs
  WHERE state = 'pending' AND lane IS NULL AND executor = %(executor)s
    AND task <> ALL (%(unknown)s::text[])
  ORDER BY priority, due_at, id LIMIT %(free)s FOR UPDATE SKIP LOCKED
),
both_kinds AS (SELECT * FROM found UNION ALL SELECT * FROM free)
SELECT coalesce(json_agg(json_build_array(priority, due_at, lane, {_NEXT_ARRAY})), '[]')::text
FROM both_kinds
"""
CLAIM = (
    "UPDATE runs SET "
    + _CLAIMED.format(worker="mine.worker", now="mine.now")
    + " FROM (SELECT %s::text AS worker, %s::bigint AS now) AS mine,"
    " unnest(%s::text[]) AS j (id)"
    " WHERE runs.id = j.id AND runs.state IN ('pending', '')"
)
RUNNING_LANES = (
    "SELECT lane, count(*) FROM runs WHERE state = 'running' AND lane IS NOT NULL GROUP BY lane"
)
USED = "SELECT coalesce(sum(units), 0) FROM rate_uses WHERE bucket = %s AND used_at > %s"
FIRST_USE = "SELECT min(used_at) FROM rate_uses WHERE bucket = %s AND used_at > %s"
USE = "INSERT INTO rate_uses (bucket, used_at, units, window_us) VALUES (%s, %s, %s, %s)"

# --- time ----------------------------------------------------------------------------

PROMOTE = """
UPDATE runs SET state = 'pending' FROM (
  SELECT ctid FROM runs WHERE state = 'scheduled' AND hold IS NULL AND due_at <= %s
  ORDER BY due_at, id LIMIT %s FOR UPDATE SKIP LOCKED) AS due
WHERE runs.ctid = due.ctid AND runs.state IN ('scheduled', '') AND runs.hold IS NULL
"""
NEXT_DUE = (
    "SELECT due_at FROM runs WHERE state = 'scheduled' AND hold IS NULL ORDER BY due_at, id LIMIT 1"
)
SERVER_MICROS = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
