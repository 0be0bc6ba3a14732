"""Claiming without limits, on each store."""

from __future__ import annotations

import threading
from datetime import timedelta

from closingbell.core.clock import to_micros
from tests.conformance.desk import SECOND, Desk, FakeClaimer


def test_claim_order_is_priority_then_due_at_then_id(desk: Desk) -> None:
    low = desk.submit_one(priority=9)
    late = desk.submit_one(priority=2, due_at=desk.now - 1)
    early = desk.submit_one(priority=2, due_at=desk.now - 5)
    same = desk.submit(3, priority=2, due_at=desk.now - 1)
    high = desk.submit_one(priority=1)
    assert desk.work().ids == [high, early, late, *same, low]


def test_claim_takes_no_more_than_the_free_places_of_each_executor(desk: Desk) -> None:
    a, t = desk.submit(5), desk.submit(5, executor="thread")
    desk.submit(2, executor="process")
    claimer = FakeClaimer(free={"async": 2, "thread": 3})
    desk.work(claimer)
    assert sorted(claimer.ids) == sorted(a[:2] + t[:3])


def test_claim_carries_everything_that_the_attempt_needs(desk: Desk) -> None:
    desk.submit(
        executor="thread",
        max_attempts=7,
        timeout_s=12.5,
        due_at=desk.now - 3,
        fire_at=desk.now - 4,
        session_date="2026-03-02",
        schedule_id="daily",
    )
    desk.advance(2)
    [claim] = desk.work(FakeClaimer(free={"thread": 1})).claims
    start = desk.now - 2 * SECOND
    assert claim[1:] == (
        1, "risk_scan", "{}", 1, 7, 12.5, start - 3, start - 4, "2026-03-02", "daily", "thread",
        0, None, desk.now, None,
    )  # fmt: skip


def test_claim_marks_the_run_as_running_on_its_worker(desk: Desk) -> None:
    run_id = desk.submit_one()
    desk.advance(1)
    desk.work()
    run = desk.store.runs.get(run_id)
    assert (run.state.value, run.worker_id, run.attempt) == ("running", "w1", 1)
    assert run.started_at == desk.clock.now()
    assert run.lateness == timedelta(seconds=1)
    assert [(a.number, a.outcome, a.fence) for a in run.attempts] == [(1, "running", 1)]


def test_claim_ahead_of_the_instant_starts_on_it(desk: Desk) -> None:
    soon = desk.now + SECOND // 2
    first = desk.submit_one(state="scheduled", due_at=soon)
    desk.queue.promote(soon)
    second = desk.submit_one(due_at=soon, priority=9)
    desk.queue.attach(desk.claimer)
    third = desk.submit_one(due_at=soon + 1, priority=9)
    desk.queue.exchange()
    fourth = desk.submit_one(due_at=soon + 2)
    desk.queue.detach(desk.claimer)
    assert desk.claimer.ids == [first, second, third, fourth]
    assert [claim.started_at for claim in desk.claimer.claims] == [soon, soon, soon + 1, soon + 2]
    for claim in desk.claimer.claims:
        started = desk.store.runs.get(claim.id).started_at
        assert started is not None
        assert to_micros(started) == claim.started_at


def test_claim_raises_the_fence_by_one_each_time(desk: Desk) -> None:
    run_id = desk.submit_one(max_attempts=9)
    fences = []
    for _ in range(4):
        desk.work()
        claim = desk.claimer.claim(run_id)
        fences.append((claim.fence, claim.attempt))
        desk.end(claim, "scheduled", due_at=desk.now, ledger=True)
        desk.queue.promote(desk.now)
    assert fences == [(1, 1), (2, 2), (3, 3), (4, 4)]


def test_claim_scheduled_run_waits_for_its_promotion(desk: Desk) -> None:
    due = desk.submit_one(state="scheduled", due_at=desk.now + 5 * SECOND)
    later = desk.submit_one(state="scheduled", due_at=desk.now + 9 * SECOND)
    assert desk.queue.next_due() == desk.now + 5 * SECOND
    assert desk.queue.promote(desk.now) == 0
    assert desk.work().ids == []
    desk.advance(5)
    assert desk.queue.promote(desk.now) == 1
    assert desk.states([due, later]) == ["pending", "scheduled"]
    assert desk.queue.next_due() == desk.now + 4 * SECOND
    assert desk.work().ids == [due]


def test_next_due_without_scheduled_runs_is_none(desk: Desk) -> None:
    desk.submit()
    assert desk.queue.next_due() is None


