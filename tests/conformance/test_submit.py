"""Submitting runs, on each store."""

from __future__ import annotations

import threading

import pytest
import sqlalchemy as sa

from closingbell.core.error import StoreError, UnknownRun
from tests.conformance.desk import SECOND, Desk, FakeClaimer


def test_submit_single_run_is_pending_with_what_was_given(desk: Desk) -> None:
    [item] = desk.items(1, payload='{"symbol": "AAPL"}')
    template = desk.template(
        priority=2,
        tags='["risk","eod"]',
        schedule_id="s",
        fire_at=desk.now,
        session_date="2026-03-02",
        event_id="e",
        cause="event",
    )
    assert desk.queue.submit(template, [item]) == [item.id]
    run = desk.store.runs.get(item.id)
    assert (run.task, run.state.value, run.priority, run.executor) == (
        "risk_scan",
        "pending",
        2,
        "async",
    )
    assert run.payload == {"symbol": "AAPL"}
    assert run.tags == ("risk", "eod")
    assert run.due_at == run.submitted_at == run.fire_at == desk.clock.now()
    assert str(run.session_date) == "2026-03-02"
    assert (run.cause, run.attempt, run.fence, run.attempts) == ("event", 0, 0, ())
    assert run.started_at is None
    assert run.finished_at is None


def test_submit_bulk_returns_ids_in_order_and_stores_every_run(desk: Desk) -> None:
    items = desk.items(7_001)
    assert desk.queue.submit(desk.template(), items) == [item.id for item in items]
    assert desk.store.runs.counts()["pending"] == 7_001


def test_submit_bulk_keeps_payloads_with_quotes_braces_and_other_scripts(desk: Desk) -> None:
    texts = ['{"a":"\\"quoted\\", {braced}"}', '{"b":"back\\\\slash"}', '{"c":"Zürich 東京"}']
    items = [item._replace(payload=text) for item, text in zip(desk.items(3), texts, strict=True)]
    desk.queue.submit(desk.template(), items)
    payloads = [desk.store.runs.get(item.id).payload for item in items]
    assert payloads == [{"a": '"quoted", {braced}'}, {"b": "back\\slash"}, {"c": "Zürich 東京"}]


def test_submit_taken_key_returns_the_holder_and_stores_nothing(desk: Desk) -> None:
    first = desk.submit_one(key="eod-2026-03-02")
    assert desk.submit_one(key="eod-2026-03-02", priority=1) == first
    assert desk.store.runs.get(first).priority == 5
    assert desk.store.runs.counts()["pending"] == 1


def test_submit_taken_key_of_an_ended_run_still_returns_it(desk: Desk) -> None:
    first = desk.submit_one(key="k")
    desk.finish(first)
    assert desk.submit_one(key="k") == first
    assert desk.state(first) == "success"


def test_submit_same_key_of_another_task_is_a_run_of_its_own(desk: Desk) -> None:
    assert desk.submit_one(key="k") != desk.submit_one(key="k", task="valuation")


def test_submit_same_key_from_many_threads_makes_one_run(desk: Desk) -> None:
    answers: list[str] = []
    others = [Desk(desk.address) for _ in range(4)]
    barrier = threading.Barrier(len(others))

    def submit(other: Desk) -> None:
        barrier.wait(10)
        answers.extend(other.submit_one(key=f"k{n}") for n in range(20))

    threads = [threading.Thread(target=submit, args=(other,)) for other in others]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    for other in others:
        other.close()
    assert len(answers) == 80
    assert len(set(answers)) == 20
    assert desk.store.runs.counts()["pending"] == 20


def test_submit_repeated_id_leaves_the_first_as_it_is(desk: Desk) -> None:
    [item] = desk.items(1)
    desk.queue.submit(desk.template(priority=3), [item])
    assert desk.queue.submit(desk.template(priority=7), [item]) == [item.id]
    assert desk.store.runs.get(item.id).priority == 3


