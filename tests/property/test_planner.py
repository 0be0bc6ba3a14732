"""The planner: every instant becomes exactly one fact, whatever the outage and the policy."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from closingbell.core.schedule import CatchUp, Overlap, SchedulePolicy
from closingbell.scheduler.planner import MISSED_LISTED, jitter_of, plan, takes_turns
from closingbell.triggers import Blackout, Every

START = datetime(2026, 3, 2, tzinfo=UTC)
MINUTE = timedelta(minutes=1)

policies = st.builds(
    SchedulePolicy,
    catch_up=st.sampled_from(CatchUp),
    overlap=st.sampled_from(Overlap),
    catch_up_window=st.sampled_from([timedelta(0), 10 * MINUTE, timedelta(days=7)]),
    grace=st.sampled_from([timedelta(0), MINUTE, 5 * MINUTE]),
    start=st.sampled_from([None, START + 20 * MINUTE]),
    end=st.sampled_from([None, START + 40 * MINUTE]),
    blackouts=st.sampled_from([(), (Blackout("00:10-00:15", timezone="UTC"),)]),
)
states = st.sampled_from(["scheduled", "pending", "running"])
actives = st.lists(states, max_size=3).map(lambda s: [(f"r{n}", x) for n, x in enumerate(s)])
EVERY = Every("1m")


@given(policy=policies, minutes=st.integers(0, 90), active=actives)
def test_every_instant_is_one_tick_and_every_skip_has_a_reason(
    policy: SchedulePolicy, minutes: int, active: list[tuple[str, str]]
) -> None:
    now = START + minutes * MINUTE + timedelta(seconds=7)
    planned = plan(EVERY, policy, START, now, active)
    instants = [START + n * MINUTE for n in range(minutes + 1)]
    if policy.end is not None:
        instants = [at for at in instants if at <= policy.end]

    assert [tick.fire_at for tick in planned.ticks] == instants
    assert all(tick.runs or tick.reason for tick in planned.ticks)
    following = START + (minutes + 1) * MINUTE
    ended = policy.end is not None and following > policy.end
    assert planned.next_fire_at == (None if ended else following)


@given(policy=policies, minutes=st.integers(0, 60), active=actives)
def test_what_runs_keeps_the_policy(
    policy: SchedulePolicy, minutes: int, active: list[tuple[str, str]]
) -> None:
    now = START + minutes * MINUTE + timedelta(seconds=7)
    ran = [tick for tick in plan(EVERY, policy, START, now, active).ticks if tick.runs]
    missed = [tick for tick in ran if now - tick.fire_at > policy.grace]

    for tick in ran:
        assert policy.start is None or tick.fire_at >= policy.start
        assert not any(window.covers(tick.fire_at) for window in policy.blackouts)
        assert tick.gate == takes_turns(policy)
    for tick in missed:
        assert now - tick.fire_at <= policy.catch_up_window
    assert policy.catch_up is not CatchUp.SKIP or not missed
    assert policy.catch_up is not CatchUp.LATEST or len(missed) <= 1
    if policy.overlap is Overlap.SKIP and policy.catch_up is not CatchUp.ALL:
        assert len(ran) <= (0 if active else 1)
    if policy.overlap is Overlap.BUFFER_ONE:
        waiting = sum(state != "running" for _, state in active)
        assert len(ran) <= (1 if not active else max(1 - waiting, 0)) + 1


@given(minutes=st.integers(0, 60), cut=st.integers(0, 60), catch_up=st.sampled_from(CatchUp))
def test_planning_in_two_steps_makes_the_runs_of_catching_up_all_the_same(
    minutes: int, cut: int, catch_up: CatchUp
) -> None:
    """A scheduler that looks often runs every instant on time, whatever the policy says."""
    policy = SchedulePolicy(catch_up=catch_up, overlap=Overlap.ALLOW, grace=timedelta(0))
    at: datetime | None = START
    ran: list[datetime] = []
    for minute in range(minutes + 1):
        assert at is not None
        planned = plan(EVERY, policy, at, START + minute * MINUTE, [])
        ran += [tick.fire_at for tick in planned.ticks if tick.runs]
        at = planned.next_fire_at

    assert ran == [START + n * MINUTE for n in range(minutes + 1)]


def test_long_outage_is_one_fact_and_the_latest_thousand_are_listed() -> None:
    now = START + 5_000 * MINUTE
    planned = plan(EVERY, SchedulePolicy(), START, now, [])
    first, *listed = planned.ticks

    assert len(listed) == MISSED_LISTED
    assert first.instants + len(listed) == 5_001
    assert (first.fire_at, first.runs) == (START, False)
    assert first.until == listed[0].fire_at - MINUTE
    assert [tick.fire_at for tick in planned.ticks if tick.runs] == [now]


@given(
    st.datetimes().map(lambda at: at.replace(tzinfo=UTC)),
    st.timedeltas(timedelta(0), timedelta(days=1)),
)
def test_jitter_is_within_its_bound_and_always_the_same(at: datetime, most: timedelta) -> None:
    delay = jitter_of("s", at, most)

    assert timedelta(0) <= delay <= most
    assert delay == jitter_of("s", at, most)


def test_of_several_instants_that_are_due_at_once_the_newest_runs() -> None:
    """A run for the oldest of them would work on stale knowledge."""
    policy = SchedulePolicy(grace=timedelta(hours=1))
    ticks = plan(EVERY, policy, START, START + 3 * MINUTE, []).ticks

    assert [tick.runs for tick in ticks] == [False, False, False, True]
    assert all("superseded" in (tick.reason or "") for tick in ticks[:-1])


class _Never:
    """A blackout that never comes, and so only keeps the planner from its short way."""

    def covers(self, instant: datetime) -> bool:
        return False

    def describe(self) -> str:
        return "never"

    def to_dict(self) -> dict[str, Any]:
        return {}


@given(
    catch_up=st.sampled_from(CatchUp),
    overlap=st.sampled_from(Overlap),
    grace=st.sampled_from([timedelta(0), MINUTE, timedelta(hours=2)]),
    late=st.integers(0, 200),
    last=st.integers(0, 3),
)
def test_the_plain_case_is_planned_as_all_others(
    catch_up: CatchUp, overlap: Overlap, grace: timedelta, late: int, last: int
) -> None:
    policy = SchedulePolicy(catch_up=catch_up, overlap=overlap, grace=grace)
    hindered = replace(policy, blackouts=(_Never(),))
    now = START + timedelta(seconds=late)
    trigger = Every("1m", end=START + last * MINUTE)

    assert plan(trigger, policy, START, now, ()) == plan(trigger, hindered, START, now, ())
