"""Limits, on each store: exact across all workers."""

from __future__ import annotations

import threading
from collections import Counter

import pytest

from closingbell.core.clock import SystemClock
from closingbell.core.limit import Bucket, Lane, Room
from closingbell.core.run import Claim
from closingbell.store.store import open_store
from tests.conformance.desk import SECOND, Desk, FakeClaimer, gate, needs, rate


def test_gate_lets_as_many_run_at_once_as_it_says(desk: Desk) -> None:
    lane = gate("task:risk_scan", 2)
    ids = desk.submit(5, lane)
    assert desk.work().ids == ids[:2]
    assert desk.work().ids == ids[:2]
    desk.end(desk.claimer.claim(ids[0]))
    assert desk.work().ids == ids[1:3]
    for claim in desk.claimer.claims:
        desk.claimer.ended.append(desk.settle(claim))
    desk.work()
    # What is settled in the same transaction has freed its place.
    assert desk.claimer.ids == ids[3:]


def test_gate_of_each_key_counts_for_itself(desk: Desk) -> None:
    apple = desk.submit(3, gate("task:sync/AAPL", 1))
    ibm = desk.submit(3, gate("task:sync/IBM", 1))
    free = desk.submit(1)
    assert desk.work().ids == [apple[0], ibm[0], *free]


def test_gate_shared_by_two_lanes_counts_both(desk: Desk) -> None:
    one = desk.submit(2, gate("desk", 3, ("task:a", 2)))
    two = desk.submit(2, gate("desk", 3, ("task:b", 2)), task="b")
    assert desk.work().ids == [*one, two[0]]


def test_gate_counts_runs_on_other_workers_and_executors(desk: Desk) -> None:
    lane = gate("g", 2)
    first = desk.submit_one(lane)
    second, third = desk.submit(2, lane, executor="thread")
    assert desk.work().ids == [first]
    assert desk.work(FakeClaimer("w2", {"thread": 5})).ids == [second]
    assert desk.work(FakeClaimer("w3", {"thread": 5})).ids == []
    assert desk.state(third) == "pending"


def test_gate_shared_by_two_executors_of_one_worker_is_not_exceeded(desk: Desk) -> None:
    lane = gate("g", 3)
    desk.submit(3, lane)
    desk.submit(3, lane, executor="thread")
    assert len(desk.work(FakeClaimer(free={"async": 2, "thread": 5})).claims) == 3


def test_priority_holds_between_limited_and_unlimited_runs(desk: Desk) -> None:
    lane = gate("g", 5)
    plain_low, lane_low = desk.submit_one(priority=7), desk.submit_one(lane, priority=6)
    plain_high, lane_high = desk.submit_one(priority=2), desk.submit_one(lane, priority=1)
    desk.claimer.free = {"async": 3}
    assert desk.work().ids == [lane_high, plain_high, lane_low]
    assert desk.state(plain_low) == "pending"


def test_full_gate_does_not_hold_up_what_is_not_limited(desk: Desk) -> None:
    full = desk.submit(3, gate("g", 1), priority=1)
    plain = desk.submit(2)
    assert desk.work().ids == [full[0], *plain]


def test_lane_order_is_priority_then_due_at_then_id(desk: Desk) -> None:
    lane = gate("g", 10)
    low = desk.submit_one(lane, priority=8)
    late, early = desk.submit_one(lane), desk.submit_one(lane, due_at=desk.now - 5)
    high = desk.submit_one(lane, priority=1)
    assert desk.work().ids == [high, early, late, low]


def test_lane_of_a_task_that_the_worker_does_not_know_is_left(desk: Desk) -> None:
    lane = gate("g", 2)
    desk.submit(1, lane, task="valuation")
    known = desk.submit_one(lane)
    desk.claimer.unknown = {"valuation"}
    assert desk.work().ids == [known]


def test_run_that_ended_in_a_lane_frees_its_place_whatever_became_of_it(desk: Desk) -> None:
    lane = gate("g", 1)
    ids = desk.submit(4, lane)
    desk.work()
    desk.end(desk.claimer.claim(ids[0]), "failed", error="{}")
    desk.work()
    desk.end(desk.claimer.claim(ids[1]), "scheduled", due_at=desk.now + SECOND, ledger=True)
    desk.work()
    desk.end(
        desk.claimer.claim(ids[2]), "pending", outcome="given_back", attempt=0, due_at=desk.now,
        ledger=True,
    )  # fmt: skip
    assert desk.work().ids == [ids[2]]


# --- rates -------------------------------------------------------------------------------


def test_rate_holds_in_every_rolling_window(desk: Desk) -> None:
    lane = rate("binance", 3, 10.0)
    desk.submit(30, lane)
    desk.claimer.free = {"async": 100}
    starts: list[int] = []
    for _ in range(45):
        before = len(desk.claimer.claims)
        desk.work()
        starts += [desk.now] * (len(desk.claimer.claims) - before)
        desk.advance(1)
    assert len(starts) == 15
    for start in starts:
        assert sum(start <= other < start + 10 * SECOND for other in starts) <= 3


def test_rate_is_shared_by_the_tasks_that_name_its_bucket(desk: Desk) -> None:
    ours, theirs = rate("binance", 4, 60.0), rate("binance", 4, 60.0, weight=2)
    one = desk.submit(3, ours)
    two = desk.submit(3, theirs, task="orders", executor="thread")
    claimer = desk.work(FakeClaimer(free={"async": 5, "thread": 5}))
    units = sum({True: 1, False: 2}[claim.id in one] for claim in claimer.claims)
    assert units <= 4
    assert len(claimer.claims) == 3
    assert set(claimer.ids) < {*one, *two}


