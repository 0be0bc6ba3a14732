"""Settling, on each store: every write carries the fence, and every attempt is accounted for."""

from __future__ import annotations

import pytest

from closingbell.core.error import StoreError
from closingbell.core.run import AlertNote
from closingbell.store.codec import to_json
from tests.conformance.desk import SECOND, Desk, FakeClaimer

_ERROR = '{"code":"raised","type":"ValueError","message":"no price","traceback":"..."}'


def test_settle_success_stores_result_and_times(desk: Desk) -> None:
    run_id = desk.submit_one()
    desk.work()
    desk.advance(3)
    desk.end(desk.claimer.claim(run_id), result='{"var":[1,2.5,null],"note":"a \\"b\\" {c}"}')
    run = desk.store.runs.get(run_id)
    assert run.state.value == "success"
    assert run.result == {"var": [1, 2.5, None], "note": 'a "b" {c}'}
    assert run.duration is not None
    assert run.duration.total_seconds() == 3
    assert run.error is None
    assert [(a.number, a.outcome, a.duration) for a in run.attempts] == [
        (1, "returned", run.duration)
    ]


def test_settle_success_without_result_stores_none(desk: Desk) -> None:
    run_id = desk.submit_one()
    desk.finish(run_id, result=None)
    assert desk.store.runs.get(run_id).result is None


def test_settle_failed_stores_the_error(desk: Desk) -> None:
    run_id = desk.submit_one()
    desk.finish(run_id, "failed", error=_ERROR, reason="not retried")
    run = desk.store.runs.get(run_id)
    assert (run.state.value, run.reason) == ("failed", "not retried")
    assert run.error is not None
    assert run.error["message"] == "no price"
    assert run.attempts[0].error == run.error


def test_settle_retry_waits_until_due_and_keeps_the_attempt_in_the_ledger(desk: Desk) -> None:
    run_id = desk.submit_one()
    desk.finish(run_id, "scheduled", due_at=desk.now + 30 * SECOND, error=_ERROR, ledger=True)
    run = desk.store.runs.get(run_id)
    assert (run.state.value, run.finished_at, run.attempt) == ("scheduled", None, 1)
    assert desk.queue.next_due() == desk.now + 30 * SECOND
    assert [(a.number, a.outcome, a.fence) for a in run.attempts] == [(1, "raised", 1)]
    assert run.attempts[0].error is not None
    desk.advance(30)
    desk.queue.promote(desk.now)
    desk.finish(run_id)
    run = desk.store.runs.get(run_id)
    assert run.state.value == "success"
    assert [(a.number, a.outcome, a.fence, a.worker_id) for a in run.attempts] == [
        (1, "raised", 1, "w1"),
        (2, "returned", 2, "w1"),
    ]
    assert run.attempts[1].error is None
    assert run.reason is None


def test_settle_lost_counts_the_lost_workers(desk: Desk) -> None:
    run_id = desk.submit_one()
    for lost in range(2):
        desk.work()
        claim = desk.claimer.claim(run_id)
        assert claim.lost_count == lost
        desk.end(claim, "scheduled", outcome="lost", due_at=desk.now, ledger=True, lost=1)
        desk.queue.promote(desk.now)
    assert desk.work().claim(run_id).lost_count == 2


def test_settle_snooze_restores_the_attempt_number_and_still_raises_the_fence(desk: Desk) -> None:
    run_id = desk.submit_one()
    for _ in range(3):
        desk.work()
        claim = desk.claimer.claim(run_id)
        assert claim.attempt == 1
        desk.end(
            claim, "scheduled", outcome="snoozed", attempt=0, due_at=desk.now, ledger=True,
            reason="no data yet",
        )  # fmt: skip
        assert desk.store.runs.get(run_id).reason == "no data yet"
        desk.queue.promote(desk.now)
    assert desk.work().claim(run_id).fence == 4
    run = desk.store.runs.get(run_id)
    assert [(a.number, a.outcome, a.fence) for a in run.attempts] == [
        (1, "snoozed", 1),
        (1, "snoozed", 2),
        (1, "snoozed", 3),
        (1, "running", 4),
    ]
    assert run.reason is None


