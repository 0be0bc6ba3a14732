"""Batch: runs of one task that were submitted together."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple


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