def test_rate_of_one_bucket_over_two_windows_keeps_both(desk: Desk) -> None:
    second, minute = rate("api", 2, 1.0), rate("api", 5, 60.0)
    fast, slow = desk.submit(10, second, priority=1), desk.submit(10, minute, task="slow")
    desk.claimer.free = {"async": 100}
    counts = []
    for _ in range(4):
        desk.work()
        counts.append(
            (sum(i in fast for i in desk.claimer.ids), sum(i in slow for i in desk.claimer.ids))
        )
        desk.advance(1)
    # The fast ones use the minute's units too: 2 + 3 slow ones fill it.
    assert counts == [(2, 3), (4, 3), (6, 3), (8, 3)]


def test_rate_that_is_used_up_says_when_it_frees(desk: Desk) -> None:
    desk.submit(3, rate("api", 1, 30.0))
    desk.work()
    started = desk.now
    desk.advance(4)
    desk.work()
    assert desk.queue.blocked_until == started + 30 * SECOND
    desk.clock.advance(
        desk.clock.now().fromtimestamp((started + 30 * SECOND) / 1e6, tz=None).astimezone()
    )
    desk.work()
    assert len(desk.claimer.claims) == 2


def test_rate_counts_a_start_even_if_the_run_has_ended(desk: Desk) -> None:
    ids = desk.submit(2, rate("api", 1, 30.0))
    desk.finish(ids[0])
    assert desk.work().ids == []
    desk.advance(30)
    assert desk.work().ids == [ids[1]]


def test_rate_uses_older_than_every_window_of_their_bucket_are_pruned(desk: Desk) -> None:
    desk.submit(1, rate("api", 5, 1.0))
    desk.submit(1, rate("api", 5, 60.0))
    desk.submit(1, rate("other", 5, 1.0))
    desk.work()
    never = {"events": 0, "alerts": 0, "firings": 0}
    desk.advance(2)
    assert desk.store.retention.prune_facts(never, desk.now) == 1
    assert desk.store.runs.rate_used("api", 0) == 2
    desk.advance(60)
    assert desk.store.retention.prune_facts(never, desk.now) == 2


# --- resources ---------------------------------------------------------------------------


def test_room_admits_what_fits_the_worker(desk: Desk) -> None:
    big = desk.submit(3, needs(cpu=1.5, memory=2**30))
    small = desk.submit(3, needs(cpu=0.5))
    desk.claimer.room = Room(cpu=4.0, memory=2 * 2**30)
    assert desk.work().ids == [*big[:2], *small[:2]]


def test_room_is_shared_by_the_executors_of_one_worker(desk: Desk) -> None:
    desk.submit(3, needs(cpu=1.0))
    desk.submit(3, needs(cpu=1.0), executor="process")
    claimer = FakeClaimer(free={"async": 3, "process": 3})
    claimer.room = Room(cpu=4.0)
    assert len(desk.work(claimer).claims) == 4


def test_run_that_fits_no_worker_does_not_hold_up_the_others(desk: Desk) -> None:
    huge, fits = desk.submit_one(needs(cpu=64.0), priority=1), desk.submit_one()
    desk.claimer.room = Room(cpu=2.0)
    assert desk.work().ids == [fits]
    assert desk.state(huge) == "pending"


# --- competition -------------------------------------------------------------------------


@pytest.mark.parametrize("round_", [1, 2])
def test_limits_hold_exactly_under_several_competing_workers(desk: Desk, round_: int) -> None:
    shared = ("desk", 4)
    lanes = [
        gate("task:a", 3, shared),
        gate("task:b/x", 1, shared),
        gate("task:b/y", 1, shared),
        Lane(gates=(("task:c", 2),), bucket=Bucket("api", 15, 3_600 * SECOND, 1)).encode(),
    ]
    limits = {"task:a": 3, "task:b/x": 1, "task:b/y": 1, "desk": 4, "task:c": 2}
    where: dict[str, str] = {}
    for lane in lanes:
        assert lane is not None
        where |= dict.fromkeys(desk.submit(30, lane), lane)
    where |= dict.fromkeys(desk.submit(60), "")
    running: Counter[str] = Counter()
    started: Counter[str] = Counter()
    over: list[str] = []
    guard = threading.Lock()
    barrier = threading.Barrier(4)

    def gates_of(run_id: str) -> list[str]:
        return [name for name, _ in Lane.decode(where[run_id]).gates] if where[run_id] else []

    def note(claims: list[Claim]) -> None:
        with guard:
            for claim in claims:
                started[claim.id] += 1
                for name in gates_of(claim.id):
                    running[name] += 1
                    if running[name] > limits[name]:
                        over.append(name)

    def drain(number: int) -> None:
        store = open_store(desk.address, SystemClock())
        claimer = FakeClaimer(f"w{number}", {"async": 5})
        store.queue.attach(claimer)
        barrier.wait(30)
        idle = 0
        while idle < 30:
            known = set(claimer.ids)
            store.queue.exchange()
            fresh = [claim for claim in claimer.claims if claim.id not in known]
            note(fresh)
            # Counted as ended before the store hears of it: the store may only be stricter.
            with guard:
                for claim in claimer.claims:
                    for name in gates_of(claim.id):
                        running[name] -= 1
            claimer.ended += [
                desk.settle(claim, finished_at=store.runs.get(claim.id).due_at.microsecond)
                for claim in claimer.claims
            ]
            idle = 0 if claimer.claims else idle + 1
        store.close()

    threads = [threading.Thread(target=drain, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(100)
    assert not over
    assert max(started.values()) == 1
    by_lane = Counter(where[run_id] for run_id in started)
    assert by_lane == {lanes[0]: 30, lanes[1]: 30, lanes[2]: 30, lanes[3]: 15, "": 60}