def test_submit_repeated_bulk_stores_only_what_is_missing(desk: Desk) -> None:
    items = desk.items(10)
    desk.queue.submit(desk.template(), items[:4])
    assert desk.queue.submit(desk.template(), items) == [item.id for item in items]
    assert desk.store.runs.counts()["pending"] == 10


@pytest.mark.parametrize("count", [1, 3])
def test_submit_impossible_priority_is_refused_by_the_store_itself(desk: Desk, count: int) -> None:
    with pytest.raises(StoreError):
        desk.submit(count, priority=10)
    assert sum(desk.store.runs.counts().values()) == 0
    desk.submit(count)
    assert desk.store.runs.counts()["pending"] == count


def test_submit_inside_the_callers_transaction_exists_exactly_when_it_commits(desk: Desk) -> None:
    engine = sa.create_engine(desk.address)
    items = desk.items(3)
    try:
        with engine.begin() as connection:
            connection.execute(sa.text("CREATE TABLE orders (run_id TEXT)"))
        with engine.connect() as connection:
            transaction = connection.begin()
            ids = desk.queue.submit(desk.template(), items, connection)
            connection.execute(sa.text("INSERT INTO orders VALUES (:id)"), {"id": ids[0]})
            assert desk.store.runs.counts()["pending"] == 0
            transaction.rollback()
        with pytest.raises(UnknownRun):
            desk.store.runs.get(items[0].id)
        with engine.begin() as connection:
            assert desk.queue.submit(desk.template(), items, connection) == [i.id for i in items]
            connection.execute(sa.text("INSERT INTO orders VALUES (:id)"), {"id": items[0].id})
        assert desk.store.runs.counts()["pending"] == 3
    finally:
        engine.dispose()


def test_submit_taken_key_inside_the_callers_transaction_returns_the_holder(desk: Desk) -> None:
    first = desk.submit_one(key="k")
    engine = sa.create_engine(desk.address)
    with engine.begin() as connection:
        again = desk.queue.submit(desk.template(key="k"), desk.items(1), connection)
    engine.dispose()
    assert again == [first]


def test_submit_where_a_claimer_is_attached_is_claimed_at_once(desk: Desk) -> None:
    desk.queue.attach(desk.claimer)
    run_id = desk.submit_one()
    assert desk.claimer.ids == [run_id]
    claim = desk.claimer.claims[0]
    run = desk.store.runs.get(run_id)
    assert (run.state.value, run.fence, run.attempt, run.worker_id) == ("running", 1, 1, "w1")
    assert (claim.fence, claim.attempt, claim.started_at) == (1, 1, desk.now)
    assert run.started_at == desk.clock.now()
    desk.queue.detach(desk.claimer)


def test_submit_where_the_attached_claimer_is_full_waits_for_its_turn(desk: Desk) -> None:
    desk.claimer.free = {"async": 1}
    desk.queue.attach(desk.claimer)
    first, second = desk.submit_one(), desk.submit_one(priority=1)
    assert desk.claimer.ids == [first]
    assert desk.state(second) == "pending"
    desk.queue.detach(desk.claimer)


def test_submit_where_a_listening_claimer_found_nothing_is_claimed_at_once(desk: Desk) -> None:
    heard = threading.Event()
    desk.queue.listen(heard.set)
    heard.wait(0.5)
    desk.queue.attach(desk.claimer)
    ids = []
    for count in (1, 2, 1, 1):
        while desk.queue.exchange():
            pass
        ids += desk.submit(count)
        assert desk.claimer.ids == ids
    back = desk.claimer.claim(ids[0])
    desk.claimer.ended.append(
        desk.settle(back, "pending", outcome="given_back", attempt=0, due_at=desk.now, ledger=True)
    )
    while desk.queue.exchange():
        pass
    assert desk.claimer.claim(ids[0]).fence == 2
    desk.queue.detach(desk.claimer)


