"""The plan of one schedule at one instant: pure, so that a rehearsal plans alike."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from closingbell.core.schedule import CatchUp, Overlap, SchedulePolicy
from closingbell.core.trigger import Trigger

#: Missed ticks that are stored one by one; what lies before is stored as one fact.
MISSED_LISTED = 1_000
#: A named tuple of all its fields, without a call of Python's own: this is done for each firing.
_new = tuple.__new__
#: Ticks that one plan walks through; a longer outage is planned in several steps.
_WALK = 100_000


class Tick(NamedTuple):
    """What becomes of one instant, or of several consecutive ones.

    Attributes:
        fire_at: the instant that the trigger named; the first, if `count` > 1.
        runs: whether it makes a run.
        reason: why it does not.
        instants: how many instants this tick stands for.
        until: the last of them.
        gate: whether the run must wait for earlier ones of its schedule.
        cancel_other: whether earlier ones are cancelled.
    """

    fire_at: datetime
    runs: bool
    reason: str | None = None
    instants: int = 1
    until: datetime | None = None
    gate: bool = False
    cancel_other: bool = False


class Plan(NamedTuple):
    """What to store: ticks in order, and the schedule's next instant."""

    ticks: list[Tick]
    next_fire_at: datetime | None


def plan(
    trigger: Trigger,
    policy: SchedulePolicy,
    next_fire_at: datetime,
    now: datetime,
    active: Sequence[tuple[str, str]],
) -> Plan:
    """Plan the firings of a schedule whose `next_fire_at` has come.

    Args:
        trigger: when.
        policy: how.
        next_fire_at: the first instant that is not stored yet, at or before `now`.
        now: the desk's time.
        active: (run id, state) of the schedule's runs that have not ended; "held" is the
            state of one that waits for people.

    Returns:
        Every instant from `next_fire_at` to `now` as a tick, and the instant after.
    """
    if (
        not active
        and policy.start is None
        and policy.end is None
        and not policy.blackouts
        and (next_fire_at is now or (next_fire_at <= now and now - next_fire_at <= policy.grace))
    ):
        # The plain case, nearly every time: one instant, on time, and nothing in its way.
        following = trigger.next_after(next_fire_at)
        if following is None or following > now:
            plain = (next_fire_at, True, None, 1, None, takes_turns(policy), False)
            return Plan([_new(Tick, plain)], following)
    due: list[datetime] = []
    older = 0
    first: datetime | None = None
    last_older: datetime | None = None
    instant: datetime | None = next_fire_at
    walked = 0
    while instant is not None and instant <= now and walked < _WALK:
        if policy.end is not None and instant > policy.end:
            instant = None
            break
        walked += 1
        due.append(instant)
        if len(due) > MISSED_LISTED:
            first = first or due[0]
            last_older = due.pop(0)
            older += 1
        instant = trigger.next_after(instant)
    if instant is not None and policy.end is not None and instant > policy.end:
        instant = None
    ticks: list[Tick] = []
    if older and first is not None:
        ticks.append(
            Tick(first, False, "missed while nothing was running", older, until=last_older)
        )
    on_time = {at for at in due if now - at <= policy.grace}
    missed = [at for at in due if at not in on_time]
    wanted = set(on_time)
    reasons: dict[datetime, str] = {}
    for at in missed:
        if now - at > policy.catch_up_window:
            reasons[at] = f"missed: older than the catch-up window of {policy.catch_up_window}"
        elif policy.catch_up is CatchUp.SKIP:
            reasons[at] = "missed while nothing was running (catch_up: skip)"
        elif policy.catch_up is CatchUp.ALL or at == due[-1]:
            wanted.add(at)
        else:
            reasons[at] = f"missed: superseded by {due[-1].isoformat()} (catch_up: latest)"
    if policy.overlap is Overlap.SKIP and policy.catch_up is not CatchUp.ALL and not active:
        # Only one of them can run: the newest knows most.
        open_ = [at for at in due if at in wanted and _closed(at, policy) is None]
        for at in open_[:-1]:
            wanted.discard(at)
            reasons[at] = f"overlap: superseded by {open_[-1].isoformat()} (overlap: skip)"
    waiting = sum(1 for _, state in active if state != "running")
    busy = len(active)
    for at in due:
        tick = _tick(
            at, at in wanted, reasons.get(at), policy, busy, waiting, active, at not in on_time
        )
        if tick.runs:
            busy += 1
            waiting += 1
        ticks.append(tick)
    return Plan(ticks, instant)


def _tick(
    at: datetime,
    wanted: bool,
    reason: str | None,
    policy: SchedulePolicy,
    busy: int,
    waiting: int,
    active: Sequence[tuple[str, str]],
    missed: bool,
) -> Tick:
    closed = _closed(at, policy)
    if closed is not None:
        return Tick(at, False, closed)
    if not wanted:
        return Tick(at, False, reason or "missed")
    gate = takes_turns(policy)
    if not busy or policy.overlap is Overlap.ALLOW:
        return Tick(at, True, gate=gate)
    if policy.overlap is Overlap.CANCEL_OTHER:
        return Tick(at, True, gate=gate, cancel_other=True)
    holder = f"run {active[0][0]}" if active else "the firing before it"
    if policy.overlap is Overlap.SKIP and not (missed and policy.catch_up is CatchUp.ALL):
        held = bool(active) and active[0][1] == "held"
        what = "waits for approval" if held else "has not ended"
        return Tick(at, False, f"overlap: {holder} {what} (overlap: skip)")
    if policy.overlap is Overlap.BUFFER_ONE and waiting:
        return Tick(at, False, "overlap: one firing waits already (overlap: buffer_one)")
    return Tick(at, True, gate=gate)


def _closed(at: datetime, policy: SchedulePolicy) -> str | None:
    """Return why a schedule does not fire at an instant at all, or None."""
    if policy.start is not None and at < policy.start:
        return f"before the schedule starts at {policy.start.isoformat()}"
    for blackout in policy.blackouts:
        if blackout.covers(at):
            return blackout.describe()
    return None


def takes_turns(policy: SchedulePolicy) -> bool:
    """Whether runs of the schedule wait for each other, and so share a gate of one."""
    if policy.overlap is Overlap.ALLOW:
        return False
    return policy.overlap is not Overlap.SKIP or policy.catch_up is CatchUp.ALL


def jitter_of(schedule_id: str, fire_at: datetime, most: timedelta) -> timedelta:
    """Return the delay of one firing: the same firing is always delayed alike.

    Uniform over [0, most), from a hash of the schedule and the instant.
    """
    if not most:
        return most
    digest = hashlib.blake2b(f"{schedule_id}@{fire_at.isoformat()}".encode(), digest_size=8)
    return most * (int.from_bytes(digest.digest(), "big") / 2**64)
