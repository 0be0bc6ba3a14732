"""Board: the memory that a child process and its parent share.

The child writes which call it is executing since when, and what has ended; the
parent reads it at any time, also after the child was killed, so that a finished
run is never taken for a lost one. One writer for each field, no locks:

    0  number of the call that is executing, 0 between calls     child
    1  since when, machine seconds                                child
    2  phase: importing the handler, or running it                child
    3  end of the reports, in bytes                               child
    4  calls from this number on are taken back, 0 = none         parent
    5  resident memory of the child, in bytes                     child
    8  reports, each a length and that many bytes                 child
"""

from __future__ import annotations

import mmap
import os

IMPORTING, RUNNING = 1, 2

_SERIAL, _SINCE, _PHASE, _END, _TAKEN_FROM, _MEMORY = range(6)
_REPORTS_AT = 64
_LENGTH = 4

#: Large enough for the kept output of a run and many small results; only touched pages count.
BOARD_BYTES = 1024 * 1024


def make_board_file() -> int:
    """Return the descriptor of a new anonymous file of a board's size."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("closingbell-board")
    else:
        import tempfile

        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    os.truncate(descriptor, BOARD_BYTES)
    return descriptor


class Board:
    """One child's board, in either process."""

    def __init__(self, descriptor: int) -> None:
        """Map a file that `make_board_file` made; the descriptor may then be closed."""
        self._memory = mmap.mmap(descriptor, BOARD_BYTES)
        view = memoryview(self._memory)
        self._numbers = view[:_REPORTS_AT].cast("Q")
        self._seconds = view[:_REPORTS_AT].cast("d")
        self._reports = view[_REPORTS_AT:]
        self._view = view
        self._read = 0
        self._write = 0

    def close(self) -> None:
        """Give the memory back."""
        for view in (self._numbers, self._seconds, self._reports, self._view):
            view.release()
        self._memory.close()

    # --- the child's side --------------------------------------------------------------

    def begin(self, serial: int, now: float, phase: int) -> None:
        """Say which call is executing from now on, and in which phase."""
        numbers = self._numbers
        numbers[_SERIAL] = 0
        self._seconds[_SINCE] = now
        numbers[_PHASE] = phase
        numbers[_SERIAL] = serial

    def rest(self) -> None:
        """Say that no call is executing."""
        self._numbers[_SERIAL] = 0

    def report(self, data: bytes) -> bool:
        """Publish a report; False when there is no room until the next chunk."""
        start = self._write
        end = start + _LENGTH + len(data)
        reports = self._reports
        if end > len(reports):
            return False
        reports[start : start + _LENGTH] = len(data).to_bytes(_LENGTH, "little")
        reports[start + _LENGTH : end] = data
        self._write = end
        self._numbers[_END] = end
        return True

    def rewind(self) -> None:
        """Begin the reports anew; the parent did the same before it sent a chunk."""
        self._write = 0

    def is_taken_back(self, serial: int) -> bool:
        """Whether the parent gives this call to another child."""
        taken_from = self._numbers[_TAKEN_FROM]
        return taken_from != 0 and serial >= taken_from

    def remember_memory(self, size: int) -> None:
        """Publish the child's resident memory."""
        self._numbers[_MEMORY] = size

    # --- the parent's side -------------------------------------------------------------

    def executing(self) -> tuple[int, float, int]:
        """Return the number of the executing call (0 = none), since when, and its phase."""
        numbers = self._numbers
        while True:
            serial = numbers[_SERIAL]
            since, phase = self._seconds[_SINCE], numbers[_PHASE]
            if numbers[_SERIAL] == serial:
                return serial, since, phase

    def read_reports(self) -> list[bytes]:
        """Return what was published since the last call."""
        end = self._numbers[_END]
        found = []
        while self._read < end:
            start = self._read + _LENGTH
            size = int.from_bytes(self._reports[self._read : start], "little")
            found.append(bytes(self._reports[start : start + size]))
            self._read = start + size
        return found

    def expect_chunk(self) -> None:
        """Clear the reports for the next chunk; only while the child executes nothing."""
        self._numbers[_END] = 0
        self._numbers[_TAKEN_FROM] = 0
        self._read = 0

    def take_back_from(self, serial: int) -> None:
        """Keep the child from beginning calls with this number or a later one."""
        self._numbers[_TAKEN_FROM] = serial

    @property
    def memory(self) -> int:
        """Resident memory that the child last published."""
        return self._numbers[_MEMORY]