def test_claim_order_holds_for_a_listening_worker_whatever_was_claimed_before(desk: Desk) -> None:
    heard = threading.Event()
    desk.queue.listen(heard.set)
    heard.wait(0.5)
    desk.claimer.free = {"async": 2}
    desk.queue.attach(desk.claimer)
    desk.submit(20, priority=5)
    seen = list(desk.claimer.ids)

    def settle_all() -> None:
        desk.claimer.ended += [desk.settle(claim) for claim in desk.claimer.claims]
        desk.queue.exchange()
        seen.extend(desk.claimer.ids)

    settle_all()
    # What comes in by any door of this process goes before what waits already.
    high = desk.submit_one(priority=1)
    settle_all()
    assert seen[4] == high
    desk.store.events.record(
        "e", "tick", "{}", [(desk.template(priority=1), item := desk.items(1)[0])], desk.now
    )
    settle_all()
    assert seen[6] == item.id
    again = seen[0]
    desk.store.runs.retry(again, 3, desk.now - SECOND)
    settle_all()
    assert again in seen[8:10]
    while desk.claimer.claims:
        settle_all()
    assert len(seen) == 23
    assert desk.store.runs.counts()["success"] == 22
    desk.queue.detach(desk.claimer)


def test_submit_behind_a_waiting_run_does_not_overtake_it(desk: Desk) -> None:
    waiting = desk.submit_one(priority=1)
    desk.claimer.free = {"async": 1}
    desk.queue.attach(desk.claimer)
    late = desk.submit_one()
    desk.queue.exchange()
    assert desk.claimer.ids == [waiting]
    assert desk.state(late) == "pending"
    desk.queue.detach(desk.claimer)


def test_submit_task_that_the_attached_claimer_does_not_know_stays_pending(desk: Desk) -> None:
    desk.claimer.unknown = {"valuation"}
    desk.queue.attach(desk.claimer)
    run_id = desk.submit_one(task="valuation")
    assert desk.state(run_id) == "pending"
    desk.queue.detach(desk.claimer)


def test_submit_repeated_where_a_claimer_is_attached_claims_once(desk: Desk) -> None:
    desk.queue.attach(desk.claimer)
    [item] = desk.items(1)
    for _ in range(2):
        assert desk.queue.submit(desk.template(), [item]) == [item.id]
    assert desk.claimer.ids == [item.id]
    assert desk.submit_one(key="k") == desk.submit_one(key="k")
    assert len(desk.claimer.ids) == 2
    desk.queue.detach(desk.claimer)


@pytest.mark.parametrize("hears", [False, True])
def test_submit_from_many_threads_with_a_busy_claimer_loses_and_doubles_nothing(
    desk: Desk, hears: bool
) -> None:
    class Finisher(FakeClaimer):
        def deliver(self, claims, settled, stale):  # type: ignore[no-untyped-def]
            super().deliver(claims, settled, stale)
            seen.extend(claim.id for claim in claims)
            self.ended += [desk.settle(claim) for claim in claims]

    seen: list[str] = []
    claimer = Finisher(free={"async": 3})
    desk.queue.attach(claimer)
    if hears:
        heard = threading.Event()
        desk.queue.listen(heard.set)
        heard.wait(0.5)
    submitted: list[list[str]] = [[] for _ in range(4)]
    batches = [[desk.items(1 + n % 2) for n in range(25)] for _ in submitted]

    def submit(own: list[str], mine: list[list[object]]) -> None:
        for items in mine:
            own.extend(desk.queue.submit(desk.template(), items))  # type: ignore[arg-type]

    threads = [
        threading.Thread(target=submit, args=pair) for pair in zip(submitted, batches, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    while desk.queue.exchange():
        pass
    desk.queue.detach(claimer)
    everything = [run_id for own in submitted for run_id in own]
    assert len(everything) == 148
    assert sorted(seen) == sorted(everything)
    assert not claimer.stale
    assert desk.store.runs.counts()["success"] == 148
