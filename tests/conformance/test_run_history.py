"""What happened to a run, in order, on both stores."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from closingbell.core.actor import ActorKind, acting_as
from closingbell.core.error import UnknownRun
from tests.conformance.desk import Desk

ERROR = '{"type":"ValueError","message":"no\\n price","traceback":"a\\nb"}'


@pytest.fixture
def desk(store_address: str) -> Iterator[Desk]:
    made = Desk(store_address)
    yield made
    made.close()


def told(desk: Desk, run_id: str) -> list[tuple[str, str, str | None]]:
    return [(one.what, one.detail, one.by) for one in desk.store.run_history.of(run_id)]


def test_history_of_a_run_that_is_retried_tells_each_attempt_and_who_did_what(desk: Desk) -> None:
    run_id = desk.submit_one(requested_by="ann", batch_id="b1")
    desk.advance(1)
    desk.work()
    desk.advance(1)
    desk.end(desk.claimer.claim(run_id), "failed", error=ERROR)
    desk.advance(1)
    with acting_as("bob", ActorKind.PERSON, "prices are there now"):
        desk.store.runs.retry(run_id, 2, desk.now)
    desk.advance(1)
    desk.finish(run_id)

    assert told(desk, run_id) == [
        ("submitted", "in batch b1", "ann"),
        ("started", "", None),
        ("ended", "raised: ValueError: no price", None),
        ("due", "", None),
        ("retried", "prices are there now", "bob"),
        ("started", "", None),
        ("ended", "returned", None),
        ("success", "", None),
    ]
    started = [one for one in desk.store.run_history.of(run_id) if one.what == "started"]
    assert [(one.worker, one.attempt) for one in started] == [("w1", 1), ("w1", 2)]


def test_history_of_a_scheduled_run_tells_its_schedule_and_when_it_was_due(desk: Desk) -> None:
    run_id = desk.submit_one(
        state="scheduled", cause="schedule", schedule_id="close", fire_at=desk.now,
        due_at=desk.now + 5_000_000,
    )  # fmt: skip
    desk.advance(1)
    with acting_as("bob", ActorKind.COMMAND_LINE):
        desk.store.runs.hasten(run_id, desk.now)
        desk.store.runs.cancel(run_id, "not today", desk.now)
    [submitted, *rest] = told(desk, run_id)
    assert submitted[1].startswith("fired by schedule close for 2026-03-02T14:30:00")
    assert rest == [
        ("due", "", None),
        ("hastened", "", "bob"),
        ("cancelled", "not today", "bob"),
    ]


def test_history_of_a_run_that_waits_for_people_tells_what_they_decided(desk: Desk) -> None:
    run_id = desk.submit_one(state="scheduled", hold="approval")
    desk.advance(1)
    for person in ("ann", "bob"):
        with acting_as(person, ActorKind.PERSON):
            desk.store.approvals.approve(run_id, desk.now, "checked")
        desk.advance(1)
    # It is due from when the second person released it.
    assert [(what, by) for what, _, by in told(desk, run_id)] == [
        ("submitted", None),
        ("approved", "ann"),
        ("due", None),
        ("approved", "bob"),
    ]


def test_history_of_a_running_run_that_is_asked_to_end_says_so(desk: Desk) -> None:
    run_id = desk.submit_one()
    desk.work()
    desk.advance(1)
    with acting_as("bob", ActorKind.PERSON):
        desk.store.runs.cancel(run_id, "stop", desk.now)
    assert told(desk, run_id)[-1] == ("cancel asked", "stop", "bob")
    desk.advance(1)
    desk.end(desk.claimer.claim(run_id), "cancelled", reason="stop")
    assert told(desk, run_id)[-2:] == [("ended", "cancelled", None), ("cancelled", "stop", None)]


def test_history_of_no_run_is_refused(desk: Desk) -> None:
    with pytest.raises(UnknownRun):
        desk.store.run_history.of("'; DROP TABLE runs")
