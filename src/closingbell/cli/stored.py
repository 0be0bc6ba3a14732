"""Stored schedules as a command reads them: one that is broken hides no other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from closingbell.core.error import ClosingbellError

if TYPE_CHECKING:
    from closingbell.core.schedule import Schedule
    from closingbell.store.store import Store

#: Ids of what `after=` stores begin so; they have no trigger.
_DEPENDENCY = "after:"


def read_schedules(
    store: Store, task: str | None = None
) -> tuple[list[Schedule], list[tuple[str, ClosingbellError]]]:
    """Return the schedules that have a trigger, and those that cannot be read, with why."""
    from closingbell.definition import read_schedule

    schedules: list[Schedule] = []
    unreadable: list[tuple[str, ClosingbellError]] = []
    for row in store.schedules.list_all(task):
        if str(row["id"]).startswith(_DEPENDENCY):
            continue
        try:
            schedules.append(read_schedule(row))
        except ClosingbellError as problem:
            unreadable.append((str(row["id"]), problem))
    return schedules, unreadable
