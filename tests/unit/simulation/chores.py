"""Handlers for child processes, which import them by name."""

from __future__ import annotations

import os
import signal
import time


def adds(a: int, b: int) -> int:
    """Return a sum."""
    return a + b


def dies() -> None:
    """End as the kernel's memory killer ends a process."""
    os.kill(os.getpid(), signal.SIGKILL)


def hangs() -> None:
    """Never come back."""
    while True:
        time.sleep(60)
