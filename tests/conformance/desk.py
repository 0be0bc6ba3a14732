"""What the exercises stand on: a store, a clock that stands still, and a claimer that only notes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from closingbell.core.clock import SimulatedClock, to_micros
from closingbell.core.identity import RunIds
from closingbell.core.limit import Bucket, Lane, Room
from closingbell.core.port import Want
from closingbell.core.run import Claim, RunItem, RunTemplate, Settlement
from closingbell.store.store import Store, open_store

START = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
SECOND = 1_000_000


class FakeClaimer:
    """A worker without code to run: it takes what it has places for and ends what it is told to."""

    def __init__(self, worker_id: str = "w1", free: Mapping[str, int] | None = None) -> None:
        self.worker_id = worker_id
        self.free = {"async": 10} if free is None else dict(free)
        self.unknown: set[str] = set()
        self.room = Room()
        self.ended: list[Settlement] = []
        self.claims: list[Claim] = []
        self.settled: list[Settlement] = []
        self.stale: set[str] = set()
        self.put_back_count = 0
        self.claiming = True

    def take_settlements(self) -> list[Settlement]:
        ended, self.ended = self.ended, []
        return ended

    def put_back(self, settlements: list[Settlement]) -> None:
        self.put_back_count += len(settlements)
        self.ended = settlements + self.ended

    def want(self, settled: Sequence[Settlement]) -> Want | None:
        if not self.claiming:
            return None
        back = [claim.executor for claim in self.claims if claim.id in {s.id for s in settled}]
        free = {
            kind: places - sum(c.executor == kind for c in self.claims) + back.count(kind)
            for kind, places in self.free.items()
        }
        free = {kind: places for kind, places in free.items() if places > 0}
        return Want(free, frozenset(self.unknown), self.room) if free else None

    def deliver(self, claims: list[Claim], settled: Sequence[Settlement], stale: set[str]) -> None:
        gone = {s.id for s in settled}
        self.claims = [claim for claim in self.claims if claim.id not in gone] + claims
        self.settled += settled
        self.stale |= stale

    @property
    def ids(self) -> list[str]:
        """Ids of what it holds, in the order in which it was claimed."""
        return [claim.id for claim in self.claims]

    def claim(self, run_id: str) -> Claim:
        """The claim of a run that it holds."""
        return next(claim for claim in self.claims if claim.id == run_id)


class Desk:
    """A prepared store with one claimer and short words for what the exercises do."""

    _made = 0

    def __init__(self, address: str, clock: SimulatedClock | None = None) -> None:
        self.address = address
        self.clock = clock or SimulatedClock(START)
        self.store: Store = open_store(address, self.clock)
        self.store.prepare()
        self.queue = self.store.queue
        Desk._made += 1
        self._entropy = Desk._made << 40
        self.run_ids = RunIds(lambda: self.clock.micros() // 1000, self._bytes)
        self.claimer = FakeClaimer()

    def _bytes(self, count: int) -> bytes:
        self._entropy += 1 << 20
        return self._entropy.to_bytes(count, "big")

    @property
    def now(self) -> int:
        """The clock's microseconds."""
        return self.clock.micros()

    def template(self, **changes: Any) -> RunTemplate:
        """A template of a pending run of task "risk_scan", due now."""
        shared = RunTemplate(
            task="risk_scan",
            executor="async",
            priority=5,
            state="pending",
            due_at=self.now,
            max_attempts=3,
            timeout_s=300.0,
            submitted_at=self.now,
        )
        return shared._replace(**changes)

    def items(self, count: int, lane: str | None = None, payload: str = "{}") -> list[RunItem]:
        """Runs with new ids."""
        return [RunItem(run_id, payload, lane) for run_id in self.run_ids.take(count)]

    def submit(self, count: int = 1, lane: str | None = None, **changes: Any) -> list[str]:
        """Store runs; return their ids."""
        return self.queue.submit(self.template(**changes), self.items(count, lane))

    def submit_one(self, lane: str | None = None, **changes: Any) -> str:
        """Store a run; return its id."""
        return self.submit(1, lane, **changes)[0]

    def work(self, claimer: FakeClaimer | None = None) -> FakeClaimer:
        """One exchange for a claimer, and for it alone."""
        claimer = claimer or self.claimer
        self.queue.attach(claimer)
        try:
            self.queue.exchange()
        finally:
            self.queue.detach(claimer)
        return claimer

    def settle(self, claim: Claim, state: str = "success", **changes: Any) -> Settlement:
        """The settlement of a claim."""
        outcome = {"success": "returned", "skipped": "skipped", "cancelled": "cancelled"}
        made = Settlement(
            claim.id,
            claim.fence,
            state,
            outcome.get(state, "raised"),
            claim.attempt,
            self.now,
            result='"done"' if state == "success" else None,
        )
        return made._replace(**changes)

    def end(
        self,
        claim: Claim,
        state: str = "success",
        claimer: FakeClaimer | None = None,
        **changes: Any,
    ) -> None:
        """Settle a claim of a claimer that then claims nothing."""
        claimer = claimer or self.claimer
        claimer.ended.append(self.settle(claim, state, **changes))
        was, claimer.claiming = claimer.claiming, False
        self.work(claimer)
        claimer.claiming = was

    def finish(self, run_id: str, state: str = "success", **changes: Any) -> None:
        """Claim a pending run and settle it."""
        self.work()
        self.end(self.claimer.claim(run_id), state, **changes)

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        from datetime import timedelta

        self.clock.advance(timedelta(seconds=seconds))

    def state(self, run_id: str) -> str:
        """The state of a run."""
        return self.store.runs.get(run_id).state.value

    def states(self, run_ids: Iterable[str]) -> list[str]:
        """The states of runs, in order."""
        found = self.store.runs.states(run_ids := list(run_ids))
        return [found[run_id] for run_id in run_ids]

    def close(self) -> None:
        """Give everything back."""
        self.store.close()


def gate(name: str, most: int, *more: tuple[str, int]) -> str:
    """The lane of runs of which at most `most` run at once."""
    text = Lane(((name, most), *more)).encode()
    assert text is not None
    return text


def rate(name: str, limit: int, window_s: float, weight: int = 1) -> str:
    """The lane of runs under a rate limit."""
    text = Lane(bucket=Bucket(name, limit, round(window_s * SECOND), weight)).encode()
    assert text is not None
    return text


def needs(cpu: float = 0.0, memory: int = 0) -> str:
    """The lane of runs that need resources."""
    text = Lane(cpu=cpu, memory=memory).encode()
    assert text is not None
    return text


__all__ = ["SECOND", "START", "Desk", "FakeClaimer", "gate", "needs", "rate", "to_micros"]
