"""The queue on SQLite: one pen, and whoever holds it writes for everybody who waits.

Every hot verb adds its operation to a list and asks for the pen. The thread that
gets it runs all listed operations, settles what this process's worker has ended
and claims what it wants, in one transaction: under load one fsync serves many
runs, and a run that is submitted to an idle worker is claimed by the very commit
that stores it.

Whole batches travel as one JSON argument and one JSON result. Each statement is
then a single step inside SQLite, which does not hold Python's global lock, while
the worker's loop runs handlers.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from closingbell.core.clock import Clock
from closingbell.core.port import Claimer, Want
from closingbell.core.run import Claim, RunItem, RunTemplate, Settlement
from closingbell.store import sqlite_sql as sql
from closingbell.store.codec import read_claims, storable, to_json
from closingbell.store.database import SqliteDatabase, translated
from closingbell.store.insert import insert_apart
from closingbell.store.lanes import LaneClaims
from closingbell.store.sqlite_lanes import SqliteLanes
from closingbell.store.sqlite_moment import Moment, waiting_kinds

#: Runs that one statement may carry.
CHUNK = 5_000

#: While all that waits is under a limit, it is looked at again so often, in seconds.
_BLOCKED_POLL_S = 0.02
#: Submissions that follow each other within this time carry settlements with them.
_RIDE_S = 0.002

_read_ids = msgspec.json.Decoder(list[str]).decode


class _Operation:
    """One verb that waits for the pen."""

    __slots__ = ("done", "error", "result", "work")

    def __init__(self, work: Callable[[Any, Moment], Any]) -> None:
        self.work = work
        self.done = False
        self.result: Any = None
        self.error: BaseException | None = None


class SqliteQueue:
    """The `Queue` of a SQLite store; see the port for the contract."""

    #: How often another process's writes are looked for, in seconds; a look takes microseconds.
    poll_s = 0.002

    def __init__(self, database: SqliteDatabase, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._waiting: deque[_Operation] = deque()
        self._claimers: list[Claimer] = []
        self._seen_version: int | None = None
        self._all_blocked: tuple[int, float] | None = None
        self._submitted_at = -1.0
        #: When a rate limit frees a place for a run that waits now, or None.
        self.blocked_until: int | None = None

    # --- the port ------------------------------------------------------------------

    def attach(self, claimer: Claimer) -> None:
        self._claimers.append(claimer)

    def detach(self, claimer: Claimer) -> None:
        with self._database.pen:
            if claimer in self._claimers:
                self._claimers.remove(claimer)

    def submit(
        self, template: RunTemplate, items: Sequence[RunItem], connection: Any = None
    ) -> list[str]:
        if connection is not None or template.hold is not None:
            return insert_apart(self._database, template, items, connection)

        def insert(driver: Any, now: Moment) -> list[str]:
            if len(items) == 1 and items[0].lane is None and template.state == "pending":
                claimer = now.idle_claimer(driver, template)
                if claimer is not None:
                    return _insert_claimed(driver, template, items[0], claimer, now)
            now.waiting = None
            return _insert(driver, template, items)

        ids: list[str] = self._perform(insert)
        self._submitted_at = self._clock.monotonic()
        return ids

    def exchange(self) -> bool:
        with self._database.pen, translated():
            return self._transact([])

    def promote(self, now: int, limit: int = 10_000) -> int:
        def move(driver: Any, state: Moment) -> int:
            state.waiting = None
            moved: int = driver.execute(sql.PROMOTE, (now, limit)).rowcount
            return moved

        count: int = self._perform(move)
        return count

    def next_due(self) -> int | None:
        with self._database.pen, translated():
            found: int | None = self._database.driver().execute(sql.NEXT_DUE).fetchone()[0]
            return found

    def listen(self, wake: Callable[[], None]) -> None:
        """Nothing to listen to: `changed` every `poll_s` is the hint."""

    def close(self) -> None:
        """Nothing is held beside the database's own connections."""

    def rides_along(self) -> bool:
        # On a clock that stands still "a moment ago" would last for ever.
        return self._clock.speed > 0 and self._clock.monotonic() - self._submitted_at < _RIDE_S

    def machine_micros(self) -> int:
        return self._clock.machine_micros()

    def changed(self) -> bool:
        with self._database.pen, translated():
            version = self._version(self._database.driver())
        before, self._seen_version = self._seen_version, version
        return version != before

    def _version(self, driver: Any) -> int:
        version: int = driver.execute("PRAGMA data_version").fetchone()[0]
        return version

    # --- the transaction -----------------------------------------------------------

    def _perform(self, work: Callable[[Any, Moment], Any]) -> Any:
        operation = _Operation(work)
        self._waiting.append(operation)
        with self._database.pen:
            if not operation.done:
                batch = []
                with contextlib.suppress(IndexError):
                    while True:
                        batch.append(self._waiting.popleft())
                try:
                    with translated():
                        self._transact(batch)
                except BaseException as problem:
                    for waiting in batch:
                        if not waiting.done:
                            waiting.error, waiting.done = problem, True
                    if operation.error is None:
                        raise
        if operation.error is not None:
            raise operation.error
        return operation.result

    def _transact(self, batch: list[_Operation]) -> bool:
        driver = self._database.driver()
        claimers = list(self._claimers)
        settled = [claimer.take_settlements() for claimer in claimers]
        if not batch and not any(settled) and not self._anything_wanted(driver, claimers):
            return False
        self._all_blocked = None
        stale: list[set[str]] = []
        claims: list[list[Claim]] = []
        self.blocked_until = None
        try:
            driver.execute("BEGIN IMMEDIATE")
            for ended in settled:
                stale.append(_settle(driver, ended) if ended else set())
            now = Moment(self._clock.micros(), claimers, settled)
            for operation in batch:
                self._run(driver, operation, now, alone=len(batch) == 1)
            for index, claimer in enumerate(claimers):
                want = now.rest(index)
                direct = now.direct[index]
                claims.append(direct if want is None else self._claim(driver, claimer, want, now))
            driver.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                driver.execute("ROLLBACK")
            for claimer, ended in zip(claimers, settled, strict=True):
                if ended:
                    claimer.put_back(ended)
            raise
        for operation in batch:
            operation.done = True
        for claimer, taken, ended, refused in zip(claimers, claims, settled, stale, strict=True):
            if taken or ended:
                claimer.deliver(taken, ended, refused)
        if any(settled) or any(claims):
            return True
        if not batch:
            self._all_blocked = (self._version(driver), self._clock.monotonic() + _BLOCKED_POLL_S)
        return False

    def _run(self, driver: Any, operation: _Operation, now: Moment, alone: bool) -> None:
        if alone:
            operation.result = operation.work(driver, now)
            return
        # What is undone with its savepoint must not have been claimed.
        now.claimers = []
        now.waiting = None
        driver.execute("SAVEPOINT operation")
        try:
            operation.result = operation.work(driver, now)
        except Exception as problem:
            driver.execute("ROLLBACK TO operation")
            operation.error = problem
        driver.execute("RELEASE operation")

    def _anything_wanted(self, driver: Any, claimers: list[Claimer]) -> bool:
        if self._all_blocked is not None:
            version, again_at = self._all_blocked
            waits = self.blocked_until is None or self._clock.micros() < self.blocked_until
            if waits and self._clock.monotonic() < again_at and version == self._version(driver):
                return False
        for claimer in claimers:
            want = claimer.want(())
            if want is not None and waiting_kinds(driver, want.free):
                return True
        return False

    # --- claiming ------------------------------------------------------------------

    def _claim(self, driver: Any, claimer: Claimer, want: Want, state: Moment) -> list[Claim]:
        now = state.micros
        waiting = waiting_kinds(driver, want.free)
        if not waiting:
            return state.direct[state.index(claimer)]
        unknown = ""
        if want.unknown:
            names = ", ".join("'" + name.replace("'", "''") + "'" for name in want.unknown)
            unknown = f" AND task NOT IN ({names})"
        claims: list[Claim] = []
        limited: LaneClaims | None = None
        for executor, in_lanes in waiting.items():
            free = want.free[executor]
            if in_lanes:
                # Read inside the write transaction: nobody else claims meanwhile.
                lanes = [row[0] for row in driver.execute(sql.WAITING_LANES, (executor,))]
                if limited is None:
                    limited = LaneClaims(SqliteLanes(driver, unknown, now), want.room, now)
                claims += limited.choose(executor, free, lanes)
                continue
            statement = sql.CANDIDATES.format(unknown=unknown)
            claims += read_claims(driver.execute(statement, (now, executor, free)).fetchone()[0])
        if limited is not None:
            limited.record()
            self._note_blocked(limited.blocked_until)
        if claims:
            ids = to_json([claim.id for claim in claims])
            driver.execute(sql.CLAIM, (claimer.worker_id, now, ids))
        return claims + state.direct[state.index(claimer)]

    def _note_blocked(self, until: int | None) -> None:
        if until is not None and (self.blocked_until is None or until < self.blocked_until):
            self.blocked_until = until


