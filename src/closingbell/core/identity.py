"""Run ids: time-ordered, made by the submitter, unique without asking the store.

An id is a UUID version 7 (RFC 9562) written as 32 hexadecimal digits, so that
ids sort by the time they were made and `uuid.UUID(id)` reads them. Because the
submitter makes the id, a submission whose answer was lost can be sent again
without making a second run: inside `deriving`, the ids of what a request makes are
derived from what the request is called.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_RANDOM_BITS = 74
_MASK = (1 << 62) - 1


class DerivedIds:
    """Ids that follow from a request's key: the same ones each time that it is done."""

    def __init__(self, request_key: str) -> None:
        """Begin at the first one.

        Args:
            request_key: 12 hexadecimal digits of the milliseconds since the Unix epoch at which
                the request first came, and any text that tells it from others.
        """
        self._head = request_key[:12]
        told = hashlib.sha256(request_key.encode()).digest()
        # The top bit stays clear, so that a bulk submission can count upwards from here.
        self._tail = int.from_bytes(told[:10], "big") >> (80 - _RANDOM_BITS + 1)
        self._lock = threading.Lock()

    def take(self, count: int) -> list[str]:
        """Return the next `count` ids in increasing order."""
        with self._lock:
            first = self._tail + 1
            self._tail += count
        return [
            f"{self._head}7{n >> 62:03x}{n & _MASK | 1 << 63:016x}"
            for n in range(first, first + count)
        ]


_derived: ContextVar[DerivedIds | None] = ContextVar("closingbell_derived_ids", default=None)


@contextmanager
def deriving(request_key: str) -> Iterator[None]:
    """Let the ids of what is made in a `with` block follow from a request's key.

    It holds for the calling thread or coroutine, and what is called from there.
    """
    before = _derived.set(DerivedIds(request_key))
    try:
        yield
    finally:
        _derived.reset(before)


class RunIds:
    """A source of run ids, strictly increasing within one process."""

    def __init__(self, millis: Callable[[], int], entropy: Callable[[int], bytes]) -> None:
        """Make a source.

        Args:
            millis: milliseconds since the Unix epoch.
            entropy: n random bytes, as `os.urandom`.
        """
        self._millis = millis
        self._entropy = entropy
        self._lock = threading.Lock()
        self._last_millis = -1
        self._tail = 0

    def take(self, count: int) -> list[str]:
        """Return `count` new ids in increasing order."""
        derived = _derived.get()
        if derived is not None:
            return derived.take(count)
        with self._lock:
            millis = self._millis()
            if millis > self._last_millis:
                self._last_millis = millis
                # The top bit stays clear, so that a bulk submission can count upwards from here.
                self._tail = int.from_bytes(self._entropy(10), "big") >> (80 - _RANDOM_BITS + 1)
            else:
                # The same millisecond, or a clock that stepped back: keep counting.
                millis = self._last_millis
            first = self._tail + 1
            self._tail += count
        high = first >> 62
        if (first + count) >> 62 == high:
            head = f"{millis:012x}7{high:03x}"
            low = first & _MASK | 1 << 63
            return [f"{head}{n:016x}" for n in range(low, low + count)]
        return [
            f"{millis:012x}7{n >> 62:03x}{n & _MASK | 1 << 63:016x}"
            for n in range(first, first + count)
        ]

    def next(self) -> str:
        """Return one new id."""
        return self.take(1)[0]
