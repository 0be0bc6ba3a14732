"""Reading and pruning, on each store."""

from __future__ import annotations

import pytest

from closingbell.core.error import InvalidTransition, UnknownRun
from closingbell.core.run import Run
from tests.conformance.desk import SECOND, Desk, gate


def _ended(desk: Desk, count: int, state: str = "success", **changes: object) -> list[str]:
    """Runs that ended one second after the other."""
    ids = []
    for _ in range(count):
        ids += desk.submit(**changes)  # type: ignore[arg-type]
        desk.finish(ids[-1], state, error=None if state == "success" else "{}")
        desk.advance(1)
    return ids


def _ids(runs: list[Run]) -> list[str]:
    return [run.id for run in runs]


def test_get_unknown_run_is_refused(desk: Desk) -> None:
    with pytest.raises(UnknownRun):
        desk.store.runs.get("nobody")


def test_states_of_very_many_runs_are_found(desk: Desk) -> None:
    ids = desk.submit(3)
    asked = [*ids, *(f"nobody-{n}" for n in range(70_000))]
    assert desk.store.runs.states(asked) == dict.fromkeys(ids, "pending")
    assert desk.store.runs.states([]) == {}


def test_list_page_walks_every_run_once_newest_first(desk: Desk) -> None:
    ids = desk.submit(25)
    pages: list[str] = []
    before: str | None = None
    while page := desk.store.runs.list_page(limit=10, before=before):
        pages += _ids(page)
        before = page[-1].id
        desk.submit()
    assert pages == ids[::-1]


def test_list_page_filters_by_task_state_and_schedule(desk: Desk) -> None:
    failed = _ended(desk, 2, "failed")
    pending = desk.submit(2, task="valuation")
    planned = desk.submit(1, schedule_id="s")
    page = desk.store.runs.list_page
    assert _ids(page(task="valuation")) == pending[::-1]
    assert _ids(page(states=["failed"])) == failed[::-1]
    assert _ids(page(states=["failed", "pending"], task="risk_scan")) == [*planned, *failed[::-1]]
    assert _ids(page(schedule_id="s")) == planned
    assert _ids(page(states=["failed"], before=failed[1])) == failed[:1]


def test_history_of_a_task_is_ordered_by_end_and_walks_ties_once(desk: Desk) -> None:
    ids = desk.submit(7)
    desk.work()
    for claim in reversed(list(desk.claimer.claims)):
        desk.end(claim)
        if claim.id in ids[::2]:
            desk.advance(1)
    _ended(desk, 2, task="valuation")
    whole = _ids(desk.store.history.ended(task="risk_scan"))
    ends = [str(desk.store.runs.get(run_id).finished_at) for run_id in whole]
    assert sorted(whole) == ids
    assert ends == sorted(ends, reverse=True)
    walked: list[Run] = []
    while page := desk.store.history.ended(
        task="risk_scan", limit=2, before=walked[-1] if walked else None
    ):
        walked += page
    assert _ids(walked) == whole


def test_history_of_all_tasks_is_by_end_in_pages(desk: Desk) -> None:
    ids = [*_ended(desk, 3), *_ended(desk, 2, "failed", task="valuation"), *_ended(desk, 1)]
    desk.submit(2)
    history = desk.store.history.ended
    first = history(limit=4)
    assert _ids(first) == ids[::-1][:4]
    assert _ids(history(limit=4, before=first[-1])) == ids[::-1][4:]
    assert _ids(history(state="failed")) == ids[4:2:-1]
    assert _ids(history(state="success", task="risk_scan")) == [ids[5], *ids[:3][::-1]]


def test_failures_are_listed_until_they_are_dismissed_or_succeed(desk: Desk) -> None:
    [failed] = _ended(desk, 1, "failed")
    waits = desk.submit_one()
    desk.finish(waits, "scheduled", due_at=desk.now, ledger=True, error='{"message":"m"}')
    _ended(desk, 1)
    assert [(f["id"], f["state"]) for f in desk.store.failures.open()] == [
        (failed, "failed"),
        (waits, "scheduled"),
    ]
    assert desk.store.failures.dismiss(failed, desk.now) is True
    assert desk.store.failures.dismiss(failed, desk.now) is False
    desk.queue.promote(desk.now)
    desk.finish(waits)
    assert desk.store.failures.open() == []


def test_failure_dismissed_while_it_waits_is_listed_again_when_it_fails_again(desk: Desk) -> None:
    first, second = desk.submit(2)
    for run_id in (first, second):
        desk.finish(run_id, "scheduled", due_at=desk.now, ledger=True, error="{}")
        desk.advance(1)
    assert desk.store.failures.dismiss(first, desk.now) is True
    assert [failure["id"] for failure in desk.store.failures.open()] == [second]
    desk.advance(1)
    desk.queue.promote(desk.now)
    desk.finish(second, "scheduled", due_at=desk.now, ledger=True, error="{}")
    assert [failure["id"] for failure in desk.store.failures.open()] == [second]
    desk.finish(first, "scheduled", due_at=desk.now, ledger=True, error="{}")
    assert [failure["id"] for failure in desk.store.failures.open()] == [second, first]


