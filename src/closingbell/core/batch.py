"""Batch: runs of one task that were submitted together."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from closingbell.core.run import FINAL_STATES


class Batch(NamedTuple):
    """Runs that were submitted together.

    Attributes:
        size: how many.
        requested_by: who asked for it at a door; None for code.
    """

    id: str
    task: str
    name: str
    size: int
    requested_by: str | None
    created_at: datetime


class BatchProgress(NamedTuple):
    """How far a batch has come.

    Attributes:
        counts: how many of its runs stand in each state, by the state's name; runs that
            were pruned are in none.
        first_started_at: when the first of them that stands started; None before.
        last_finished_at: when the last one ended so far; None before.
    """

    counts: Mapping[str, int]
    first_started_at: datetime | None
    last_finished_at: datetime | None


def eta(progress: BatchProgress, now: datetime) -> timedelta | None:
    """Return how long until all runs of a batch have ended, at the pace so far.

    None while none has ended, and when all have.
    """
    counts = progress.counts
    ended = sum(counts.get(state, 0) for state in FINAL_STATES)
    left = sum(counts.values()) - ended
    if progress.first_started_at is None or not ended or not left:
        return None
    return max(now - progress.first_started_at, timedelta()) * left / ended