def test_settle_given_back_is_pending_again_for_another_worker(desk: Desk) -> None:
    run_id = desk.submit_one()
    desk.work()
    desk.end(
        desk.claimer.claim(run_id), "pending", outcome="given_back", attempt=0,
        due_at=desk.now, ledger=True, reason="the worker stopped",
    )  # fmt: skip
    assert desk.state(run_id) == "pending"
    claim = desk.work(FakeClaimer("w2")).claim(run_id)
    assert (claim.attempt, claim.fence) == (1, 2)
    outcomes = [(a.number, a.outcome, a.worker_id) for a in desk.store.runs.get(run_id).attempts]
    assert outcomes == [(1, "given_back", "w1"), (1, "running", "w2")]


@pytest.mark.parametrize("state", ["cancelled", "skipped"])
def test_settle_cancelled_and_skipped_keep_their_reason(desk: Desk, state: str) -> None:
    run_id = desk.submit_one()
    desk.finish(run_id, state, reason="a holiday")
    run = desk.store.runs.get(run_id)
    assert (run.state.value, run.reason, run.finished_at) == (state, "a holiday", desk.clock.now())
    assert [a.outcome for a in run.attempts] == [state]


def test_settle_many_kinds_in_one_exchange_keeps_them_apart(desk: Desk) -> None:
    ids = desk.submit(5)
    claims = list(desk.work().claims)
    desk.claimer.ended += [
        desk.settle(claims[0], result="1"),
        desk.settle(claims[1], "failed", error=_ERROR),
        desk.settle(claims[2], "scheduled", due_at=desk.now + 1, ledger=True, error=_ERROR),
        desk.settle(claims[3], "skipped", reason="r"),
        desk.settle(claims[4], result="5", logs=(("stdout", "five"),)),
    ]
    desk.work()
    assert desk.states(ids) == ["success", "failed", "scheduled", "skipped", "success"]
    assert [desk.store.runs.get(i).result for i in ids] == [1, None, None, None, 5]
    assert desk.store.runs.get(ids[3]).error is None
    assert desk.claimer.claims == []
    assert not desk.claimer.stale


# --- the fence -------------------------------------------------------------------------


def test_settle_after_another_settled_the_same_claim_is_refused_and_changes_nothing(
    desk: Desk,
) -> None:
    run_id = desk.submit_one()
    claim = desk.work().claim(run_id)
    desk.advance(1)
    desk.end(claim, "scheduled", FakeClaimer("rescuer"), outcome="lost", due_at=desk.now + SECOND,
             ledger=True, lost=1)  # fmt: skip
    desk.advance(1)
    slow = desk.claimer
    desk.end(
        claim, logs=(("stdout", "too late"),), alert=AlertNote("task_failure", "too late", "{}")
    )
    assert slow.stale == {run_id}
    run = desk.store.runs.get(run_id)
    assert (run.state.value, run.result) == ("scheduled", None)
    assert [a.outcome for a in run.attempts] == ["lost"]
    assert desk.store.runs.logs(run_id) == []
    assert desk.store.alerts.open() == []


def test_settle_with_an_older_fence_is_refused_while_the_newer_claim_runs(desk: Desk) -> None:
    run_id = desk.submit_one()
    old = desk.work().claim(run_id)
    desk.end(old, "scheduled", FakeClaimer("rescuer"), outcome="lost", due_at=desk.now, ledger=True)
    desk.queue.promote(desk.now)
    other = desk.work(FakeClaimer("w2"))
    desk.advance(1)
    desk.end(old)
    assert desk.claimer.stale == {run_id}
    assert desk.state(run_id) == "running"
    desk.end(other.claim(run_id), claimer=other, result='"right"')
    assert not other.stale
    assert desk.store.runs.get(run_id).result == "right"


def test_settle_of_two_rescuers_is_accepted_once(desk: Desk) -> None:
    run_id = desk.submit_one()
    claim = desk.work().claim(run_id)
    one, two = FakeClaimer("one"), FakeClaimer("two")
    desk.end(claim, "scheduled", one, outcome="lost", due_at=desk.now, ledger=True, lost=1)
    desk.advance(0.001)
    desk.end(claim, "scheduled", two, outcome="lost", due_at=desk.now, ledger=True, lost=1)
    assert (one.stale, two.stale) == (set(), {run_id})
    desk.queue.promote(desk.now)
    assert desk.work(FakeClaimer("w2")).claim(run_id).lost_count == 1


