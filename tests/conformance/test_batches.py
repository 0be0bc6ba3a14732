"""Batches: runs that were submitted together, on each store."""

from __future__ import annotations

import pytest

from closingbell.core.batch import Batch
from closingbell.core.error import UnknownBatch
from tests.conformance.desk import Desk


def make(desk: Desk, size: int, name: str = "month end") -> tuple[Batch, list[str]]:
    """A batch with its runs, in one transaction."""
    batch_id = desk.run_ids.next()
    template = desk.template(batch_id=batch_id)
    with desk.store.database.writing(news=True) as connection:
        batch = desk.store.batches.make_on(
            connection, batch_id, "risk_scan", name, size, "ana", desk.now
        )
        ids = desk.queue.submit(template, desk.items(size), connection)
    return batch, ids


def test_batch_is_stored_with_its_runs(desk: Desk) -> None:
    batch, ids = make(desk, 3)
    assert desk.store.batches.get(batch.id) == batch
    assert (batch.task, batch.name, batch.size) == ("risk_scan", "month end", 3)
    assert (batch.requested_by, batch.created_at) == ("ana", desk.clock.now())
    assert {desk.store.runs.get(run_id).batch_id for run_id in ids} == {batch.id}


def test_batch_whose_transaction_is_undone_is_not_there(desk: Desk) -> None:
    with desk.store.database.writing() as connection:
        desk.store.batches.make_on(connection, "b", "risk_scan", "n", 1, None, desk.now)
        connection.rollback()
    with pytest.raises(UnknownBatch, match="'b'"):
        desk.store.batches.get("b")


def test_progress_counts_states_and_says_when_it_began_and_last_ended(desk: Desk) -> None:
    batch, _ = make(desk, 4)
    make(desk, 2)
    untouched = desk.store.batches.progress(batch.id)
    assert (untouched.first_started_at, untouched.last_finished_at) == (None, None)
    assert untouched.counts["pending"] == 4
    claimer = desk.claimer
    claimer.free = {"async": 3}
    began = desk.clock.now()
    desk.work()
    desk.advance(5)
    first, second, _third = list(claimer.claims)
    claimer.claiming = False
    desk.end(first)
    desk.advance(5)
    desk.end(second, "failed", error='{"type": "E", "message": "m"}')
    progress = desk.store.batches.progress(batch.id)
    assert {state: n for state, n in progress.counts.items() if n} == {
        "success": 1, "failed": 1, "running": 1, "pending": 1,
    }  # fmt: skip
    assert progress.first_started_at == began
    assert progress.last_finished_at == desk.clock.now()


def test_progress_of_a_batch_that_is_not_there_is_nothing(desk: Desk) -> None:
    assert set(desk.store.batches.progress("nothing").counts.values()) == {0}


def test_batches_come_by_pages_newest_first(desk: Desk) -> None:
    made = []
    for number in range(3):
        desk.advance(1)
        made.append(make(desk, 1, f"batch {number}")[0])
    page = desk.store.batches.page(limit=2)
    assert page == [made[2], made[1]]
    assert desk.store.batches.page(limit=2, before=page[-1].id) == [made[0]]


def test_old_batch_goes_once_its_runs_are_pruned(desk: Desk) -> None:
    batch, [run_id] = make(desk, 1)
    desk.finish(run_id)
    desk.advance(60)
    before = {"events": desk.now, "alerts": 0, "firings": 0}
    desk.store.retention.prune_facts(before, desk.now)
    assert desk.store.batches.get(batch.id) == batch
    desk.finish(desk.submit_one())
    assert desk.store.retention.prune_runs("risk_scan", desk.now) == 1
    desk.store.retention.prune_facts(before, desk.now)
    with pytest.raises(UnknownBatch):
        desk.store.batches.get(batch.id)
