"""What tests need to know of processes."""

from __future__ import annotations

import os
import time
from pathlib import Path


def wait_for_file(path: Path, within_s: float = 20.0) -> str:
    """Wait for a file that a handler writes with `say`; return its text."""
    end = time.monotonic() + within_s
    while not path.exists():
        assert time.monotonic() < end, f"{path.name} did not appear within {within_s} s"
        time.sleep(0.002)
    return path.read_text()


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and was not waited for does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/status")
    return not (status.exists() and "\nState:\tZ" in status.read_text())


def wait_for_end(pid: int, within_s: float = 10.0) -> None:
    """Wait until a process has ended."""
    end = time.monotonic() + within_s
    while is_alive(pid):
        assert time.monotonic() < end, f"process {pid} is alive after {within_s} s"
        time.sleep(0.002)
