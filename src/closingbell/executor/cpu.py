"""CPUs: how many of them this process may use."""

from __future__ import annotations

import os


def available_cpus() -> int:
    """Return on how many CPUs this process may run, which may be fewer than there are."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1
