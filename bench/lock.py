"""One measurement at a time on this machine."""

from __future__ import annotations

import fcntl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def alone() -> Iterator[None]:
    """Wait until no other measurement of this machine runs, and keep others waiting."""
    with (Path(tempfile.gettempdir()) / "closingbell-bench.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
