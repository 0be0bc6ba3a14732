"""Placement: who places an order, and from when it may trade."""

from __future__ import annotations

from typing import NamedTuple


class Placement(NamedTuple):
    """Who places an order.

    Attributes:
        run_id: the run in whose name it is placed; None for a person.
        fence: of the attempt.
        task: the run's task.
        priority: of the task; orders of one instant trade by it, 1 first.
        effective_at: from when the order may trade, in microseconds since the epoch.
        attempt: its number, from 1.
    """

    run_id: str | None = None
    fence: int = 0
    task: str | None = None
    priority: int = 5
    effective_at: int = 0
    attempt: int = 1
