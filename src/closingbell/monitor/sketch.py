"""Sketch: quantiles of many values in a few hundred numbers, that can be added up.

A DDSketch (Masson, Rim and Lee, "DDSketch: a fast and fully-mergeable quantile
sketch with relative-error guarantees", PVLDB 12, 2019): values are counted in bins
whose bounds grow by a constant factor, so that any value of a bin stands for each
other within a constant relative error. Two sketches are merged by adding their bins;
the result is the sketch of all values, whatever the order.

Values are whole numbers, 0 or more, such as microseconds. So sums are exact, and no
bins need to be collapsed: up to 2**63 there are 2,184 of them.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from itertools import accumulate
from math import log

from closingbell.monitor.varint import read_number, write_number

#: An estimated quantile differs from the exact one by at most this fraction of it.
RELATIVE_ERROR = 0.01
_GROWTH = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
_SCALE = 1 / log(_GROWTH)
#: The bin of zero, before that of 1.
_ZERO = -1


class Sketch:
    """How some values are distributed.

    Attributes:
        count: how many there are, exactly.
        total: their sum, exactly.
        least: the smallest, exactly; 0 when there are none.
        greatest: the largest, exactly; 0 when there are none.
    """

    __slots__ = ("_bins", "count", "greatest", "least", "total")

    def __init__(self, values: Iterable[int] = ()) -> None:
        self.count = 0
        self.total = 0
        self.least = 0
        self.greatest = 0
        self._bins: dict[int, int] = {}
        self.add(values)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sketch):
            return NotImplemented
        return self._exact() == other._exact() and self._bins == other._bins

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<Sketch of {self.count} values from {self.least} to {self.greatest}>"

    def add(self, values: Iterable[int]) -> None:
        """Count values.

        Many at once cost less than one by one: they are sorted, and each bin's share is found
        by bisection.

        Raises:
            ValueError: one is negative; nothing was counted.
        """
        ordered = sorted(values)
        if not ordered:
            return
        if ordered[0] < 0:
            raise ValueError(f"a sketch counts values of 0 or more, not {ordered[0]}")
        bins, start, end = self._bins, 0, len(ordered)
        while start < end:
            index = _bin_of(ordered[start])
            # Not before its own place: the logarithm may round a value into the bin below.
            beyond = max(bisect_left(ordered, _end_of(index), start), start + 1)
            bins[index] = bins.get(index, 0) + beyond - start
            start = beyond
        self._widen(end, sum(ordered), ordered[0], ordered[-1])

    def merge(self, other: Sketch) -> None:
        """Count what another sketch has counted, too; the other stays as it is."""
        if not other.count:
            return
        bins = self._bins
        for index, count in other._bins.items():
            bins[index] = bins.get(index, 0) + count
        self._widen(*other._exact())

    @property
    def mean(self) -> float:
        """The mean, exactly; 0.0 when there are no values."""
        return self.total / self.count if self.count else 0.0

    def quantile(self, fraction: float) -> float:
        """Return the value below which a fraction of all values lie, within the relative error.

        Args:
            fraction: from 0 to 1. The exact quantile that is met is the value at position
                floor(fraction * (count - 1)) of all values in order, counted from 0.

        Returns:
            An estimate between `least` and `greatest`; 0.0 when there are no values.

        Raises:
            ValueError: the fraction is not from 0 to 1.
        """
        return self.quantiles(fraction)[0]

    def quantiles(self, *fractions: float) -> list[float]:
        """Return several quantiles; see `quantile`.

        Raises:
            ValueError: a fraction is not from 0 to 1.
        """
        indexes = sorted(self._bins)
        seen = list(accumulate([self._bins[index] for index in indexes]))
        return [self._quantile(fraction, indexes, seen) for fraction in fractions]

    def _quantile(self, fraction: float, indexes: list[int], seen: list[int]) -> float:
        if not 0 <= fraction <= 1:
            raise ValueError(f"a fraction is from 0 to 1, not {fraction}")
        if not self.count:
            return 0.0
        rank = int(fraction * (self.count - 1))
        if rank == 0:
            return float(self.least)
        if rank == self.count - 1:
            return float(self.greatest)
        middle = _middle_of(indexes[bisect_right(seen, rank)])
        return min(max(middle, float(self.least)), float(self.greatest))

    def count_up_to(self, value: int) -> int:
        """Return how many values are at most `value`; some up to 2 % above it may be among them."""
        return self.counts_up_to(value)[0]

    def counts_up_to(self, *values: int) -> list[int]:
        """Return as many counts; see `count_up_to`."""
        indexes = sorted(self._bins)
        seen = list(accumulate((self._bins[index] for index in indexes), initial=0))
        return [
            self.count
            if value >= self.greatest
            else 0
            if value < self.least
            else seen[bisect_right(indexes, _bin_of(value))]
            for value in values
        ]

    def write(self, out: bytearray) -> None:
        """Append the sketch's bytes, a few for each bin in use; `read` reads them."""
        for number in (*self._exact(), len(self._bins)):
            write_number(out, number)
        before = _ZERO
        for index in sorted(self._bins):
            write_number(out, index - before)
            write_number(out, self._bins[index])
            before = index

    @classmethod
    def read(cls, data: bytes, at: int = 0) -> tuple[Sketch, int]:
        """Return the sketch that begins at a place, and the place behind it.

        Raises:
            ValueError: the bytes end too early.
        """
        made = cls()
        return made, made.take(data, at)

    def take(self, data: bytes, at: int = 0) -> int:
        """Count what the sketch that begins at a place has counted; return the place behind it.

        As `read` and then `merge`, in one go: looks at figures do little else.

        Raises:
            ValueError: the bytes end too early.
        """
        count, at = read_number(data, at)
        total, at = read_number(data, at)
        least, at = read_number(data, at)
        greatest, at = read_number(data, at)
        left, at = read_number(data, at)
        bins, index = self._bins, _ZERO
        known = bins.get
        end = at + 2 * left
        plain = data[at:end]
        if len(plain) == 2 * left and plain.isascii():
            # Every number takes one byte, as nearly always.
            for above, number in zip(accumulate(plain[::2]), plain[1::2], strict=True):
                index = _ZERO + above
                bins[index] = known(index, 0) + number
            at, left = end, 0
        try:
            for _ in range(left):
                # Nearly all numbers here take one byte.
                step, at = data[at], at + 1
                if step > 0x7F:
                    step, at = read_number(data, at - 1)
                index += step
                number, at = data[at], at + 1
                if number > 0x7F:
                    number, at = read_number(data, at - 1)
                bins[index] = known(index, 0) + number
        except IndexError:
            raise ValueError(
                f"figures end in the middle of a sketch, after {len(data)} bytes"
            ) from None
        if count:
            self._widen(count, total, least, greatest)
        return at

    def _exact(self) -> tuple[int, int, int, int]:
        return self.count, self.total, self.least, self.greatest

    def _widen(self, count: int, total: int, least: int, greatest: int) -> None:
        self.least = min(self.least, least) if self.count else least
        self.greatest = max(self.greatest, greatest)
        self.count += count
        self.total += total


def _bin_of(value: int) -> int:
    return int(log(value) * _SCALE) if value else _ZERO


def _end_of(index: int) -> float:
    """Return the bound that is the first of the next bin."""
    end: float = _GROWTH ** (index + 1)
    return end


def _middle_of(index: int) -> float:
    """Return the value that is as far from both bounds of a bin, in proportion."""
    if index == _ZERO:
        return 0.0
    middle: float = 2 * _GROWTH ** (index + 1) / (_GROWTH + 1)
    return middle
