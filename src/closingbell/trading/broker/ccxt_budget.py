"""Budget: the requests that an exchange allows, shared by all who ask it in this process.

Counted as the engine counts its rate limits (`core.limit.Rate`): at most so many units within
any window, and callers that name the same bucket share it. A unit is ccxt's cost of a request.
"""

from __future__ import annotations

import threading
from collections import deque
from weakref import WeakValueDictionary

from closingbell.core.clock import Clock
from closingbell.core.error import BrokerUnavailable
from closingbell.core.limit import Rate


class _Bucket:
    """What was taken lately, and until when the exchange wants to hear nothing."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.taken: deque[tuple[float, float]] = deque()
        self.longest = 0.0
        self.closed_until = 0.0


_BUCKETS: WeakValueDictionary[str, _Bucket] = WeakValueDictionary()
_BUCKETS_LOCK = threading.Lock()


class Budget:
    """One caller's view of a bucket: its own limit over everybody's requests."""

    def __init__(self, rate: Rate, clock: Clock, patience_s: float) -> None:
        """Open a bucket, or join those who share it.

        Args:
            rate: how many units in which window; its `bucket` is the shared name.
            clock: on which is waited; windows are in the machine's time.
            patience_s: longest wait for one request, in seconds.
        """
        self._name = rate.bucket or "exchange"
        self._limit = rate.limit
        self._window = rate.per.total_seconds()
        self._clock = clock
        self._patience = patience_s
        with _BUCKETS_LOCK:
            self._bucket = _BUCKETS.setdefault(self._name, _Bucket())
        with self._bucket.lock:
            self._bucket.longest = max(self._bucket.longest, self._window)

    def take(self, weight: float = 1.0) -> None:
        """Take the units of one request; wait for them, but not for ever.

        Raises:
            BrokerUnavailable: they are too far off; nothing was sent.
        """
        waited = 0.0
        while (pause := self._try(weight)) > 0:
            if waited + pause > self._patience:
                raise BrokerUnavailable(
                    self._name,
                    f"nothing was sent: the exchange may be asked again in {pause:.1f} s, and "
                    f"a request waits for {self._patience:g} s at most",
                )
            self.pause(pause)
            waited += pause

    def close(self, seconds: float) -> None:
        """Send nothing more for a while: the exchange has asked for it."""
        until = self._clock.monotonic() + seconds
        with self._bucket.lock:
            self._bucket.closed_until = max(self._bucket.closed_until, until)

    def pause(self, seconds: float) -> None:
        """Wait so many of the machine's seconds on the clock."""
        self._clock.sleep(seconds * (self._clock.speed or 1.0))

    def _try(self, weight: float) -> float:
        """Take the units and return 0, or return in how many seconds to try again."""
        bucket = self._bucket
        with bucket.lock:
            now = self._clock.monotonic()
            if now < bucket.closed_until:
                return bucket.closed_until - now
            while bucket.taken and bucket.taken[0][0] <= now - bucket.longest:
                bucket.taken.popleft()
            recent = [(at, units) for at, units in bucket.taken if at > now - self._window]
            free = self._limit - sum(units for _, units in recent)
            # A request that costs more than the whole limit goes alone.
            if weight <= free or not recent:
                bucket.taken.append((now, weight))
                return 0.0
            for at, units in recent:
                free += units
                if weight <= free:
                    return at + self._window - now
            return recent[-1][0] + self._window - now
