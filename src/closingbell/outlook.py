"""The outlook of a schedule: its next firings, what keeps some from happening, and what else fires then."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from closingbell.core.schedule import Schedule
from closingbell.triggers import explain_next

_MINUTE = timedelta(minutes=1)
_MICROSECOND = timedelta(microseconds=1)
_NEVER_AGAIN = ("no firing: the rule names no later", "no firing known:", "no firing: the schedule")


class Prospect(NamedTuple):
    """One line of a schedule's future.

    Attributes:
        fire_at: the instant; None for what is no instant of the rule, such as a holiday.
        local: when, in the rule's own zone.
        explanation: why, in one line.
        suppressed_by: what keeps it from happening: "calendar" (a holiday, a half day, a local
            time or a day that is not there), "blackout", "pause", "end"; None = it fires.
    """

    fire_at: datetime | None
    local: str
    explanation: str
    suppressed_by: str | None

    @property
    def fires(self) -> bool:
        """Whether the line is a firing that will happen."""
        return self.suppressed_by is None


class Clash(NamedTuple):
    """Two schedules that fire in the same minute."""

    fire_at: datetime
    schedule_id: str
    task: str
    other_fire_at: datetime


def outlook(schedule: Schedule, after: datetime, count: int) -> list[Prospect]:
    """Return the next `count` instants of a schedule, and what does not fire in between.

    Args:
        schedule: its trigger, start, end, blackouts and pause are looked at.
        after: an aware datetime.
        count: how many firings, at least 1; a pause does not lessen them.

    Raises:
        TriggerError: `after` is naive, or `count` is below 1.
    """
    policy = schedule.policy
    if policy.start is not None and policy.start > after:
        # Strictly after, so a firing at the start itself still counts.
        after = policy.start - _MICROSECOND
    lines: list[Prospect] = []
    for line in explain_next(schedule.trigger, after, count, policy.blackouts):  # type: ignore[arg-type]
        if line.fire_at is None:
            lines.append(Prospect(None, line.local, line.why, _kind(line.why)))
        elif policy.end is not None and line.fire_at > policy.end:
            why = f"no firing: the schedule ends at {policy.end.isoformat()}"
            lines.append(Prospect(None, line.local, why, "end"))
            break
        elif held_back(schedule, line.fire_at):
            until = "it is resumed" if schedule.paused_until is None else "then"
            end = (
                "" if schedule.paused_until is None else f" to {schedule.paused_until.isoformat()}"
            )
            why = f"paused{end} ({schedule.paused_reason}): kept back until {until}"
            lines.append(Prospect(line.fire_at, line.local, why, "pause"))
        else:
            lines.append(Prospect(line.fire_at, line.local, line.why, None))
    return lines


def held_back(schedule: Schedule, instant: datetime) -> bool:
    """Whether a schedule is paused at an instant, as far as is known now."""
    if schedule.paused_at is None:
        return False
    return schedule.paused_until is None or instant < schedule.paused_until


def clashes(
    instants: Sequence[datetime], others: Iterable[Schedule], most: int = 100
) -> list[Clash]:
    """Return which other schedules fire in the same minutes, in order; at most `most`."""
    found = list(_clashes(instants, others, most))
    return sorted(found, key=lambda clash: (clash.fire_at, clash.schedule_id))


def _clashes(
    instants: Sequence[datetime], others: Iterable[Schedule], most: int
) -> Iterator[Clash]:
    told = 0
    for other in others:
        for instant in instants:
            minute = instant.replace(second=0, microsecond=0)
            line = next(
                (line for line in outlook(other, minute - _MICROSECOND, 1) if line.fires), None
            )
            if line is None or line.fire_at is None:
                continue
            if line.fire_at < minute + _MINUTE:
                yield Clash(instant, other.id, other.task, line.fire_at)
                told += 1
                if told == most:
                    return


def _kind(why: str) -> str:
    if why.startswith("no firing: blackout"):
        return "blackout"
    return "end" if why.startswith(_NEVER_AGAIN) else "calendar"
