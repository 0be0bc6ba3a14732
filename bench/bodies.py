"""What the measured tasks do: the same lines on every system."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

#: Where the service and the client of one measurement meet.
FOLDER = Path(os.environ.get("BENCH_FOLDER", "."))
#: "cpu" while pure-Python work is measured, else "io".
PROFILE = os.environ.get("BENCH_PROFILE", "io")

FIRST_MARK = "first"
STAMPS = "stamps"

_marked = False
_stamps = -1


def noop(payload: Any) -> int:
    """Nothing; the first call in the service leaves the time at which it began."""
    global _marked
    if not _marked:
        _marked = True
        try:
            with (FOLDER / FIRST_MARK).open("x") as mark:
                mark.write(repr(time.time()))
        except FileExistsError:
            pass
    return 1


def stamp(payload: Any) -> int:
    """Write how long after the instant in the payload the handler began."""
    write_stamp(payload["series"], payload["at"], time.time())
    return 1


def write_stamp(series: str, at: float, began: float) -> None:
    global _stamps
    if _stamps < 0:
        _stamps = os.open(FOLDER / STAMPS, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o644)
    os.write(_stamps, f"{series} {at!r} {began!r}\n".encode())


def burn(payload: Any) -> int:
    """A fixed amount of pure-Python work: `loops` turns."""
    value = 1
    for turn in range(payload["loops"]):
        value = (value * 31 + turn) & 0xFFFFF
    return value