def test_settle_repeated_after_a_lost_answer_counts_as_accepted(desk: Desk) -> None:
    ids = desk.submit(2)
    desk.work()
    settlements = [
        desk.settle(desk.claimer.claims[0]),
        desk.settle(desk.claimer.claims[1], "scheduled", due_at=desk.now, ledger=True),
    ]
    desk.claimer.claiming = False
    for _ in range(2):
        desk.claimer.ended += settlements
        desk.work()
    assert not desk.claimer.stale
    assert desk.states(ids) == ["success", "scheduled"]
    assert len(desk.store.runs.get(ids[1]).attempts) == 1


def test_settle_of_a_run_that_was_never_stored_is_refused(desk: Desk) -> None:
    desk.submit()
    claim = desk.work().claims[0]
    desk.end(claim._replace(id="nobody"))
    assert desk.claimer.stale == {"nobody"}


def test_exchange_that_fails_puts_the_settlements_back_and_claims_nothing(desk: Desk) -> None:
    ids = desk.submit(3)
    desk.claimer.free = {"async": 2}
    desk.work()
    good, other = (desk.settle(claim) for claim in desk.claimer.claims)
    # The schema's own checks refuse an attempt with such a number.
    desk.claimer.ended += [good, other._replace(state="failed", attempt=-1)]
    desk.queue.attach(desk.claimer)
    with pytest.raises(StoreError):
        desk.queue.exchange()
    assert desk.claimer.put_back_count == 2
    assert desk.states(ids) == ["running", "running", "pending"]
    desk.claimer.ended = [good, other]
    desk.queue.exchange()
    desk.queue.detach(desk.claimer)
    assert desk.states(ids) == ["success", "success", "running"]


# --- logs and alerts -------------------------------------------------------------------


def test_settle_stores_logs_in_order_after_those_that_were_stored_while_it_ran(
    desk: Desk,
) -> None:
    run_id = desk.submit_one()
    claim = desk.work().claim(run_id)
    desk.store.runs.add_logs(run_id, claim.fence, [("stdout", "a"), ("stderr", "b")], desk.now)
    desk.store.runs.add_logs(run_id, claim.fence, [], desk.now)
    desk.advance(1)
    desk.end(claim, "scheduled", due_at=desk.now, ledger=True, logs=(("log", "c"), ("stdout", "d")))
    desk.queue.promote(desk.now)
    desk.finish(run_id, logs=(("stdout", 'second "attempt"\nline'),))
    lines = desk.store.runs.logs(run_id)
    assert [(line["fence"], line["seq"], line["stream"], line["text"]) for line in lines] == [
        (1, 0, "stdout", "a"),
        (1, 1, "stderr", "b"),
        (1, 2, "log", "c"),
        (1, 3, "stdout", "d"),
        (2, 0, "stdout", 'second "attempt"\nline'),
    ]
    assert [line["text"] for line in desk.store.runs.logs(run_id, after=(1, 2))] == [
        "d",
        'second "attempt"\nline',
    ]


def test_settle_text_that_a_database_cannot_keep_is_stored_with_replacements(desk: Desk) -> None:
    run_id = desk.submit_one()
    claim = desk.work().claim(run_id)
    odd = "a\0b\udcffc"
    desk.store.runs.add_logs(run_id, claim.fence, [("stdout", odd)], desk.now)
    desk.end(claim, "failed", reason=odd, error=to_json({"message": odd}), logs=(("stdout", odd),))
    lines = [line["text"] for line in desk.store.runs.logs(run_id)]
    assert lines == ["a\N{REPLACEMENT CHARACTER}b?c"] * 2
    run = desk.store.runs.get(run_id)
    assert run.state.value == "failed"
    assert run.error == {"message": "a\0b?c"}


def test_settle_raises_the_alert_in_the_same_transaction(desk: Desk) -> None:
    run_id = desk.submit_one()
    note = AlertNote("task_failure", "task 'risk_scan' failed", '{"message":"no price"}')
    desk.finish(run_id, "failed", error=_ERROR, alert=note)
    [alert] = desk.store.alerts.open()
    assert (alert["type"], alert["task"], alert["run_id"]) == ("task_failure", "risk_scan", run_id)
    assert (alert["message"], alert["data"]) == (note.message, {"message": "no price"})
    assert alert["raised_at"] == desk.clock.now()
    assert desk.store.alerts.clear(desk.now) == 1
    assert desk.store.alerts.open() == []


# --- cancelling and retrying by hand -----------------------------------------------------


