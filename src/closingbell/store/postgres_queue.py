"""The queue on PostgreSQL: one statement settles what ended and claims what is next.

The claimer's link is used by one thread at a time; submissions have links of
their own, and the server gathers their commits. A run that is submitted where
a worker of the same process is idle is stored as running: one row, written once.

Claims are durable before they are delivered. A claim that the server could
forget would come again with the same fence, and a fence must never repeat.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from closingbell.core.clock import Clock
from closingbell.core.error import StoreError
from closingbell.core.port import Claimer, Want
from closingbell.core.run import Claim, RunItem, RunTemplate, Settlement
from closingbell.store import postgres_sql as sql
from closingbell.store.codec import read_claims, read_ends
from closingbell.store.database import PostgresDatabase
from closingbell.store.front import Front
from closingbell.store.held import Held
from closingbell.store.insert import insert_apart
from closingbell.store.lanes import LaneClaims
from closingbell.store.postgres_hint import Listener, Notifier
from closingbell.store.postgres_lanes import PostgresLanes
from closingbell.store.postgres_link import Link, Links, number_array, text_array
from closingbell.store.postgres_values import (
    claim_values,
    insert_values,
    settlement_values,
    success_values,
)
from closingbell.store.server_clock import ServerClock

#: Runs that one statement may carry.
CHUNK = 5_000
#: How long to trust that nothing is pending when no hint came, in seconds.
_TRUST_S = 0.2


class PostgresQueue:
    """The `Queue` of a PostgreSQL store; see the port for the contract."""

    #: How often, in seconds, runs are looked for when no hint came.
    poll_s = 0.25

    def __init__(self, database: PostgresDatabase, clock: Clock) -> None:
        self._clock = clock
        self._database = database
        self._hot = Link(database)
        self._turn = threading.Lock()
        self._links = Links(database)
        self._notifier = Notifier(database)
        self._listener: Listener | None = None
        self._wakes: list[Callable[[], None]] = []
        self._claimers: list[Held] = []
        self._known: dict[str, Held] = {}
        self._again = False
        self._front = Front(_TRUST_S)
        database.on_write = self._wrote
        self._adopt = False
        self._news = True
        self._server_clock = ServerClock(self._links, clock)
        #: When a rate limit frees a place for a run that waits now, or None.
        self.blocked_until: int | None = None

    # --- the port ------------------------------------------------------------------

    def attach(self, claimer: Claimer) -> None:
        with self._turn:
            held = self._known.get(claimer.worker_id)
            if held is None or held.claimer is not claimer:
                held = self._known[claimer.worker_id] = Held(claimer)
            self._claimers = [*self._claimers, held]

    def detach(self, claimer: Claimer) -> None:
        with self._turn:
            self._claimers = [held for held in self._claimers if held.claimer is not claimer]

    def submit(
        self, template: RunTemplate, items: Sequence[RunItem], connection: Any = None
    ) -> list[str]:
        if connection is not None or template.hold is not None:
            return insert_apart(self._database, template, items, connection)
        if len(items) == 1:
            ids = [self._submit_one(template, items[0])]
        else:
            with self._links.open() as link, link.transaction():
                for start in range(0, len(items), CHUNK):
                    link.execute(
                        sql.INSERT_MANY, insert_values(template, items[start : start + CHUNK])
                    )
            ids = [item.id for item in items]
            self._serve()
        return ids

    def exchange(self) -> bool:
        with self._turn:
            self._again = False
            did = self._exchange()
        self._catch_up()
        return did

    def promote(self, now: int, limit: int = 10_000) -> int:
        with self._links.open() as link:
            moved = link.execute(sql.PROMOTE, (now, limit)).rowcount
        if moved:
            self._serve()
        return moved

    def next_due(self) -> int | None:
        with self._links.open() as link:
            row = link.execute(sql.NEXT_DUE).fetchone()
        return None if row is None else int(row[0])

    def listen(self, wake: Callable[[], None]) -> None:
        self._wakes.append(wake)
        if self._listener is None:
            self._listener = Listener(self._database, self._clock, self._heard)

    def changed(self) -> bool:
        news, self._news = self._news, False
        return news or not self._hears()

    def rides_along(self) -> bool:
        return False

    def machine_micros(self) -> int:
        """Return the server's time, carried on by the machine's monotonic clock."""
        return self._server_clock.micros()

    def close(self) -> None:
        """End the threads and give all connections back."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        self._notifier.close()
        self._links.close()
        with self._turn:
            self._hot.close()

    # --- submitting ----------------------------------------------------------------

    def _submit_one(self, template: RunTemplate, item: RunItem) -> str:
        if (
            template.state == "pending"
            and item.lane is None
            and self._claimers
            and self._turn.acquire(blocking=False)
        ):
            try:
                started = self._submit_started(template, item)
            finally:
                self._turn.release()
            if started is not None:
                self._catch_up()
                return started
        with self._links.open() as link:
            cursor = link.execute(sql.INSERT_ONE, (item.id, item.payload, item.lane, *template))
            run_id = item.id if cursor.rowcount == 1 else _holder(link, template, item)
        if template.state == "pending":
            self._serve()
        else:
            self._notifier.hint()
        return run_id

    def _submit_started(self, template: RunTemplate, item: RunItem) -> str | None:
        """Store the run as running, if a worker here has a place and nobody waits for it."""
        for held in self._claimers:
            if not _has_place(held.claimer, template):
                continue
            alone = self._front.is_empty(template.executor, self._clock.monotonic())
            if not alone and self._hears():
                # One look serves the submissions that follow, too.
                self._exchange_for(held)
                if not _has_place(held.claimer, template):
                    continue
                alone = self._front.is_empty(template.executor, self._clock.monotonic())
            now = max(self._clock.micros(), template.due_at)
            with self._link() as link:
                values = template._asdict()
                values.update(
                    id=item.id, payload=item.payload, worker=held.claimer.worker_id, now=now
                )
                statement = sql.INSERT_RUNNING if alone else sql.INSERT_STARTED
                row = link.execute(statement, values).fetchone()
                if row is None:
                    return _holder(link, template, item)
            if row[0] != "running":
                self._front.stale()
                self._again = True
                self._notifier.hint()
                return item.id
            claim = Claim(
                item.id, 1, template.task, item.payload, 1, template.max_attempts,
                template.timeout_s, template.due_at, template.fire_at, template.session_date,
                template.schedule_id, template.executor, 0, None, now, template.trace,
            )  # fmt: skip
            self._deliver(held, [claim], [], set())
            return item.id
        return None

    def _serve(self) -> None:
        """Let the workers here claim, and the others know."""
        self._front.stale()
        self._again = True
        self._catch_up()
        self._notifier.hint()

    def _catch_up(self) -> None:
        # Who holds the turn looks again after giving it back, so that nobody needs to wait.
        while self._again and self._claimers and self._turn.acquire(blocking=False):
            try:
                self._again = False
                self._exchange()
            except StoreError:
                # The run is stored; the worker's own loop reports what keeps it from claiming.
                return
            finally:
                self._turn.release()

    # --- the exchange --------------------------------------------------------------

    def _link(self) -> Any:
        return self._hot.open()

    def _exchange(self) -> bool:
        did = False
        self.blocked_until = None
        for held in self._claimers:
            did = self._exchange_for(held) or did
        return did

    def _exchange_for(self, held: Held) -> bool:
        claimer = held.claimer
        if self._hot.broke:
            self._hot.broke, self._adopt = False, True
        if self._adopt:
            self._adopt_claims()
        ended = claimer.take_settlements()
        try:
            want = self._worth_asking(claimer.want(ended))
            if not ended and want is None:
                return False
            claims, refused, lanes_wait = self._settle_and_claim(held, ended, want)
        except BaseException:
            if self._hot.broke:
                held.uncertain.update((s.id, s.fence) for s in ended)
            if ended:
                claimer.put_back(ended)
            raise
        if not lanes_wait or want is None:
            self._deliver(held, claims, ended, refused)
            return bool(ended or claims)
        try:
            claims = self._claim_with_lanes(claimer.worker_id, want)
        except BaseException:
            self._deliver(held, [], ended, refused)
            raise
        self._deliver(held, claims, ended, refused)
        return bool(ended or claims)

    def _worth_asking(self, want: Want | None) -> Want | None:
        if want is None:
            return None
        now = self._clock.monotonic()
        free = {kind: n for kind, n in want.free.items() if not self._front.is_empty(kind, now)}
        return want._replace(free=free) if free else None

    def _deliver(
        self, held: Held, claims: list[Claim], ended: list[Settlement], refused: set[str]
    ) -> None:
        fences = held.fences
        for settlement in ended:
            if fences.get(settlement.id) == settlement.fence:
                del fences[settlement.id]
        for claim in claims:
            fences[claim.id] = claim.fence
        if claims or ended:
            held.claimer.deliver(claims, ended, refused)

    def _adopt_claims(self) -> None:
        """Deliver claims that were committed by an exchange whose answer was lost."""
        for held in self._claimers:
            with self._link() as link:
                row = link.execute(sql.HELD, (held.claimer.worker_id,)).fetchone()
            found = [c for c in read_claims(row[0]) if held.fences.get(c.id) != c.fence]
            self._deliver(held, found, [], set())
        self._adopt = False

    def _settle_and_claim(
        self, held: Held, ended: list[Settlement], want: Want | None
    ) -> tuple[list[Claim], set[str], bool]:
        written = ended
        # Only who would hear of news may trust that there is none.
        hears = self._hears()
        if not hears:
            self._front.stale()
        self._front.look(self._clock.monotonic())
        with self._link() as link:
            if held.uncertain:
                known = [s for s in ended if (s.id, s.fence) in held.uncertain]
                missing = _refused(link, known)
                done = {(s.id, s.fence) for s in known if s.id not in missing}
                written = [s for s in ended if (s.id, s.fence) not in done]
            plain: list[Settlement] = []
            rest: list[Settlement] = []
            for s in written:
                simple = s.state == "success" and not s.logs and s.alert is None
                (plain if simple else rest).append(s)
            statement, values = (
                sql.EXCHANGE,
                claim_values(held.claimer, want, self._clock, self._front),
            )
            values.update(success_values(plain))
            if rest:
                statement = sql.EXCHANGE_FULL
                values.update(settlement_values(rest))
            row = link.execute(statement, values).fetchone()
            refused = set() if row[0] == len(written) else _refused(link, written)
        held.uncertain.clear()
        claims, lanes_wait = read_claims(row[2]), bool(row[1])
        if any(s.state == "pending" for s in rest):
            self._front.stale()
        if want is not None and hears and not lanes_wait:
            taken = Counter(claim.executor for claim in claims)
            self._front.note(
                {kind: (priority, due, last) for kind, priority, due, last in read_ends(row[3])},
                frozenset(kind for kind, free in want.free.items() if taken[kind] < free),
            )
        return claims, refused, lanes_wait

    def _claim_with_lanes(self, worker_id: str, want: Want) -> list[Claim]:
        claims: list[Claim] = []
        with self._link() as link, link.transaction():
            # Who claims in lanes claims alone: what is counted stays true until the commit.
            link.execute(sql.LANE_LOCK)
            now = self._clock.micros()
            facts = PostgresLanes(link, text_array(list(want.unknown)), now)
            limited = LaneClaims(facts, want.room, now)
            for executor, free in want.free.items():
                lanes = [row[0] for row in link.execute(sql.WAITING_LANES, {"executor": executor})]
                claims += limited.choose(executor, free, lanes)
            limited.record()
            if claims:
                ids = text_array([claim.id for claim in claims])
                link.execute(sql.CLAIM, (worker_id, now, ids))
        if limited.blocked_until is not None:
            self.blocked_until = min(
                limited.blocked_until, self.blocked_until or limited.blocked_until
            )
        return claims

    # --- hints and time --------------------------------------------------------------

    def _wrote(self, news: bool) -> None:
        self._front.stale()
        if news:
            self._notifier.hint()

    def _hears(self) -> bool:
        return self._listener is not None and self._listener.hears

    def _heard(self) -> None:
        self._front.stale()
        self._news = True
        for wake in self._wakes:
            wake()


def _has_place(claimer: Claimer, template: RunTemplate) -> bool:
    want = claimer.want(())
    return (
        want is not None
        and bool(want.free.get(template.executor))
        and template.task not in want.unknown
    )


def _holder(link: Any, template: RunTemplate, item: RunItem) -> str:
    if template.key is None:
        return item.id
    row = link.execute(sql.HOLDER, (template.task, template.key)).fetchone()
    return item.id if row is None else str(row[0])


def _refused(link: Any, ended: list[Settlement]) -> set[str]:
    values = (
        text_array([s.id for s in ended]),
        number_array([s.fence for s in ended]),
        text_array([s.outcome for s in ended]),
        number_array([s.finished_at for s in ended]),
    )
    return {row[0] for row in link.execute(sql.REFUSED, values)}
