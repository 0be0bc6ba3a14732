"""One act on many runs, on both stores: short transactions, refusals told, one audit record."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from closingbell.core.actor import ActorKind, acting_as
from closingbell.core.run_filter import RunFilter
from closingbell.core.run_filter_text import read_filter
from closingbell.store.run_bulk import CANCEL_CHUNK, RETRY_CHUNK, Again
from tests.conformance.desk import Desk


@pytest.fixture
def desk(store_address: str) -> Iterator[Desk]:
    made = Desk(store_address)
    yield made
    made.close()


def test_bulk_means_the_newest_runs_up_to_its_limit_and_says_whether_there_are_more(
    desk: Desk,
) -> None:
    ids = desk.submit(12)
    bulk = desk.store.run_bulk
    assert bulk.meant(RunFilter(task="risk_scan"), 12) == (ids[::-1], False)
    assert bulk.meant(RunFilter(task="risk_scan"), 11) == (ids[:0:-1], True)
    assert bulk.meant(RunFilter(task="other"), 5) == ([], False)


def test_bulk_cancel_ends_what_waits_asks_what_runs_and_refuses_the_rest(desk: Desk) -> None:
    desk.claimer.free = {"async": 1}
    running = desk.submit_one(priority=1)
    desk.work()
    ended = desk.submit_one(priority=1)
    desk.claimer.free = {"async": 2}
    desk.finish(ended)
    desk.claimer.free = {"async": 0}
    pending, later = desk.submit_one(), desk.submit_one(state="scheduled", due_at=desk.now + 10**9)
    held = desk.submit_one(state="scheduled", hold="approval")

    [chunk] = desk.store.run_bulk.cancel(
        [running, ended, pending, later, held, "nobody"], "the desk closes\0", desk.now
    )

    assert set(chunk.done) == {pending, later, held}
    assert chunk.asked == [running]
    assert {(one.id, one.code) for one in chunk.refused} == {
        (ended, "invalid_transition"),
        ("nobody", "unknown_run"),
    }
    assert desk.states([pending, later, held]) == ["cancelled"] * 3
    run = desk.store.runs.get(running)
    assert run.state == "running"
    assert run.cancel_requested_at is not None
    assert "the desk closes" in (desk.store.runs.get(pending).reason or "")


def test_bulk_cancel_of_more_than_a_chunk_takes_several_transactions(desk: Desk) -> None:
    ids = desk.submit(CANCEL_CHUNK + 1)
    chunks = list(desk.store.run_bulk.cancel(ids, "r", desk.now))
    assert [len(chunk.done) for chunk in chunks] == [CANCEL_CHUNK, 1]
    assert set(desk.states(ids)) == {"cancelled"}


def test_bulk_cancel_between_its_transactions_lets_others_write(desk: Desk) -> None:
    ids = desk.submit(2 * CANCEL_CHUNK)
    chunks = desk.store.run_bulk.cancel(ids, "r", desk.now)
    next(chunks)
    fresh = desk.submit_one(priority=1)
    desk.finish(fresh)
    assert desk.state(fresh) == "success"
    taken = {claim.id for claim in desk.claimer.claims}
    last = next(chunks)
    assert set(last.asked) == taken


def test_bulk_retry_gives_attempts_by_task_and_keeps_the_ledger(desk: Desk) -> None:
    error = '{"type":"E","message":"m"}'
    failed = desk.submit_one()
    desk.finish(failed, "failed", error=error)
    other = desk.submit_one(task="gone")
    desk.finish(other, "failed", error=error)
    guarded = desk.submit_one(task="guarded")
    desk.finish(guarded, "failed", error=error)
    desk.claimer.free = {"async": 0}
    pending = desk.submit_one()
    held = desk.submit_one(state="scheduled", hold="approval")

    again = {"risk_scan": Again(2, None), "guarded": Again(1, "approval")}
    [chunk] = desk.store.run_bulk.retry(
        [failed, other, guarded, pending, held, "nobody"], again, desk.now
    )

    assert chunk.done == [failed, guarded]
    assert {(one.id, one.code) for one in chunk.refused} == {
        (other, "unknown_task"),
        (pending, "invalid_transition"),
        (held, "approval_refused"),
        ("nobody", "unknown_run"),
    }
    run = desk.store.runs.get(failed)
    assert (run.state, run.max_attempts, run.cause) == ("pending", 3, "retry")
    assert [attempt.outcome for attempt in run.attempts] == ["raised"]
    assert desk.store.runs.get(guarded).hold == "approval"


def test_bulk_retry_of_more_than_a_chunk_takes_several_transactions(desk: Desk) -> None:
    ids = desk.submit(RETRY_CHUNK + 1, state="scheduled", due_at=desk.now + 10**9)
    chunks = list(desk.store.run_bulk.retry(ids, {"risk_scan": Again(1, None)}, desk.now))
    assert [len(chunk.done) for chunk in chunks] == [RETRY_CHUNK, 1]
    assert set(desk.states(ids)) == {"pending"}


def test_bulk_is_one_record_in_the_audit_ledger_and_the_histories_stay_readable(
    desk: Desk,
) -> None:
    ids = desk.submit(30)
    line = "task:risk_scan state:pending"
    assert desk.store.run_bulk.meant(read_filter(line), 100)[0] == ids[::-1]
    before = len(desk.store.audit.records())
    with acting_as("ann", ActorKind.PERSON):
        desk.store.run_bulk.note("runs.cancelled", "act-1", ids, line, "wrong prices")
        list(desk.store.run_bulk.cancel(ids, "wrong prices", desk.now))
    records = desk.store.audit.records()
    assert len(records) == before + 1
    assert records[0].action == "runs.cancelled"
    assert records[0].actor == "ann"
    assert records[0].reason == "wrong prices"
    assert records[0].after == {"filter": line, "runs": 30, "first": ids[:20]}
    assert desk.store.audit.verify().ok
    happened = desk.store.run_history.of(ids[0])
    assert [entry.what for entry in happened] == ["submitted", "cancelled"]
    assert happened[-1].detail == "wrong prices"