def test_cancel_waiting_run_ends_it_at_once(desk: Desk) -> None:
    pending = desk.submit_one()
    scheduled = desk.submit_one(state="scheduled", due_at=desk.now + SECOND)
    for run_id in (pending, scheduled):
        assert desk.store.runs.cancel(run_id, "not today", desk.now) == "cancelled"
        run = desk.store.runs.get(run_id)
        assert (run.state.value, run.reason) == ("cancelled", "not today")
        assert run.attempts == ()
    assert desk.work().ids == []
    assert desk.queue.next_due() is None


def test_cancel_running_run_asks_its_worker(desk: Desk) -> None:
    run_id = desk.submit_one()
    claim = desk.work().claim(run_id)
    assert desk.store.runs.cancel(run_id, "first", desk.now) == "running"
    assert desk.store.runs.cancel(run_id, "second", desk.now) == "running"
    assert desk.store.workers.cancel_requests("w1") == [(run_id, claim.fence, "first")]
    assert desk.store.workers.cancel_requests("w2") == []
    desk.end(claim, "cancelled", reason="first")
    assert desk.state(run_id) == "cancelled"
    assert desk.store.workers.cancel_requests("w1") == []


@pytest.mark.parametrize(
    ("state", "outcome"),
    [("scheduled", "raised"), ("scheduled", "snoozed"), ("pending", "given_back")],
)
def test_cancel_requested_run_that_would_run_again_ends_as_cancelled(
    desk: Desk, state: str, outcome: str
) -> None:
    run_id = desk.submit_one()
    claim = desk.work().claim(run_id)
    desk.store.runs.cancel(run_id, "enough", desk.now)
    desk.end(claim, state, outcome=outcome, due_at=desk.now, ledger=True)
    run = desk.store.runs.get(run_id)
    assert (run.state.value, run.reason, run.finished_at) == (
        "cancelled",
        "enough",
        desk.clock.now(),
    )
    assert [(a.number, a.outcome) for a in run.attempts] == [(1, outcome)]
    assert not desk.claimer.stale
    desk.queue.promote(desk.now)
    assert desk.work().ids == []


def test_cancel_requested_run_that_succeeds_all_the_same_is_a_success(desk: Desk) -> None:
    run_id = desk.submit_one()
    claim = desk.work().claim(run_id)
    desk.store.runs.cancel(run_id, "enough", desk.now)
    desk.end(claim)
    assert desk.state(run_id) == "success"


def test_settle_given_back_for_good_keeps_its_attempt_number(desk: Desk) -> None:
    run_id = desk.submit_one()
    claim = desk.work().claim(run_id)
    desk.end(claim, "cancelled", outcome="given_back", attempt=0, reason="asked for")
    attempts = desk.store.runs.get(run_id).attempts
    assert [(a.number, a.outcome) for a in attempts] == [(1, "given_back")]


def test_retry_of_an_ended_run_keeps_its_attempts_and_counts_on(desk: Desk) -> None:
    run_id = desk.submit_one(max_attempts=1)
    desk.finish(run_id, "failed", error=_ERROR)
    desk.advance(60)
    desk.store.runs.retry(run_id, 2, desk.now)
    claim = desk.work().claim(run_id)
    assert (claim.attempt, claim.max_attempts, claim.fence, claim.due_at) == (2, 3, 2, desk.now)
    desk.end(claim)
    run = desk.store.runs.get(run_id)
    assert (run.state.value, run.cause) == ("success", "retry")
    assert [(a.number, a.outcome) for a in run.attempts] == [(1, "raised"), (2, "returned")]


def test_retry_of_a_run_that_waits_for_its_retry_runs_it_now(desk: Desk) -> None:
    run_id = desk.submit_one()
    desk.finish(run_id, "scheduled", due_at=desk.now + 3600 * SECOND, ledger=True, error=_ERROR)
    desk.store.runs.retry(run_id, 3, desk.now)
    assert desk.work().ids == [run_id]
    assert [a.number for a in desk.store.runs.get(run_id).attempts] == [1, 2]


def test_settle_repeated_after_the_run_was_retried_by_hand_counts_as_accepted(desk: Desk) -> None:
    run_id = desk.submit_one()
    claim = desk.work().claim(run_id)
    settlement = desk.settle(claim, "failed", error=_ERROR)
    desk.claimer.claiming = False
    desk.claimer.ended.append(settlement)
    desk.work()
    desk.store.runs.retry(run_id, 3, desk.now)
    desk.claimer.ended.append(settlement)
    desk.work()
    assert not desk.claimer.stale
    assert desk.state(run_id) == "pending"