# --- the statements that need no state -----------------------------------------------


def _insert_claimed(
    driver: Any, template: RunTemplate, item: RunItem, claimer: Claimer, now: Moment
) -> list[str]:
    """Store a run that its worker holds from the start: one row, written once."""
    values = (item.id, item.payload, item.lane, *template._replace(state="running"))
    started = max(now.micros, template.due_at)
    cursor = driver.execute(sql.INSERT_CLAIMED, (*values, claimer.worker_id, started))
    if cursor.rowcount != 1:
        return [item.id if template.key is None else _holder(driver, template, item)]
    now.direct[now.index(claimer)].append(
        Claim(
            id=item.id,
            fence=1,
            task=template.task,
            payload=item.payload,
            attempt=1,
            max_attempts=template.max_attempts,
            timeout_s=template.timeout_s,
            due_at=template.due_at,
            fire_at=template.fire_at,
            session_date=template.session_date,
            schedule_id=template.schedule_id,
            executor=template.executor,
            lost_count=0,
            cancel_reason=None,
            started_at=started,
            trace=template.trace,
        )
    )
    return [item.id]


def _insert(driver: Any, template: RunTemplate, items: Sequence[RunItem]) -> list[str]:
    if len(items) == 1:
        item = items[0]
        cursor = driver.execute(sql.INSERT_ONE, (item.id, item.payload, item.lane, *template))
        if cursor.rowcount == 1 or template.key is None:
            return [item.id]
        return [_holder(driver, template, item)]
    for start in range(0, len(items), CHUNK):
        driver.execute(sql.INSERT_MANY, (*template, to_json(items[start : start + CHUNK])))
    return [item.id for item in items]


