"""Stored schedules, on each store: an instant fires once, for ever."""

from __future__ import annotations

import threading

import pytest

from closingbell.core.error import UnknownSchedule
from closingbell.core.port import Firing
from tests.conformance.desk import SECOND, Desk


def _put(desk: Desk, definition: str = '{"every":60}', at: int | None = None) -> int:
    at = desk.now if at is None else at
    desk.store.schedules.put("s", "risk_scan", definition, "task", at, desk.now)
    return at


def _ran(desk: Desk, at: int, *, cancel_other: bool = False) -> Firing:
    [item] = desk.items(1)
    template = desk.template(schedule_id="s", fire_at=at, cause="schedule")
    return Firing(at, "ran", template=template, item=item, cancel_other=cancel_other)


def _fire(desk: Desk, *ticks: Firing, next_fire_at: int | None = None) -> list[str] | None:
    version = desk.store.schedules.get("s")["version"]
    made = desk.store.schedules.fire("s", version, ticks, next_fire_at, desk.now)
    return None if made is None else list(made)


def test_put_unchanged_keeps_next_fire_at_so_that_a_restart_catches_up(desk: Desk) -> None:
    at = _put(desk)
    changed = desk.store.schedules.put(
        "s", "risk_scan", '{"every":60}', "task", at + 9 * SECOND, desk.now
    )
    row = desk.store.schedules.get("s")
    assert (changed, row["next_fire_at"], row["version"]) == (False, at, 1)


def test_put_changed_moves_next_fire_at_and_the_version(desk: Desk) -> None:
    at = _put(desk)
    assert desk.store.schedules.put("s", "risk_scan", '{"every":5}', "task", at + 1, desk.now)
    row = desk.store.schedules.get("s")
    assert (row["next_fire_at"], row["version"], row["definition"]) == (at + 1, 2, '{"every":5}')


def test_get_unknown_schedule_names_the_nearest(desk: Desk) -> None:
    _put(desk)
    desk.store.schedules.put("data_cleanup", "t", "{}", "app", None, desk.now)
    with pytest.raises(UnknownSchedule) as refused:
        desk.store.schedules.get("data_clean")
    assert refused.value.near == "data_cleanup"


def test_due_returns_what_has_come_oldest_first(desk: Desk) -> None:
    for name, at in (("b", 5), ("a", 1), ("later", 60), ("never", None)):
        when = None if at is None else desk.now + at * SECOND
        desk.store.schedules.put(name, "t", "{}", "app", when, desk.now)
    assert desk.store.schedules.next_due(desk.now) == desk.now + SECOND
    desk.advance(10)
    assert [row["id"] for row in desk.store.schedules.due(desk.now, desk.now)] == ["a", "b"]
    assert [row["id"] for row in desk.store.schedules.due(desk.now, desk.now, limit=1)] == ["a"]


def test_fire_stores_run_marker_and_next_instant_in_one(desk: Desk) -> None:
    at = _put(desk)
    tick = _ran(desk, at)
    assert tick.item is not None
    assert _fire(desk, tick, next_fire_at=at + 60 * SECOND) == [tick.item.id]
    row = desk.store.schedules.get("s")
    assert (row["next_fire_at"], row["last_fire_at"]) == (at + 60 * SECOND, at)
    run = desk.store.runs.get(tick.item.id)
    assert (run.schedule_id, run.cause, run.state.value) == ("s", "schedule", "pending")
    [marker] = desk.store.schedules.firings("s")
    assert (marker["fire_at"], marker["outcome"], marker["run_id"]) == (at, "ran", run.id)
    assert desk.store.schedules.active_runs(["s", "t"]) == {"s": [(run.id, "pending")]}


def test_fire_skipped_ticks_are_stored_with_their_reason_and_count(desk: Desk) -> None:
    at = _put(desk)
    ticks = [
        Firing(at, "skipped", "missed while nothing was running", 40, at + 40 * SECOND),
        Firing(at + 60 * SECOND, "skipped", "blackout"),
    ]
    assert _fire(desk, *ticks, next_fire_at=None) == []
    facts = [(f["reason"], f["count"], f["until_at"]) for f in desk.store.schedules.firings("s")]
    assert facts == [
        ("blackout", 1, None),
        ("missed while nothing was running", 40, at + 40 * SECOND),
    ]
    assert desk.store.schedules.get("s")["last_fire_at"] == at + 60 * SECOND
    assert desk.store.schedules.next_due(desk.now) is None
    counts = {c["reason"]: c["count"] for c in desk.store.schedules.firing_counts()}
    assert counts == {"blackout": 1, "missed while nothing was running": 40}


def test_fire_with_an_old_version_makes_nothing(desk: Desk) -> None:
    at = _put(desk)
    first, second = _ran(desk, at), _ran(desk, at)
    assert desk.store.schedules.fire("s", 1, [first], at + SECOND, desk.now) is not None
    assert desk.store.schedules.fire("s", 1, [second], at + SECOND, desk.now) is None
    assert sum(desk.store.runs.counts().values()) == 1


