"""Lanes: runs under limits, on their way through the same decisions as in a store."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping

from closingbell.core.limit import Bucket, Room
from closingbell.simulation.run import SimulatedRun
from closingbell.store.lanes import Candidate, LaneClaims

_NO_LIMIT = 1 << 30


class Lanes:
    """What waits in lanes, what runs in them, and what was taken of the rates.

    Needs of cores and memory are not counted: simulated runs do not run side by side.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, list[SimulatedRun]] = {}
        self._running: dict[str, int] = {}
        self._uses: dict[str, deque[tuple[int, int]]] = {}
        self._windows: dict[str, int] = {}
        self._now = 0

    def wait(self, run: SimulatedRun) -> None:
        """Let a run that is due wait for its place."""
        if run.lane is not None:
            self._waiting.setdefault(run.lane, []).append(run)

    def forget(self, run: SimulatedRun) -> None:
        """Take a run out that waits no more."""
        runs = self._waiting.get(run.lane or "", [])
        if run in runs:
            runs.remove(run)

    def leave(self, lane: str) -> None:
        """Give a running run's place back."""
        self._running[lane] -= 1
        if not self._running[lane]:
            del self._running[lane]

    @property
    def anybody_waits(self) -> bool:
        """Whether a run waits."""
        return any(self._waiting.values())

    def choose(self, now: int) -> tuple[list[SimulatedRun], int | None]:
        """Return the runs that may start now, in order, and when a rate frees the next place."""
        self._now = now
        claims = LaneClaims(self, Room(), now)
        by_id = {run.id: run for runs in self._waiting.values() for run in runs}
        lanes = [lane for lane, runs in self._waiting.items() if runs]
        chosen = [by_id[claim.id] for claim in claims.choose("", _NO_LIMIT, lanes)]
        claims.record()
        for run in chosen:
            lane = run.lane or ""
            self._waiting[lane].remove(run)
            if not self._waiting[lane]:
                del self._waiting[lane]
            self._running[lane] = self._running.get(lane, 0) + 1
        return chosen, claims.blocked_until

    # --- what the decisions ask --------------------------------------------------------

    def running_lanes(self) -> Mapping[str, int]:
        return self._running

    def used(self, bucket: str, since: int) -> int:
        return sum(units for at, units in self._uses.get(bucket, ()) if at > since)

    def first_use(self, bucket: str, since: int) -> int | None:
        return next((at for at, _ in self._uses.get(bucket, ()) if at > since), None)

    def candidates(
        self, executor: str, free: int, places: Mapping[str, int]
    ) -> Iterable[Candidate]:
        for lane, count in places.items():
            first = sorted(self._waiting[lane], key=lambda run: (run.priority, run.due_at, run.id))
            for run in first[:count]:
                yield Candidate(run.priority, run.due_at, run.claim(self._now), lane)

    def use(self, bucket: Bucket, units: int) -> None:
        # Tasks may share a bucket and count it over different windows: the longest is kept.
        window = max(bucket.window, self._windows.get(bucket.name, 0))
        self._windows[bucket.name] = window
        uses = self._uses.setdefault(bucket.name, deque())
        uses.append((self._now, units))
        while uses[0][0] <= self._now - window:
            uses.popleft()