def _holder(driver: Any, template: RunTemplate, item: RunItem) -> str:
    row = driver.execute(
        "SELECT id FROM runs WHERE task = ? AND key = ?", (template.task, template.key)
    ).fetchone()
    return item.id if row is None else str(row[0])


def _settle(driver: Any, ended: list[Settlement]) -> set[str]:
    plain: list[tuple[Any, ...]] = []
    rest: list[tuple[Any, ...]] = []
    ledger: list[tuple[Any, ...]] = []
    for s in ended:
        if s.state == "success":
            plain.append((s.id, s.fence, s.finished_at, s.result, s.started_at))
        else:
            row = (*s[:8], s.error, s.reason, s.lost, s.started_at)
            rest.append(row)
            if s.ledger or s.outcome == "given_back":
                # A given-back attempt restores the number, so that the row forgets it.
                ledger.append(row)
    accepted = 0
    if plain:
        accepted += driver.execute(sql.SETTLE_SUCCESS, (to_json(plain),)).rowcount
    if ledger:
        driver.execute(sql.LEDGER, (to_json(ledger),))
    if rest:
        accepted += driver.execute(sql.SETTLE, (to_json(rest),)).rowcount
    stale: set[str] = set()
    if accepted != len(ended):
        marks = to_json([(s.id, s.fence, s.outcome, s.finished_at) for s in ended])
        stale = set(_read_ids(driver.execute(sql.STALE, (marks,)).fetchone()[0]))
    logs = [
        (s.id, s.fence, n, stream, storable(text), s.finished_at)
        for s in ended
        if s.logs and s.id not in stale
        for n, (stream, text) in enumerate(s.logs)
    ]
    if logs:
        driver.execute(sql.LOGS, (to_json(logs),))
    alerts = [
        (s.id, f"{s.id}:{s.fence}:{s.alert.type}", *s.alert, s.finished_at)
        for s in ended
        if s.alert is not None and s.id not in stale
    ]
    if alerts:
        driver.execute(sql.ALERTS, (to_json(alerts),))
    return stale
