"""Workers and their leases, on each store."""

from __future__ import annotations

from tests.conformance.desk import SECOND, Desk, FakeClaimer


def _register(desk: Desk, worker_id: str, lease_s: float = 30.0) -> int:
    now = desk.queue.machine_micros()
    desk.store.workers.register(
        worker_id, "desk-1", 4711, {"tasks": ["risk_scan"]}, now, now + round(lease_s * SECOND)
    )
    return now


def test_register_stores_a_living_worker_with_its_lease(desk: Desk) -> None:
    now = _register(desk, "w1")
    [row] = desk.store.workers.list_all()
    assert (row["id"], row["state"], row["host"], row["pid"]) == ("w1", "alive", "desk-1", 4711)
    assert (row["started_at"], row["lease_until"]) == (now, now + 30 * SECOND)
    assert row["about"] == {"tasks": ["risk_scan"]}


def test_beat_extends_the_lease_of_a_living_worker(desk: Desk) -> None:
    now = _register(desk, "w1")
    assert desk.store.workers.beat("w1", now + 5, now + 60 * SECOND) is True
    assert desk.store.workers.bury(now + 59 * SECOND) == []
    [row] = desk.store.workers.list_all()
    assert (row["seen_at"], row["lease_until"]) == (now + 5, now + 60 * SECOND)


def test_bury_declares_dead_whose_lease_ended_and_says_who_holds_runs(desk: Desk) -> None:
    now = _register(desk, "w1")
    _register(desk, "idle")
    _register(desk, "alive", lease_s=300)
    held = desk.submit(2)
    desk.work(FakeClaimer("w1"))
    assert desk.store.workers.bury(now + 30 * SECOND) == []
    assert desk.store.workers.bury(now + 31 * SECOND) == ["w1"]
    assert {row["id"]: row["state"] for row in desk.store.workers.list_all()} == {
        "w1": "dead",
        "idle": "dead",
        "alive": "alive",
    }
    assert desk.store.workers.beat("w1", now + 32 * SECOND, now + 90 * SECOND) is False
    assert [claim.id for claim in desk.store.workers.held(["w1"])] == held


def test_held_returns_the_very_claims(desk: Desk) -> None:
    ids = desk.submit(3, schedule_id="s", fire_at=desk.now, session_date="2026-03-02")
    desk.work()
    desk.store.runs.cancel(ids[1], "enough", desk.now)
    claims = desk.store.workers.held(["w1", "other"])
    assert claims[0] == desk.claimer.claim(ids[0])
    assert claims[1] == desk.claimer.claim(ids[1])._replace(cancel_reason="enough")
    assert len(desk.store.workers.held(["w1"], limit=2)) == 2
    assert desk.store.workers.held(["other"]) == []
    assert desk.store.workers.held([]) == []


def test_leave_marks_a_worker_as_stopped_and_its_runs_are_still_found(desk: Desk) -> None:
    now = _register(desk, "w1")
    desk.submit()
    desk.work()
    desk.store.workers.leave("w1", now + 1)
    [row] = desk.store.workers.list_all()
    assert (row["state"], row["stopped_at"]) == ("stopped", now + 1)
    assert desk.store.workers.beat("w1", now + 2, now + 9) is False
    assert desk.store.workers.bury(now) == ["w1"]


def test_forget_deletes_ended_workers_that_hold_nothing(desk: Desk) -> None:
    now = _register(desk, "w1")
    _register(desk, "idle")
    _register(desk, "alive")
    desk.submit()
    desk.work()
    for worker in ("w1", "idle"):
        desk.store.workers.leave(worker, now)
    assert desk.store.workers.forget(now) == 0
    assert desk.store.workers.forget(now + 1) == 1
    assert sorted(row["id"] for row in desk.store.workers.list_all()) == ["alive", "w1"]


def test_machine_micros_goes_forward(desk: Desk) -> None:
    first = desk.queue.machine_micros()
    desk.advance(2)
    assert 0 <= desk.queue.machine_micros() - first - 2 * SECOND < SECOND


def test_rescued_run_goes_to_another_worker_and_both_attempts_are_kept(desk: Desk) -> None:
    now = _register(desk, "w1", lease_s=1)
    run_id = desk.submit_one()
    desk.work()
    assert desk.store.workers.bury(now + 2 * SECOND) == ["w1"]
    [claim] = desk.store.workers.held(["w1"])
    rescuer = FakeClaimer("w2")
    desk.end(claim, "scheduled", rescuer, outcome="lost", due_at=desk.now, ledger=True, lost=1)
    assert desk.store.workers.bury(now + 2 * SECOND) == []
    desk.queue.promote(desk.now)
    desk.work(rescuer)
    desk.end(rescuer.claim(run_id), claimer=rescuer)
    attempts = desk.store.runs.get(run_id).attempts
    assert [(a.number, a.outcome, a.worker_id) for a in attempts] == [
        (1, "lost", "w1"),
        (2, "returned", "w2"),
    ]