def test_waiting_is_in_the_order_of_claiming(desk: Desk) -> None:
    later = desk.submit_one(state="scheduled", due_at=desk.now + SECOND)
    low, high = desk.submit_one(priority=9), desk.submit_one(priority=1)
    assert _ids(desk.store.runs.waiting()) == [high, low, later]
    assert _ids(desk.store.runs.waiting(until=desk.now)) == [high, low]


def test_ahead_of_counts_who_will_be_claimed_first(desk: Desk) -> None:
    mine = desk.submit_one()
    desk.submit(2, priority=1)
    desk.submit(3)
    desk.submit(1, due_at=desk.now - 1)
    desk.submit(5, executor="thread", priority=1)
    assert desk.store.runs.ahead_of(desk.store.runs.get(mine)) == 3


def test_counts_and_running_lanes_say_what_is_there(desk: Desk) -> None:
    lane = gate("g", 5)
    desk.submit(3, lane)
    desk.submit(1, task="valuation")
    desk.work()
    desk.submit(2, state="scheduled", due_at=desk.now + 1)
    counts = desk.store.runs.counts()
    assert {k: v for k, v in counts.items() if v} == {"running": 4, "scheduled": 2}
    assert len(counts) == 7
    assert desk.store.runs.running_lanes() == {lane: 3}
    assert desk.store.runs.running_counts() == {"risk_scan": 3, "valuation": 1}


def test_last_ended_is_the_run_that_ended_last(desk: Desk) -> None:
    first = _ended(desk, 1)[0]
    last = _ended(desk, 1, "failed")[0]
    good = desk.store.runs.last_ended("risk_scan", "success")
    assert good is not None
    assert good["id"] == first
    assert desk.store.runs.last_ended("nobody", "success") is None
    standing = desk.store.history.standing(["risk_scan", "nobody"])
    assert list(standing) == ["risk_scan"]
    found = standing["risk_scan"]
    assert found.last is not None
    assert (found.last.id, found.last.state) == (last, "failed")
    assert found.succeeded_at == good["finished_at"]


def test_cancel_ended_or_unknown_run_is_refused(desk: Desk) -> None:
    [run_id] = _ended(desk, 1)
    with pytest.raises(InvalidTransition):
        desk.store.runs.cancel(run_id, "late", desk.now)
    with pytest.raises(UnknownRun):
        desk.store.runs.cancel("nobody", "late", desk.now)


def test_retry_pending_or_unknown_run_is_refused(desk: Desk) -> None:
    with pytest.raises(InvalidTransition):
        desk.store.runs.retry(desk.submit_one(), 3, desk.now)
    with pytest.raises(UnknownRun):
        desk.store.runs.retry("nobody", 3, desk.now)


# --- pruning -----------------------------------------------------------------------------


def test_prune_deletes_old_ended_runs_and_keeps_the_newest_of_each_task(desk: Desk) -> None:
    old = _ended(desk, 4)
    other = _ended(desk, 1, task="valuation")
    waiting = desk.submit(1)
    assert desk.store.retention.tasks() == ["risk_scan", "valuation"]
    assert desk.store.retention.prune_runs("risk_scan", desk.now, limit=2) == 2
    assert desk.store.retention.prune_runs("risk_scan", desk.now, limit=2) == 1
    assert desk.store.retention.prune_runs("risk_scan", desk.now, limit=2) == 0
    assert desk.store.retention.prune_runs("valuation", desk.now) == 0
    left = _ids(desk.store.runs.list_page())
    assert sorted(left) == sorted([old[3], *other, *waiting])


def test_prune_takes_attempts_logs_and_dismissals_with_the_run(desk: Desk) -> None:
    run_id = desk.submit_one()
    desk.finish(run_id, "scheduled", due_at=desk.now, ledger=True, logs=(("stdout", "x"),))
    desk.queue.promote(desk.now)
    desk.finish(run_id, "failed", error="{}")
    desk.store.failures.dismiss(run_id, desk.now)
    desk.advance(1)
    _ended(desk, 1)
    assert desk.store.retention.prune_runs("risk_scan", desk.now) == 1
    assert desk.store.runs.logs(run_id) == []
    with pytest.raises(UnknownRun):
        desk.store.runs.get(run_id)


def test_prune_facts_deletes_old_events_alerts_and_firings(desk: Desk) -> None:
    desk.store.events.record("e1", "tick", "{}", [], desk.now)
    desk.store.alerts.put("a1", "task_failure", "m", desk.now)
    desk.store.alerts.put("a2", "task_failure", "another", desk.now)
    desk.store.alerts.clear(desk.now)
    desk.store.alerts.put("a3", "task_failure", "still open", desk.now)
    desk.advance(10)
    desk.store.events.record("e2", "tick", "{}", [], desk.now)
    before = {"events": desk.now, "alerts": desk.now, "firings": desk.now}
    assert desk.store.retention.prune_facts(before, desk.now) == 3
    assert [event["id"] for event in desk.store.events.recent()] == ["e2"]
    assert [alert["id"] for alert in desk.store.alerts.open()] == ["a3"]
