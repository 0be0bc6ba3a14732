"""How many at once, and how many in a while: exact across all workers.

A run that is under limits travels in a lane. The lane's text says the limits
themselves, so that any worker on the store can keep them without knowing the
task. What may start is derived from live fenced claims and from a ledger of
starts, never from a counter that could leak.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import NamedTuple

from closingbell.core.duration import parse_duration
from closingbell.core.error import PolicyError

_RATE = re.compile(r"\s*(\d+)\s*/\s*(\d*\s*[a-z]+)\s*(?:@\s*(\S+))?\s*", re.ASCII | re.IGNORECASE)
_EXPECTED = "such as '10/s', '1200/1m' or '1200/1m@binance'"


@dataclass(frozen=True, slots=True, init=False)
class Rate:
    """At most `limit` units may start within any window of `per`.

    Tasks that name the same `bucket` share it, as all callers of one exchange
    share its API weight; without a name the bucket is the task's own.
    """

    limit: int
    per: timedelta
    bucket: str | None
    weight: int

    def __init__(
        self, limit: int, per: str | float | timedelta, bucket: str | None = None, weight: int = 1
    ) -> None:
        """Make a rate.

        Args:
            limit: units per window, 1 or more.
            per: the window's length, at least a millisecond.
            bucket: a shared name.
            weight: units that one run takes, between 1 and `limit`.
        """
        window = parse_duration(per, kind="rate window")
        if limit < 1 or window < timedelta(milliseconds=1):
            raise PolicyError("rate", f"{limit}/{per}", _EXPECTED)
        if not 1 <= weight <= limit:
            raise PolicyError("rate weight", weight, f"between 1 and the limit, {limit}")
        object.__setattr__(self, "limit", limit)
        object.__setattr__(self, "per", window)
        object.__setattr__(self, "bucket", bucket)
        object.__setattr__(self, "weight", weight)

    @classmethod
    def parse(cls, given: str | Rate) -> Rate:
        """Read "10/s", "1200/1m" or "1200/1m@bucket".

        Raises:
            PolicyError: it cannot be read.
        """
        if isinstance(given, Rate):
            return given
        match = _RATE.fullmatch(str(given))
        if not match:
            raise PolicyError("rate", given, _EXPECTED)
        per = match[2].replace(" ", "").lower()
        if not per[0].isdigit():
            per = "1" + per
        try:
            return cls(int(match[1]), per, match[3])
        except ValueError as problem:
            raise PolicyError("rate", given, _EXPECTED) from problem


class Bucket(NamedTuple):
    """A rate as the store enforces it; the window is in microseconds."""

    name: str
    limit: int
    window: int
    weight: int

    @property
    def span(self) -> tuple[str, int]:
        """Name and window: tasks may share a bucket and count it over different windows."""
        return self.name, self.window


class Lane(NamedTuple):
    """The limits of one kind of run.

    Attributes:
        gates: (name, most at once); a gate counts the running runs of all lanes that name it.
        bucket: the rate limit, or None.
        cpu: cores that one run needs on its worker; 0 for no demand.
        memory: bytes that one run needs on its worker; 0 for no demand.
    """

    gates: tuple[tuple[str, int], ...] = ()
    bucket: Bucket | None = None
    cpu: float = 0.0
    memory: int = 0

    def encode(self) -> str | None:
        """Return the lane as canonical text, or None when nothing is limited."""
        if not self.gates and self.bucket is None and not self.cpu and not self.memory:
            return None
        body = [list(map(list, self.gates)), self.bucket, self.cpu, self.memory]
        return json.dumps(body, separators=(",", ":"))

    @staticmethod
    @lru_cache(maxsize=4096)
    def decode(text: str) -> Lane:
        """Read what `encode` wrote."""
        gates, bucket, cpu, memory = json.loads(text)
        return Lane(
            tuple((str(name), int(most)) for name, most in gates),
            Bucket(*bucket) if bucket else None,
            float(cpu),
            int(memory),
        )


class Room(NamedTuple):
    """What a worker has left for runs that state their needs."""

    cpu: float = float("inf")
    memory: float = float("inf")


class Admission:
    """Counts down what may still start within one claim.

    Built from what is true inside the claiming transaction; `admit` then says
    for one candidate after another whether it may start, and takes its share.
    """

    def __init__(
        self,
        running: Mapping[str, int],
        used: Mapping[tuple[str, int], int],
        room: Room,
    ) -> None:
        """Start from the present.

        Args:
            running: number of running runs by lane text.
            used: units taken within the window, by `Bucket.span`.
            room: the claiming worker's free resources.
        """
        self._gates: dict[str, int] = {}
        for text, count in running.items():
            for gate, _ in Lane.decode(text).gates:
                self._gates[gate] = self._gates.get(gate, 0) + count
        self._used = dict(used)
        self._cpu, self._memory = room

    def capacity(self, text: str) -> int:
        """Return how many runs of this lane may start now."""
        lane = Lane.decode(text)
        most = 1 << 30
        for gate, limit in lane.gates:
            most = min(most, limit - self._gates.get(gate, 0))
        if lane.bucket is not None:
            free = lane.bucket.limit - self._used.get(lane.bucket.span, 0)
            most = min(most, free // lane.bucket.weight)
        if lane.cpu:
            most = min(most, int(min(self._cpu / lane.cpu, most)))
        if lane.memory:
            most = min(most, int(min(self._memory / lane.memory, most)))
        return max(most, 0)

    def admit(self, text: str) -> bool:
        """Take one place in the lane, if there is one."""
        if self.capacity(text) < 1:
            return False
        lane = Lane.decode(text)
        for gate, _ in lane.gates:
            self._gates[gate] = self._gates.get(gate, 0) + 1
        if lane.bucket is not None:
            self._used.setdefault(lane.bucket.span, 0)
            for span in self._used:
                if span[0] == lane.bucket.name:
                    self._used[span] += lane.bucket.weight
        self._cpu -= lane.cpu
        self._memory -= lane.memory
        return True

    def blocking(self, text: str) -> str | None:
        """Say which limit keeps this lane from starting, or None if none does."""
        lane = Lane.decode(text)
        for gate, limit in lane.gates:
            if self._gates.get(gate, 0) >= limit:
                return f"limit {gate} is full: {self._gates[gate]} of {limit} running"
        if lane.bucket is not None:
            bucket = lane.bucket
            used = self._used.get(bucket.span, 0)
            if used + bucket.weight > bucket.limit:
                return (
                    f"rate {bucket.name} is used up: {used} of {bucket.limit} "
                    f"in {bucket.window / 1_000_000:g} s"
                )
        if lane.cpu > self._cpu:
            return f"it needs {lane.cpu:g} cores and the worker has {max(self._cpu, 0):g} free"
        if lane.memory > self._memory:
            free = max(self._memory, 0) / 2**20
            return f"it needs {lane.memory / 2**20:.0f} MiB and the worker has {free:.0f} MiB free"
        return None
