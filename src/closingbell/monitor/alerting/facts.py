"""Facts: what the conditions of rules look at. Times are microseconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple


class WaitingRuns(NamedTuple):
    """Runs of a task, and of a schedule if they have one, that were due and have not started.

    Attributes:
        oldest_id: the run that has waited longest; oldest_due_at: since when.
        runs: how many there are.
    """

    task: str
    schedule: str | None
    oldest_id: str
    oldest_due_at: int
    runs: int


class LateSchedule(NamedTuple):
    """A schedule, not paused, whose next firing is past."""

    schedule: str
    task: str
    fire_at: int


class MissedRun(NamedTuple):
    """A firing since which its task has not succeeded; `reason` says why it was skipped, if so."""

    schedule: str
    task: str
    fire_at: int
    run_id: str | None
    reason: str | None


class LostWorker(NamedTuple):
    """A worker whose lease ended, since when, in the machine's time; nobody took its place."""

    id: str
    host: str
    lost_at: int


class StoreSize(NamedTuple):
    """How large the store is; `free` is the free part of its disk, None where that is not seen."""

    size_bytes: int
    free: float | None


class EndingVenue(NamedTuple):
    """A calendar in use; `days_left` is below 0 when it has ended."""

    venue: str
    known_until: str
    days_left: int


class AccountWorth(NamedTuple):
    """What an account was last worth, and its highest value."""

    account: str
    value: Decimal
    peak: Decimal
    at: int


class HeldRuns(NamedTuple):
    """Runs of a task that wait for a person."""

    task: str
    oldest_id: str
    since: int
    runs: int


class FailureCount(NamedTuple):
    """How many runs of a task failed, of those that succeeded or failed."""

    task: str
    failed: int
    judged: int


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known at one instant.

    Attributes:
        tags: of each task that is known here.
        machine_now: the machine's time, in which workers are lost.
        missed: by rule, as each looks back by a time of its own.
        failures: by rule, likewise.
    """

    tags: Mapping[str, frozenset[str]] = field(default_factory=dict)
    machine_now: int = 0
    waiting: tuple[WaitingRuns, ...] = ()
    late: tuple[LateSchedule, ...] = ()
    missed: Mapping[str, tuple[MissedRun, ...]] = field(default_factory=dict)
    lost: tuple[LostWorker, ...] = ()
    store: StoreSize | None = None
    venues: tuple[EndingVenue, ...] = ()
    accounts: tuple[AccountWorth, ...] = ()
    failures: Mapping[str, tuple[FailureCount, ...]] = field(default_factory=dict)
    held: tuple[HeldRuns, ...] = ()
