"""Watch: looks at the store again and again, and says what is different."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from closingbell.api.stream.cursor import Cursor
from closingbell.api.stream.frame import Frame, Told
from closingbell.wire.stream import Topic

if TYPE_CHECKING:
    from closingbell.core.clock import Clock
    from closingbell.store.changes import Look, StoredChanges
    from closingbell.store.store import Store

#: Commits may be so late, and clocks so far apart, in seconds; nothing is told twice for it but
#: to those who come again.
OVERLAP_S = 10.0
#: Rows of each kind that one look takes in.
MOST_ROWS = 2_000
#: More changes in one look than this are counted instead of told.
MOST_CHANGES = 500
#: Clients are told to read again this often at most, in seconds.
_SUMMARY_EVERY_S = 2.0
#: Marks of runs that are remembered.
_REMEMBERED = 20_000


class Watch:
    """What one process knows of a store; used by one thread at a time."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._changes: StoredChanges = store.changes
        self._store_id = store.id[:8]
        self._clock = clock
        self._overlap_us = round(OVERLAP_S * max(1.0, clock.speed) * 1_000_000)
        self._record = 0
        self._runs: OrderedDict[str, tuple[Any, ...]] = OrderedDict()
        self._running: frozenset[str] = frozenset()
        self._held: frozenset[str] = frozenset()
        self._alerts: OrderedDict[str, tuple[Any, ...]] = OrderedDict()
        self._workers: dict[str, tuple[Any, ...]] = {}
        self._events: OrderedDict[str, None] = OrderedDict()
        self._pending: Counter[Topic] = Counter()
        self._summary_after = 0.0
        self._begun = False
        self._was_whole = True

    # --- from look to look ---------------------------------------------------------------

    @property
    def cursor(self) -> Cursor:
        """Where somebody is who knows all that this watch has told."""
        return self._cursor

    @property
    def saw_all(self) -> bool:
        """Whether the last look took in all that there was."""
        return self._was_whole

    def begin(self) -> None:
        """Take in how everything stands; nothing of it is a change."""
        self._record = self._changes.last_record()
        self.step()
        self._pending.clear()
        self._was_whole = True

    def step(self) -> Frame | None:
        """Look once; return what changed since the last look, or None."""
        now = self._clock.micros()
        look = self._changes.look(now - self._overlap_us, now, self._record, MOST_ROWS)
        first, self._begun = not self._begun, True
        told = self._differences(look, first)
        if look.records:
            self._record = look.records[-1]["seq"]
        self._cursor = Cursor(self._store_id, now, self._record)
        return self._frame(told, look.whole)

    def _frame(self, told: list[Told] | Counter[Topic], whole: bool) -> Frame | None:
        if isinstance(told, Counter):
            self._pending += told
        elif whole and not self._was_whole:
            # What was too much to be seen whole is over; something may have been left out.
            self._pending[Topic.RUNS] += 1
        self._was_whole = whole
        if self._pending and self._clock.monotonic() >= self._summary_after:
            self._summary_after = self._clock.monotonic() + _SUMMARY_EVERY_S
            counts, self._pending = self._pending, Counter()
            if not isinstance(told, Counter):
                counts.update(change.noun for change in told)
            return Frame(self._cursor, counts=counts)
        if isinstance(told, Counter) or not told:
            return None
        return Frame(self._cursor, told)

    def _differences(self, look: Look, first: bool) -> list[Told] | Counter[Topic]:
        changed = self._changed_runs(look)
        alerts = [row for row in look.alerts if _is_new(self._alerts, row["id"], _alert_mark(row))]
        happened = [row for row in look.events if _is_new(self._events, row["id"], None)]
        workers, gone = self._changed_workers(look.workers)
        held = frozenset(look.held)
        asked = (held ^ self._held) if len(held) < MOST_ROWS else held - self._held
        self._held = held
        if first:
            return []
        if len(changed) > MOST_CHANGES:
            counts = Counter({Topic.RUNS: len(changed)})
            counts[Topic.APPROVALS] += len(asked)
            counts[Topic.ALERTS] += len(alerts)
            counts[Topic.EVENTS] += len(happened)
            counts[Topic.WORKERS] += len(workers) + len(gone)
            counts[Topic.AUDIT] += len(look.records)
            counts[Topic.SCHEDULES] += len(_targets(look.records, "schedule"))
            counts[Topic.EVENT_TRIGGERS] += len(_targets(look.records, "event trigger"))
            return +counts
        rows = self._changes.runs(changed)
        for row in rows:
            self._remember(row["id"], _row_mark(row))
        return [
            *(Told(Topic.RUNS, row["id"], row) for row in rows),
            *(Told(Topic.APPROVALS, run, {"waiting": run in held}) for run in sorted(asked)),
            *(Told(Topic.ALERTS, row["id"], row) for row in alerts),
            *(Told(Topic.EVENTS, row["id"], row) for row in happened),
            *(Told(Topic.WORKERS, row["id"], row) for row in workers),
            *self._departed(gone),
            *self._acts(look.records),
        ]

    def _changed_runs(self, look: Look) -> list[str]:
        changed: dict[str, None] = {}
        seen: set[str] = set()
        for mark in look.runs:
            if self._runs.get(mark.id) != mark[1:]:
                changed[mark.id] = None
            self._remember(mark.id, mark[1:])
            if mark.state != "running":
                seen.add(mark.id)
        running = frozenset(look.running)
        if len(running) < MOST_ROWS:
            # Given back, or waiting for another attempt: they left without an end.
            changed.update(dict.fromkeys(self._running - running - seen))
        self._running = running
        changed.update(dict.fromkeys(_targets(look.records, "run")))
        return list(changed)

    def _remember(self, run_id: str, mark: tuple[Any, ...]) -> None:
        self._runs[run_id] = mark
        self._runs.move_to_end(run_id)
        if len(self._runs) > _REMEMBERED:
            self._runs.popitem(last=False)

    def _changed_workers(
        self, alive: Iterable[Mapping[str, Any]]
    ) -> tuple[list[dict[str, Any]], list[str]]:
        now = {row["id"]: tuple(row.values()) for row in alive}
        changed = [dict(row) for row in alive if self._workers.get(row["id"]) != now[row["id"]]]
        gone = [worker for worker in self._workers if worker not in now]
        self._workers = now
        return changed, gone

    def _departed(self, ids: list[str]) -> list[Told]:
        rows = {row["id"]: row for row in self._changes.workers(ids)}
        return [Told(Topic.WORKERS, worker, rows.get(worker)) for worker in ids]

    def _acts(self, records: list[dict[str, Any]]) -> list[Told]:
        told = [Told(Topic.AUDIT, str(record["seq"]), record) for record in records]
        for noun, kind, read in (
            (Topic.SCHEDULES, "schedule", self._changes.schedules),
            (Topic.EVENT_TRIGGERS, "event trigger", self._changes.event_triggers),
        ):
            ids = _targets(records, kind)
            rows = {row["id"]: row for row in read(ids)}
            told += [Told(noun, one, rows.get(one)) for one in ids]
        return told

    # --- for one who comes again -----------------------------------------------------------

    def catch_up(self, cursor: Cursor) -> Frame | None:
        """Return what changed since a cursor of this store, of whatever process; None = nothing.

        It remembers nothing, and may be called beside `step`.
        """
        now = self._clock.micros()
        look = self._changes.look(
            cursor.at - self._overlap_us, now, cursor.record, MOST_CHANGES + 1
        )
        here = Cursor(
            self._store_id, now, look.records[-1]["seq"] if look.records else cursor.record
        )
        ids = dict.fromkeys([mark.id for mark in look.runs])
        ids.update(dict.fromkeys(_targets(look.records, "run")))
        if not look.whole or len(ids) > MOST_CHANGES:
            return Frame(here, counts=Counter(dict.fromkeys(Topic, 1)))
        told = [
            *(Told(Topic.RUNS, row["id"], row) for row in self._changes.runs(ids)),
            *(Told(Topic.APPROVALS, run, {"waiting": True}) for run in look.held),
            *(Told(Topic.ALERTS, row["id"], row) for row in look.alerts),
            *(Told(Topic.EVENTS, row["id"], row) for row in look.events),
            *(Told(Topic.WORKERS, row["id"], row) for row in look.workers),
            *self._acts(look.records),
        ]
        return Frame(here, told) if told else None

    def running(self) -> list[str] | None:
        """Return the ids of the runs at work; None when they are too many."""
        running = self._changes.running(MOST_ROWS)
        return running if len(running) < MOST_ROWS else None


def _is_new(known: OrderedDict[str, Any], key: str, mark: Any) -> bool:
    if key in known and known[key] == mark:
        known.move_to_end(key)
        return False
    known[key] = mark
    known.move_to_end(key)
    if len(known) > _REMEMBERED:
        known.popitem(last=False)
    return True


def _alert_mark(row: Mapping[str, Any]) -> tuple[Any, ...]:
    names = ("severity", "count", "last_at", "acknowledged_at", "cleared_at")
    return tuple(row[name] for name in names)


def _row_mark(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return (row["fence"], row["state"], row["hold"], row["cancel_requested_at"])


def _targets(records: Iterable[Mapping[str, Any]], kind: str) -> list[str]:
    return list(dict.fromkeys(one["target_id"] for one in records if one["target_kind"] == kind))
