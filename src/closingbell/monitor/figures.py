"""Figures: how the runs of a task went, as counts and sketches that can be added up."""

from __future__ import annotations

from closingbell.monitor.sketch import Sketch
from closingbell.monitor.varint import read_number, write_number

#: How the bytes are laid out; another layout gets another number.
_LAYOUT = 1
_COUNTS = ("success", "failed", "cancelled", "skipped", "retried")
_SKETCHES = ("durations", "lateness", "waits")


class Figures:
    """How runs went. All times are microseconds.

    Attributes:
        success: runs that succeeded.
        failed: runs that failed for good.
        cancelled: runs that were cancelled after a worker had taken them.
        skipped: runs whose task found nothing to do.
        retried: attempts that failed and were followed by another.
        durations: how long the attempts took that succeeded.
        lateness: from the instant for which a run was planned to its first start.
        waits: from the instant at which an attempt was due to its start.
    """

    __slots__ = (*_COUNTS, *_SKETCHES)

    def __init__(self) -> None:
        self.success = 0
        self.failed = 0
        self.cancelled = 0
        self.skipped = 0
        self.retried = 0
        self.durations = Sketch()
        self.lateness = Sketch()
        self.waits = Sketch()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Figures):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.__slots__)

    __hash__ = None  # type: ignore[assignment]

    @property
    def failure_rate(self) -> float:
        """Which part of the runs that succeeded or failed has failed; 0.0 when none did either."""
        judged = self.success + self.failed
        return self.failed / judged if judged else 0.0

    def merge(self, other: Figures) -> None:
        """Add another's figures to these; the other's stay as they are."""
        for name in _COUNTS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in _SKETCHES:
            getattr(self, name).merge(getattr(other, name))

    def encode(self) -> bytes:
        """Return the figures as bytes."""
        out = bytearray([_LAYOUT])
        for name in _COUNTS:
            write_number(out, getattr(self, name))
        for name in _SKETCHES:
            getattr(self, name).write(out)
        return bytes(out)

    @classmethod
    def decode(cls, data: bytes) -> Figures:
        """Return the figures of some bytes.

        Raises:
            ValueError: they are not what `encode` wrote.
        """
        made = cls()
        made.take(data)
        return made

    def take(self, data: bytes) -> None:
        """Add the figures of some bytes to these.

        Raises:
            ValueError: they are not what `encode` wrote; these figures are spoiled then.
        """
        if not data or data[0] != _LAYOUT:
            raise ValueError(f"figures are of layout {_LAYOUT}, not {data[0] if data else 'empty'}")
        at = 1
        for name in _COUNTS:
            number, at = read_number(data, at)
            setattr(self, name, getattr(self, name) + number)
        for name in _SKETCHES:
            at = getattr(self, name).take(data, at)
        if at != len(data):
            raise ValueError(f"{len(data) - at} bytes follow the figures")


def merge_encoded(one: bytes, other: bytes) -> bytes:
    """Return the bytes of two figures' sum."""
    merged = Figures.decode(one)
    merged.merge(Figures.decode(other))
    return merged.encode()
