"""The task ledger of a simulation: a line for each firing and run, kept in a temporary file.

A year of minutes has a million of them. A block of lines is written as columns, packed;
a written block is also what a stored backtest keeps as a page.
"""

from __future__ import annotations

import tempfile
import weakref
import zlib
from array import array
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

#: Lines of one block.
BLOCK_LINES = 4_096
_NO_RUN = -1
#: Of instants, kinds, numbers of runs, attempts and durations, as arrays name them.
_COLUMNS = "qiqiq"
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode

#: A line before it is packed: instant, task, schedule id, number of the run within its task
#: (-1 for none), state, reason, attempt, simulated microseconds that the run took.
RawLine = tuple[int, str, str | None, int, str, str | None, int, int]


class FiringLine(NamedTuple):
    """One firing that was skipped, or one run.

    Attributes:
        at: the firing's instant, or when the run was due; microseconds.
        schedule_id: None for a run that was submitted, or that an event started.
        run_id: None for a skipped firing.
        state: "success", "failed", "cancelled", "skipped", or, for a run that the end of the
            backtest cut off, "scheduled", "pending" or "running".
        reason: why.
        attempt: the number of the last attempt; 0 = it never started.
        duration_s: simulated seconds from the first attempt's start to the end.
    """

    at: int
    task: str
    schedule_id: str | None
    run_id: str | None
    state: str
    reason: str | None
    attempt: int
    duration_s: float


class RunNumbers:
    """Run ids of a simulation: the same for the same seed, task and number within the task.

    So a task's ids, and what is made from them, do not depend on other tasks.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._prefixes: dict[str, str] = {}

    def prefix(self, task: str) -> str:
        """Return the first 16 digits of all run ids of a task."""
        found = self._prefixes.get(task)
        if found is None:
            from hashlib import blake2b

            digest = blake2b(f"{self._seed}\0{task}".encode(), digest_size=8)
            found = self._prefixes[task] = digest.hexdigest()
        return found

    def run_id(self, task: str, number: int) -> str:
        """Return the id of a task's run number `number`, from 1: 32 hexadecimal digits."""
        return f"{self.prefix(task)}{number:016x}"


class FiringSpool:
    """Lines in the order in which the firings and runs ended.

    Close it, or use it in a `with` block, to give the file back; it also goes with the object.
    """

    def __init__(self, seed: int) -> None:
        self._numbers = RunNumbers(seed)
        self._file = tempfile.TemporaryFile(prefix="closingbell-firings-")  # noqa: SIM115
        weakref.finalize(self, self._file.close)
        self._sizes: list[int] = []
        self._open: list[RawLine] = []
        self._append = self._open.append
        self._written = 0

    def __enter__(self) -> FiringSpool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __len__(self) -> int:
        return self._written + len(self._open)

    def __iter__(self) -> Iterator[FiringLine]:
        for page in self.pages():
            yield from read_page(page)

    def add(self, line: RawLine) -> None:
        """Append a line."""
        self._append(line)
        if len(self._open) >= BLOCK_LINES:
            self._write()

    def pages(self) -> Iterator[bytes]:
        """Yield the lines as packed blocks; `read_page` unpacks one."""
        self._write()
        at = 0
        for size in self._sizes:
            self._file.seek(at)
            yield self._file.read(size)
            at += size

    def close(self) -> None:
        """Forget the lines."""
        self._file.close()

    def _write(self) -> None:
        if not self._open:
            return
        page = _pack(self._open, self._numbers)
        self._file.seek(0, 2)
        self._file.write(page)
        self._sizes.append(len(page))
        self._written += len(self._open)
        self._open.clear()


def _pack(lines: list[RawLine], numbers: RunNumbers) -> bytes:
    instants, tasks, schedules, runs, states, reasons, attempts, durations = zip(
        *lines, strict=True
    )
    every = list(zip(tasks, schedules, states, reasons, strict=True))
    kinds = {kind: number for number, kind in enumerate(dict.fromkeys(every))}
    which = [kinds[kind] for kind in every]
    prefixes = {kind[0]: numbers.prefix(kind[0]) for kind in kinds}
    columns = zip(_COLUMNS, (instants, which, runs, attempts, durations), strict=True)
    packed = [array(code, column).tobytes() for code, column in columns]
    return zlib.compress(_encode([list(kinds), prefixes, packed]), 1)


def read_page(page: bytes) -> Iterator[FiringLine]:
    """Yield the lines of a packed block."""
    kinds, prefixes, packed = _decode(zlib.decompress(page))
    columns = []
    for code, data in zip(_COLUMNS, packed, strict=True):
        column = array(code)
        column.frombytes(data)
        columns.append(column)
    for at, kind, number, attempt, duration in zip(*columns, strict=True):
        task, schedule_id, state, reason = kinds[kind]
        run_id = None if number == _NO_RUN else f"{prefixes[task]}{number:016x}"
        yield FiringLine(at, task, schedule_id, run_id, state, reason, attempt, duration / 1e6)
