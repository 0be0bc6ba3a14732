"""Schedule: a task, a trigger, a payload and the policies of its firings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol, TypeVar

from closingbell.core.error import PolicyError
from closingbell.core.trigger import Trigger

_E = TypeVar("_E", bound=StrEnum)

#: The source of a schedule or an event trigger that a person made at the door.
BY_HAND = "api"


class CatchUp(StrEnum):
    """What becomes of firings that were missed while nothing was running."""

    #: Run the newest missed firing; store the older ones as skipped.
    LATEST = "latest"
    #: Run every missed firing, oldest first.
    ALL = "all"
    #: Run none of them.
    SKIP = "skip"


class Overlap(StrEnum):
    """What a firing does while an earlier run of its schedule is still active."""

    #: Skip the new firing.
    SKIP = "skip"
    #: Let one wait, skip further ones.
    BUFFER_ONE = "buffer_one"
    #: Let all wait, one after the other.
    BUFFER_ALL = "buffer_all"
    #: Cancel the earlier run, then run.
    CANCEL_OTHER = "cancel_other"
    #: Run both.
    ALLOW = "allow"


class Blackout(Protocol):
    """A window in which a schedule does not fire."""

    def covers(self, instant: datetime) -> bool:
        """Whether `instant` lies in the window."""
        ...

    def describe(self) -> str:
        """Say the window in plain English."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """Return the window as JSON values."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulePolicy:
    """How a schedule's firings become runs.

    Attributes:
        catch_up: what becomes of missed firings.
        catch_up_window: firings older than this are skipped whatever `catch_up` says.
        grace: a firing noticed within this time of its instant is on time, not missed.
        overlap: what a firing does while an earlier run is active.
        jitter: each firing is delayed by up to this much; the same firing always by the same.
        start: no firing before it.
        end: no firing after it.
        blackouts: windows in which firings are skipped.
    """

    catch_up: CatchUp = CatchUp.LATEST
    catch_up_window: timedelta = timedelta(days=7)
    grace: timedelta = timedelta(seconds=60)
    overlap: Overlap = Overlap.SKIP
    jitter: timedelta = timedelta()
    start: datetime | None = None
    end: datetime | None = None
    blackouts: tuple[Blackout, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "catch_up", _choice(CatchUp, "catch_up", self.catch_up))
        object.__setattr__(self, "overlap", _choice(Overlap, "overlap", self.overlap))
        for name in ("catch_up_window", "grace", "jitter"):
            if getattr(self, name) < timedelta():
                raise PolicyError(name, getattr(self, name), "a duration, 0 or more")
        for name in ("start", "end"):
            value = getattr(self, name)
            if value is not None and value.tzinfo is None:
                raise PolicyError(name, value, "an aware datetime")
        if self.start and self.end and self.end < self.start:
            raise PolicyError("end", self.end, f"an instant after start, {self.start}")


def _choice(kind: type[_E], name: str, given: str) -> _E:
    try:
        return kind(given)
    except ValueError:
        raise PolicyError(name, given, "one of " + ", ".join(kind)) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A stored schedule.

    Attributes:
        id: stable; the task's name for the schedule that a task declares.
        next_fire_at: the next instant that the trigger names; None when it never fires again.
        paused_at: since when it is paused, with the reason and an optional end.
        source: "task" when declared with the task, "app" when made by a call, "api" by hand.
    """

    id: str
    task: str
    trigger: Trigger
    payload: Mapping[str, Any] = field(default_factory=dict)
    policy: SchedulePolicy = SchedulePolicy()
    priority: int | None = None
    tags: tuple[str, ...] = ()
    next_fire_at: datetime | None = None
    last_fire_at: datetime | None = None
    paused_at: datetime | None = None
    paused_reason: str | None = None
    paused_until: datetime | None = None
    source: str = "app"
