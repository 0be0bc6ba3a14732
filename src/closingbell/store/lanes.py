"""Claiming under limits: the same decisions on both stores.

A store reads the facts inside its claiming transaction, in which nobody else
claims in lanes; what may start is then decided here, in Python, once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple, Protocol

from closingbell.core.limit import Admission, Bucket, Lane, Room
from closingbell.core.run import Claim


class Candidate(NamedTuple):
    """A pending run that may be claimed, with its place in the order."""

    priority: int
    due_at: int
    claim: Claim
    lane: str | None


class LaneFacts(Protocol):
    """What a store must know of itself, inside the claiming transaction."""

    def running_lanes(self) -> Mapping[str, int]:
        """Return how many runs are running in each lane."""
        ...

    def used(self, bucket: str, since: int) -> int:
        """Return the units of a bucket that were taken after `since`."""
        ...

    def first_use(self, bucket: str, since: int) -> int | None:
        """Return when the oldest of those units was taken."""
        ...

    def candidates(
        self, executor: str, free: int, places: Mapping[str, int]
    ) -> Iterable[Candidate]:
        """Return the first `free` runs without a lane, and the first `places` of each lane."""
        ...

    def use(self, bucket: Bucket, units: int) -> None:
        """Store that units of a bucket are taken now."""
        ...


class LaneClaims:
    """The claims of one worker in one transaction, where runs wait in lanes.

    Attributes:
        blocked_until: when a rate limit frees a place for a run that waits, or None.
    """

    def __init__(self, facts: LaneFacts, room: Room, now: int) -> None:
        self._facts = facts
        self._now = now
        self._used: dict[tuple[str, int], int] = {}
        self._running = facts.running_lanes()
        self._room = room
        self._admission: Admission | None = None
        self._admitted: list[str] = []
        self._taken: dict[tuple[str, int], tuple[Bucket, int]] = {}
        self.blocked_until: int | None = None

    def choose(self, executor: str, free: int, lanes: Iterable[str]) -> list[Claim]:
        """Return what this executor's free places may take, in the order of claiming."""
        lanes = list(lanes)
        admission = self._admission_for(lanes)
        places: dict[str, int] = {}
        for text in lanes:
            room = min(admission.capacity(text), free)
            if room:
                places[text] = room
            else:
                self._note_blocked(Lane.decode(text))
        found = sorted(
            self._facts.candidates(executor, free, places),
            key=lambda one: (one.priority, one.due_at, one.claim.id),
        )
        claims: list[Claim] = []
        for candidate in found:
            if len(claims) == free:
                break
            if candidate.lane is None:
                claims.append(candidate.claim)
            elif admission.admit(candidate.lane):
                claims.append(candidate.claim)
                self._take(candidate.lane)
            else:
                self._note_blocked(Lane.decode(candidate.lane))
        return claims

    def record(self) -> None:
        """Store the uses of rate limits that the chosen claims make."""
        for bucket, units in self._taken.values():
            self._facts.use(bucket, units)

    def _admission_for(self, lanes: list[str]) -> Admission:
        # One admission for all executors: they share gates, buckets and the worker's room.
        fresh = False
        for text in lanes:
            bucket = Lane.decode(text).bucket
            if bucket is not None and bucket.span not in self._used:
                self._used[bucket.span] = self._facts.used(bucket.name, self._now - bucket.window)
                fresh = True
        if self._admission is None or fresh:
            self._admission = Admission(self._running, self._used, self._room)
            for text in self._admitted:
                self._admission.admit(text)
        return self._admission

    def _take(self, text: str) -> None:
        self._admitted.append(text)
        bucket = Lane.decode(text).bucket
        if bucket is not None:
            _, units = self._taken.get(bucket.span, (bucket, 0))
            self._taken[bucket.span] = (bucket, units + bucket.weight)

    def _note_blocked(self, lane: Lane) -> None:
        if lane.bucket is None:
            return
        first = self._facts.first_use(lane.bucket.name, self._now - lane.bucket.window)
        frees = (self._now if first is None else first) + lane.bucket.window
        if self.blocked_until is None or frees < self.blocked_until:
            self.blocked_until = frees