def test_fire_of_an_instant_that_fired_before_makes_no_run(desk: Desk) -> None:
    at = _put(desk)
    assert len(_fire(desk, _ran(desk, at)) or []) == 1
    assert _fire(desk, _ran(desk, at)) == []


def test_firing_marker_outlives_its_run(desk: Desk) -> None:
    at = _put(desk)
    [run_id] = _fire(desk, _ran(desk, at)) or []
    desk.finish(run_id)
    desk.advance(60)
    newer = desk.submit_one()
    desk.finish(newer)
    desk.advance(60)
    assert desk.store.retention.prune_runs("risk_scan", desk.now) == 1
    assert _fire(desk, _ran(desk, at)) == []
    assert desk.store.schedules.firings("s")[0]["run_id"] == run_id


def test_fire_by_two_schedulers_at_once_makes_one_run_for_each_instant(desk: Desk) -> None:
    at = _put(desk)
    others = [Desk(desk.address) for _ in range(3)]
    barrier = threading.Barrier(len(others))
    made: list[str] = []

    def fire(other: Desk) -> None:
        for n in range(20):
            barrier.wait(20)
            instant = at + n * SECOND
            row = other.store.schedules.get("s")
            barrier.wait(20)
            if row["next_fire_at"] == instant:
                tick = _ran(other, instant)
                made.extend(
                    other.store.schedules.fire(
                        "s", row["version"], [tick], instant + SECOND, desk.now
                    )
                    or []
                )

    threads = [threading.Thread(target=fire, args=(other,)) for other in others]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for other in others:
        other.close()
    assert len(made) == 20
    fired = [f["fire_at"] for f in desk.store.schedules.firings("s")]
    assert sorted(fired) == [at + n * SECOND for n in range(20)]
    assert desk.store.runs.counts()["pending"] == 20


def test_fire_cancel_other_ends_waiting_runs_and_asks_running_ones(desk: Desk) -> None:
    at = _put(desk)
    [running] = _fire(desk, _ran(desk, at)) or []
    desk.work()
    [waiting] = _fire(desk, _ran(desk, at + 1)) or []
    stranger = desk.submit_one(schedule_id="other")
    [newest] = _fire(desk, _ran(desk, at + 2, cancel_other=True)) or []
    assert desk.states([running, waiting, newest, stranger]) == [
        "running", "cancelled", "pending", "pending",
    ]  # fmt: skip
    assert [r[0] for r in desk.store.workers.cancel_requests("w1")] == [running]
    assert f"replaced by run {newest}" in str(desk.store.runs.get(waiting).reason)
    active = desk.store.schedules.active_runs(["s"])["s"]
    assert active == [(running, "running"), (newest, "pending")]


def test_pause_stops_firing_until_it_is_resumed(desk: Desk) -> None:
    at = _put(desk)
    version = desk.store.schedules.get("s")["version"]
    desk.store.schedules.pause("s", "vendor is down", None, desk.now)
    assert desk.store.schedules.due(desk.now, desk.now) == []
    assert desk.store.schedules.next_due(desk.now) is None
    assert desk.store.schedules.fire("s", version, [_ran(desk, at)], None, desk.now) is None
    assert _fire(desk, _ran(desk, at)) is None
    row = desk.store.schedules.get("s")
    assert (row["paused_at"], row["paused_reason"]) == (desk.now, "vendor is down")
    desk.store.schedules.resume("s", at + 60 * SECOND)
    assert desk.store.schedules.next_due(desk.now) == at + 60 * SECOND
    assert desk.store.schedules.get("s")["paused_reason"] is None


def test_pause_until_an_instant_ends_by_itself(desk: Desk) -> None:
    _put(desk)
    desk.store.schedules.pause("s", "lunch", desk.now + 30 * SECOND, desk.now)
    assert desk.store.schedules.next_due(desk.now) == desk.now + 30 * SECOND
    assert desk.store.schedules.due(desk.now, desk.now) == []
    desk.advance(30)
    assert [row["id"] for row in desk.store.schedules.due(desk.now, desk.now)] == ["s"]
    assert len(_fire(desk, _ran(desk, desk.now)) or []) == 1


def test_pause_of_an_unknown_schedule_is_refused(desk: Desk) -> None:
    with pytest.raises(UnknownSchedule):
        desk.store.schedules.pause("nobody", "r", None, desk.now)


def test_remove_keeps_the_firings(desk: Desk) -> None:
    at = _put(desk)
    _fire(desk, _ran(desk, at))
    assert desk.store.schedules.remove("s") is True
    assert desk.store.schedules.remove("s") is False
    assert len(desk.store.schedules.firings("s")) == 1
    _put(desk)
    assert _fire(desk, _ran(desk, at)) == []
