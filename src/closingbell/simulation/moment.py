"""Moment: one thing to do at one simulated instant, and its place among the others of the instant."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

#: The order within one instant. What the opening prints of an instant start runs after them.
CLOSING, DAILY_CLOSE, TASKS, SNAPSHOT, OPENING, AFTER_OPENING, END = range(7)

#: (instant, rank, priority, name, id, number, what to do). Numbers are unique, so that the heap
#: never compares beyond them; what is to be done is given its own moment.
Moment = tuple[int, int, int, str, str, int, Callable[[Any], None]]