def test_promote_where_a_claimer_is_attached_claims_at_once(desk: Desk) -> None:
    run_id = desk.submit_one(state="scheduled", due_at=desk.now + SECOND)
    desk.queue.attach(desk.claimer)
    desk.advance(1)
    assert desk.queue.promote(desk.now) == 1
    desk.queue.detach(desk.claimer)
    assert desk.claimer.ids == [run_id]


def test_promote_moves_the_earliest_first_up_to_its_limit(desk: Desk) -> None:
    ids = [desk.submit_one(state="scheduled", due_at=desk.now + n * SECOND) for n in (3, 1, 2)]
    desk.advance(10)
    assert desk.queue.promote(desk.now, limit=2) == 2
    assert desk.states(ids) == ["scheduled", "pending", "pending"]


def test_claim_leaves_tasks_that_the_worker_does_not_know(desk: Desk) -> None:
    unknown, quoted = desk.submit_one(task="valuation"), desk.submit_one(task='o\'hare "{x}"')
    known = desk.submit_one()
    desk.claimer.unknown = {"valuation", 'o\'hare "{x}"', "never seen"}
    assert desk.work().ids == [known]
    desk.claimer.unknown = set()
    assert desk.work().ids == [known, unknown, quoted]


def test_claim_when_the_worker_wants_nothing_takes_nothing(desk: Desk) -> None:
    run_id = desk.submit_one()
    desk.claimer.claiming = False
    assert desk.work().ids == []
    assert desk.state(run_id) == "pending"


def test_exchange_with_nothing_to_do_says_so(desk: Desk) -> None:
    desk.queue.attach(desk.claimer)
    assert desk.queue.exchange() is False
    desk.store.database.close()
    desk.submit()
    assert desk.queue.exchange() is False
    desk.claimer.ended.append(desk.settle(desk.claimer.claims[0]))
    assert desk.queue.exchange() is True
    assert desk.queue.exchange() is False
    desk.queue.detach(desk.claimer)


def test_exchange_claims_into_the_places_that_it_settles(desk: Desk) -> None:
    first, second = desk.submit(2)
    desk.claimer.free = {"async": 1}
    desk.work()
    desk.claimer.ended.append(desk.settle(desk.claimer.claim(first)))
    desk.work()
    assert desk.claimer.ids == [second]
    assert desk.state(first) == "success"


def test_exchange_serves_every_attached_claimer(desk: Desk) -> None:
    ids = desk.submit(4)
    one, two = FakeClaimer("one", {"async": 3}), FakeClaimer("two", {"async": 3})
    for claimer in (one, two):
        desk.queue.attach(claimer)
    desk.queue.exchange()
    for claimer in (one, two):
        desk.queue.detach(claimer)
    assert one.ids + two.ids == ids
    assert desk.store.runs.get(ids[3]).worker_id == "two"


def test_claim_by_competing_workers_gives_every_run_to_exactly_one(desk: Desk) -> None:
    ids = desk.submit(600)
    others = [Desk(desk.address) for _ in range(3)]
    barrier = threading.Barrier(len(others))
    claimers = [FakeClaimer(f"w{n}", {"async": 7}) for n in range(len(others))]
    taken: list[list[str]] = [[] for _ in others]

    def drain(other: Desk, claimer: FakeClaimer, mine: list[str]) -> None:
        barrier.wait(10)
        while other.work(claimer).claims:
            mine += claimer.ids
            claimer.ended += [other.settle(claim) for claim in claimer.claims]

    threads = [
        threading.Thread(target=drain, args=args)
        for args in zip(others, claimers, taken, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for other in others:
        other.close()
    assert sorted(run_id for mine in taken for run_id in mine) == ids
    assert desk.store.runs.counts()["success"] == 600
    assert not any(claimer.stale for claimer in claimers)


def test_changed_after_another_process_submitted_is_true_once(desk: Desk) -> None:
    heard = threading.Event()
    desk.queue.listen(heard.set)
    other = Desk(desk.address)
    try:
        assert _becomes(desk, False, heard)
        other.submit()
        assert _becomes(desk, True, heard)
        assert not desk.queue.changed()
    finally:
        other.close()


def _becomes(desk: Desk, wanted: bool, heard: threading.Event) -> bool:
    for _ in range(300):
        if desk.queue.changed() is wanted:
            return True
        heard.wait(0.01)
        heard.clear()
    return False
