"""Runs that two persons must agree on, on each store."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from closingbell.core.actor import ActorKind, acting_as
from closingbell.core.approval import HOLD, Standing
from closingbell.core.error import (
    ApprovalRefused,
    ClosingbellError,
    InvalidTransition,
    SubmitError,
    UnknownRun,
)
from closingbell.store.schema import runs
from tests.conformance.desk import SECOND, Desk


def held(desk: Desk, asker: str | None = None, **changes: Any) -> str:
    """A held run that somebody asked for; None = code."""
    wanted: dict[str, Any] = {"state": "scheduled", "hold": HOLD, **changes}
    if asker is None:
        return desk.submit_one(**wanted)
    with acting_as(asker, ActorKind.PERSON, "month end"):
        return desk.submit_one(**wanted)


def approve(desk: Desk, run_id: str, name: str, reason: str | None = None) -> Standing:
    with acting_as(name, ActorKind.PERSON):
        return desk.store.approvals.approve(run_id, desk.now, reason)


def reject(desk: Desk, run_id: str, name: str, reason: str = "too large") -> Standing:
    with acting_as(name, ActorKind.PERSON):
        return desk.store.approvals.reject(run_id, desk.now, reason)


def test_held_run_is_neither_promoted_nor_claimed_nor_next_due(desk: Desk) -> None:
    run_id = held(desk, "ana")
    desk.advance(3600)
    assert desk.queue.next_due() is None
    assert desk.queue.promote(desk.now) == 0
    assert desk.work().ids == []
    assert (desk.state(run_id), desk.store.runs.get(run_id).hold) == ("scheduled", HOLD)


def test_second_person_releases_a_run_that_a_person_asked_for(desk: Desk) -> None:
    run_id = held(desk, "ana")
    desk.advance(60)
    stands = approve(desk, run_id, "ben", "checked the size")
    assert (stands.state, stands.needed) == ("released", 0)
    assert (stands.asked_by, stands.released_by) == ("ana", ("ben",))
    run = desk.store.runs.get(run_id)
    assert (run.state, run.hold, run.due_at) == ("pending", None, desk.clock.now())
    assert desk.work().ids == [run_id]


def test_run_that_code_asked_for_needs_two_releases(desk: Desk) -> None:
    run_id = held(desk)
    first = approve(desk, run_id, "ana")
    assert (first.state, first.needed, first.asked_by) == ("waiting", 1, None)
    assert desk.store.runs.get(run_id).hold == HOLD
    assert approve(desk, run_id, "ben").state == "released"
    assert desk.state(run_id) == "pending"


def test_run_that_a_programs_token_asked_for_needs_two_releases(desk: Desk) -> None:
    with acting_as("nightly", ActorKind.API_TOKEN):
        run_id = desk.submit_one(state="scheduled", hold=HOLD)
    assert approve(desk, run_id, "ana").needed == 1


def test_token_with_an_owner_asks_as_a_person(desk: Desk) -> None:
    with acting_as("ana", ActorKind.API_TOKEN, is_person=True):
        run_id = desk.submit_one(state="scheduled", hold=HOLD)
    with pytest.raises(ApprovalRefused, match="asked for it"):
        approve(desk, run_id, "ana")
    assert approve(desk, run_id, "ben").state == "released"


@pytest.mark.parametrize("name", ["ana", "ana@desk-1", "Ana@firm.example"])
def test_who_asked_cannot_release_whatever_door_they_come_in_by(desk: Desk, name: str) -> None:
    run_id = held(desk, "ana")
    with pytest.raises(ApprovalRefused, match="asked for it"):
        approve(desk, run_id, name)
    with pytest.raises(ApprovalRefused, match="may cancel it"):
        reject(desk, run_id, name)
    assert desk.store.runs.get(run_id).hold == HOLD


def test_same_person_counts_once(desk: Desk) -> None:
    run_id = held(desk)
    approve(desk, run_id, "ben")
    with pytest.raises(ApprovalRefused, match="has approved it already"):
        approve(desk, run_id, "ben@desk-1")
    assert desk.store.runs.get(run_id).hold == HOLD


@pytest.mark.parametrize(
    "kind", [ActorKind.API_TOKEN, ActorKind.APP_CODE, ActorKind.SYSTEM], ids=str
)
def test_what_is_no_person_cannot_decide(desk: Desk, kind: ActorKind) -> None:
    run_id = held(desk, "ana")
    with acting_as("ben", kind), pytest.raises(ApprovalRefused, match="no person"):
        desk.store.approvals.approve(run_id, desk.now)
    with acting_as("ben", kind), pytest.raises(ApprovalRefused, match="no person"):
        desk.store.approvals.reject(run_id, desk.now, "no")
    assert desk.store.approvals.of([run_id])[run_id][-1].verdict == "requested"


def test_run_that_is_due_later_waits_on_for_its_time_once_released(desk: Desk) -> None:
    run_id = held(desk, "ana", due_at=desk.now + 60 * SECOND)
    approve(desk, run_id, "ben")
    run = desk.store.runs.get(run_id)
    assert (run.state, run.hold) == ("scheduled", None)
    assert desk.queue.next_due() == desk.now + 60 * SECOND
    desk.advance(61)
    assert desk.queue.promote(desk.now) == 1


def test_rejected_run_is_cancelled_with_who_and_why(desk: Desk) -> None:
    run_id = held(desk, "ana")
    stands = reject(desk, run_id, "ben", "twice the limit")
    assert (stands.state, stands.rejected_by) == ("rejected", "ben")
    run = desk.store.runs.get(run_id)
    assert (run.state, run.reason) == ("cancelled", "rejected by ben: twice the limit")
    with pytest.raises(ApprovalRefused, match="it is cancelled"):
        approve(desk, run_id, "cleo")
    assert desk.store.approvals.waiting() == []


def test_rejection_without_a_reason_changes_nothing(desk: Desk) -> None:
    run_id = held(desk, "ana")
    with pytest.raises(SubmitError, match="reason"):
        reject(desk, run_id, "ben", "  ")
    assert desk.store.runs.get(run_id).hold == HOLD


def test_decision_about_what_waits_for_nobody_is_refused(desk: Desk) -> None:
    with pytest.raises(UnknownRun):
        approve(desk, "nothing", "ben")
    plain = desk.submit_one()
    with pytest.raises(ApprovalRefused, match="it is pending"):
        approve(desk, plain, "ben")
    with pytest.raises(ApprovalRefused, match="it is pending"):
        reject(desk, plain, "ben")


def test_each_decision_is_in_the_audit_ledger_of_its_transaction(desk: Desk) -> None:
    run_id = held(desk)
    approve(desk, run_id, "ana", "looks right")
    with pytest.raises(ApprovalRefused):
        approve(desk, run_id, "ana", "again")
    reject(desk, run_id, "ben", "it does not")
    records = desk.store.audit.records(target=run_id)
    assert [(r.actor, r.action, r.reason) for r in records] == [
        ("ben", "run.rejected", "it does not"),
        ("ana", "run.approved", "looks right"),
    ]
    assert desk.store.audit.verify().findings == ()


def test_text_that_a_database_cannot_keep_is_stored_readable(desk: Desk) -> None:
    run_id = held(desk, "a\0na")
    reject(desk, run_id, "b\ud800en", "no\0thing")
    assert desk.store.runs.get(run_id).reason == "rejected by b?en: no\ufffdthing"


def test_held_run_cannot_be_hastened_or_tried_again(desk: Desk) -> None:
    run_id = held(desk, "ana", due_at=desk.now + 60 * SECOND)
    with pytest.raises(ApprovalRefused, match="waits for people"):
        desk.store.runs.hasten(run_id, desk.now)
    with pytest.raises(ApprovalRefused, match="waits for people"):
        desk.store.runs.retry(run_id, 3, desk.now)
    assert desk.store.runs.get(run_id).hold == HOLD


def test_held_run_can_be_cancelled_by_anybody(desk: Desk) -> None:
    run_id = held(desk, "ana")
    assert desk.store.runs.cancel(run_id, "not today", desk.now) == "cancelled"
    assert desk.store.approvals.waiting() == []
    with pytest.raises(ApprovalRefused, match="it is cancelled"):
        approve(desk, run_id, "ben")


def test_automatic_retry_does_not_ask_again(desk: Desk) -> None:
    run_id = held(desk, "ana")
    approve(desk, run_id, "ben")
    claim = desk.work().claim(run_id)
    desk.end(claim, "scheduled", due_at=desk.now + SECOND, ledger=True, error='{"type": "E"}')
    assert desk.store.runs.get(run_id).hold is None
    desk.advance(2)
    desk.queue.promote(desk.now)
    assert desk.work().ids == [run_id]


def test_retry_by_hand_asks_anew_and_the_earlier_agreement_counts_no_more(desk: Desk) -> None:
    run_id = held(desk, "ana")
    approve(desk, run_id, "ben")
    desk.finish(run_id, "failed", error='{"type": "E", "message": "m"}')
    with acting_as("cleo", ActorKind.PERSON):
        desk.store.runs.retry(run_id, 3, desk.now)
    run = desk.store.runs.get(run_id)
    assert (run.state, run.hold) == ("scheduled", HOLD)
    [waits] = desk.store.approvals.waiting()
    assert (waits.standing.asked_by, waits.standing.needed) == ("cleo", 1)
    with pytest.raises(ApprovalRefused, match="asked for it"):
        approve(desk, run_id, "cleo")
    assert approve(desk, run_id, "ben").state == "released"
    assert [one.outcome for one in desk.store.runs.get(run_id).attempts] == ["raised"]


@pytest.mark.parametrize("ended", ["rejected", "cancelled while held", "cancelled once released"])
def test_retry_of_a_run_that_never_started_asks_anew(desk: Desk, ended: str) -> None:
    run_id = held(desk)
    if ended == "rejected":
        reject(desk, run_id, "ben")
    else:
        if ended == "cancelled once released":
            approve(desk, run_id, "ana")
            approve(desk, run_id, "ben")
        desk.store.runs.cancel(run_id, "not today", desk.now)
    # Without a word about its task, as the command line does without an app.
    desk.store.runs.retry(run_id, 3, desk.now)
    assert desk.store.runs.get(run_id).hold == HOLD
    assert desk.store.approvals.of([run_id]) == {}
    assert approve(desk, run_id, "ana").needed == 1
    assert approve(desk, run_id, "ben").state == "released"


def test_retry_of_a_task_that_asks_for_approval_only_now_holds_its_old_run(desk: Desk) -> None:
    run_id = desk.submit_one()
    desk.finish(run_id)
    desk.store.runs.retry(run_id, 3, desk.now, hold=HOLD)
    assert desk.store.runs.get(run_id).hold == HOLD
    assert approve(desk, run_id, "ana").needed == 1


def test_waiting_runs_come_by_pages_with_what_was_decided(desk: Desk) -> None:
    ids = [held(desk, "ana"), held(desk), held(desk, "ben")]
    desk.submit_one()
    approve(desk, ids[1], "cleo")
    first = desk.store.approvals.waiting(limit=2)
    assert [one.run.id for one in first] == ids[:2]
    assert [one.standing.needed for one in first] == [1, 1]
    assert [d.person for d in first[1].decisions] == ["cleo"]
    assert first[0].decisions[0].reason == "month end"
    rest = desk.store.approvals.waiting(limit=2, after=first[-1].run.id)
    assert [one.run.id for one in rest] == ids[2:]


def test_bulk_submission_of_a_person_asks_for_each_run(desk: Desk) -> None:
    with acting_as("ana", ActorKind.COMMAND_LINE):
        ids = desk.submit(1_200, state="scheduled", hold=HOLD)
    assert len(desk.store.approvals.of(ids)) == 1_200
    assert desk.store.approvals.waiting(limit=1)[0].standing.asked_by == "ana"


def test_submission_that_makes_no_run_asks_for_nothing(desk: Desk) -> None:
    first = held(desk, "ana", key="eod")
    assert held(desk, "ben", key="eod") == first
    [item] = desk.items(1)
    template = desk.template(state="scheduled", hold=HOLD)
    for name in ("ana", "ben"):
        with acting_as(name, ActorKind.PERSON):
            desk.queue.submit(template, [item])
    asked = desk.store.approvals.of([first, item.id])
    assert [d.person for one in asked.values() for d in one] == ["ana", "ana"]


def test_submission_that_is_undone_asks_for_nothing(desk: Desk) -> None:
    [item] = desk.items(1)
    template = desk.template(state="scheduled", hold=HOLD)
    with acting_as("ana", ActorKind.PERSON), desk.store.database.writing() as connection:
        desk.queue.submit(template, [item], connection)
        connection.rollback()
    assert desk.store.approvals.of([item.id]) == {}
    assert desk.store.approvals.waiting() == []


def test_held_run_is_in_no_line_and_held_up_for_by_nobody(desk: Desk) -> None:
    from closingbell.store.active import StoredActive

    run_id = held(desk, "ana")
    active = StoredActive(desk.store.database)
    assert desk.store.runs.waiting() == []
    assert active.runs_until(desk.now) == []
    assert active.runs_at(desk.now) == []
    assert desk.store.runs.counts()["scheduled"] == 1
    assert [run.id for run in desk.store.runs.list_page(states=["scheduled"])] == [run_id]
    assert [(one.state, one.runs) for one in desk.store.load.active()] == [("held", 1)]


def test_pruned_run_leaves_no_decision_behind(desk: Desk) -> None:
    old, newest = held(desk, "ana"), held(desk, "ana")
    reject(desk, old, "ben")
    desk.advance(60)
    reject(desk, newest, "ben")
    assert desk.store.retention.prune_runs("risk_scan", desk.now) == 1
    with desk.store.database.reading() as connection:
        from closingbell.store.door_schema import approvals

        left = connection.execute(approvals.select()).all()
    assert {row.run_id for row in left} == {newest}


def race(desk: Desk, acts: list[Callable[[Desk], object]]) -> list[object]:
    """Do things at once, each through a store of its own; returns results and errors."""
    others = [Desk(desk.address, desk.clock) for _ in acts]
    barrier = threading.Barrier(len(acts))
    results: list[object] = [None] * len(acts)

    def act(number: int) -> None:
        barrier.wait(10)
        try:
            results[number] = acts[number](others[number])
        except ClosingbellError as problem:
            results[number] = problem

    threads = [threading.Thread(target=act, args=(n,)) for n in range(len(acts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    for other in others:
        other.close()
    return results


def test_two_approvers_at_once_release_a_run_of_code_exactly_once(desk: Desk) -> None:
    for _ in range(5):
        run_id = held(desk)
        answers = race(
            desk,
            [lambda d, r=run_id: approve(d, r, "ana"), lambda d, r=run_id: approve(d, r, "ben")],  # type: ignore[misc]
        )
        assert sorted(one.needed for one in answers if isinstance(one, Standing)) == [0, 1]
        assert desk.state(run_id) == "pending"


def test_one_approver_twice_at_once_counts_once(desk: Desk) -> None:
    for _ in range(5):
        run_id = held(desk)
        answers = race(desk, [lambda d, r=run_id: approve(d, r, "ana")] * 3)  # type: ignore[misc]
        assert sum(isinstance(one, Standing) for one in answers) == 1
        assert sum(isinstance(one, ApprovalRefused) for one in answers) == 2
        assert desk.store.runs.get(run_id).hold == HOLD


def test_release_and_rejection_at_once_have_one_winner(desk: Desk) -> None:
    for _ in range(5):
        run_id = held(desk, "ana")
        answers = race(
            desk,
            [lambda d, r=run_id: approve(d, r, "ben"), lambda d, r=run_id: reject(d, r, "cleo")],  # type: ignore[misc]
        )
        assert sum(isinstance(one, Standing) for one in answers) == 1
        assert desk.state(run_id) in ("pending", "cancelled")


def test_release_and_cancellation_at_once_leave_a_cancelled_or_released_run(desk: Desk) -> None:
    run_id = held(desk, "ana")
    answers = race(
        desk,
        [
            lambda d: approve(d, run_id, "ben"),
            lambda d: d.store.runs.cancel(run_id, "no", d.now),
        ],
    )
    assert desk.state(run_id) == "cancelled"
    assert not any(isinstance(one, InvalidTransition) for one in answers)


def test_statement_that_forgets_the_hold_is_refused_by_the_database(desk: Desk) -> None:
    import sqlalchemy as sa

    from closingbell.core.error import StoreError

    run_id = held(desk, "ana")
    with (
        pytest.raises((StoreError, sa.exc.IntegrityError)),
        desk.store.database.writing() as connection,
    ):
        connection.execute(sa.update(runs).where(runs.c.id == run_id).values(state="pending"))
    assert desk.state(run_id) == "scheduled"
