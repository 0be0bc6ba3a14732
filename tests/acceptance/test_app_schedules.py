"""Schedules of an app: they fire once each, through restarts, pauses, changes and other schedulers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from closingbell.app import App
from closingbell.core.clock import ScaledClock
from closingbell.core.run import Run
from closingbell.schedule_handle import ScheduleHandle
from closingbell.triggers import Every
from tests.acceptance.desk import START, Gate, StandingClock, ended, eventually, make_app

MINUTE = timedelta(minutes=1)


@pytest.fixture
def clock() -> StandingClock:
    return StandingClock(START)


@pytest.fixture
def app(store_address: str, clock: StandingClock) -> Iterator[App]:
    app = make_app(store_address, clock)
    yield app
    app.stop(0)


def settled(app: App, count: int, task: str | None = None) -> list[Run]:
    """The runs, oldest first, once there are `count` and all have ended."""

    def look() -> list[Run]:
        runs = app.list_runs(task=task)
        done = len(runs) >= count and all(run.state.is_final for run in runs)
        return runs[::-1] if done else []

    return eventually(look, f"{count} ended runs")


def fired(runs: list[Run]) -> list[datetime | None]:
    return [run.fire_at for run in runs]


def ticks(handle: ScheduleHandle) -> list[tuple[datetime, str]]:
    """Stored ticks, oldest first."""
    return [(row["fire_at"], row["outcome"]) for row in handle.firings()[::-1]]


# --- firing -----------------------------------------------------------------------------------


def test_schedule_fires_at_its_instants_and_tells_the_task(app: App, clock: StandingClock) -> None:
    seen: list[Any] = []

    @app.task(interval="5m", payload={"book": "A"}, tags=["own"])
    def revalue(book: str, context: Any) -> None:
        seen.append((book, context.fire_at, context.as_of, context.attempt))

    at = [START + 5 * MINUTE, START + 10 * MINUTE]
    with app.running():
        for n, instant in enumerate(at, 1):
            clock.advance(instant)
            runs = settled(app, n)

    assert fired(runs) == at
    assert seen == [("A", instant, instant, 1) for instant in at]
    assert [(run.cause, run.schedule_id, run.tags) for run in runs] == [
        ("schedule", "revalue", ("own",))
    ] * 2
    assert [run.lateness for run in runs] == [timedelta()] * 2


def test_schedule_beside_the_tasks_own_has_its_own_payload_and_priority(
    app: App, clock: StandingClock
) -> None:
    @app.task
    def report(kind: str) -> str:
        return kind

    handle = app.schedule(
        report, Every("1h"), id="hourly", payload={"kind": "x"}, priority=2, tags=["t"]
    )
    again = app.schedule(
        report, Every("1h"), id="hourly", payload={"kind": "x"}, priority=2, tags=["t"]
    )
    with app.running():
        clock.advance(timedelta(minutes=30))
        [run] = settled(app, 1)

    assert handle.id == again.id == "hourly"
    assert (run.result, run.priority, run.tags) == ("x", 2, ("t",))
    assert handle.next(2) == [START + 90 * MINUTE, START + 150 * MINUTE]


def test_changed_schedule_fires_by_its_new_rule_from_now_on(store_address: str) -> None:
    clock = StandingClock(START)
    for interval in ("5m", "20m"):
        app = make_app(store_address, clock)
        app.task(name="scan", interval=interval)(lambda payload: None)
        next_run = app.get_task_status()["scan"]["next_run"]
        app.stop()

    assert next_run == datetime(2026, 3, 2, 14, 40, tzinfo=UTC)


def test_schedule_that_the_task_declares_no_more_is_gone(store_address: str) -> None:
    """Otherwise a task whose interval was deleted from the code would fire for ever."""
    clock = StandingClock(START)
    before = make_app(store_address, clock)
    before.task(name="scan", interval="5m", on_event="tick")(lambda payload: None)
    before.task(name="late", after="scan")(lambda payload: None)
    before.task(name="other", interval="5m")(lambda payload: None)
    before.schedule("scan", Every("1h"), id="by hand")
    assert len(before.store.schedules.list_all()) == 4
    before.stop()

    after = make_app(store_address, clock)
    after.task(name="scan")(lambda payload: None)
    after.task(name="late")(lambda payload: None)
    left = [row["id"] for row in after.store.schedules.list_all()]
    started = after.trigger_event("tick", {})
    after.stop()

    # "other" is not known here: it may be another program's.
    assert left == ["by hand", "other"]
    assert started == []


def test_once_at_an_instant_fires_once(app: App, clock: StandingClock) -> None:
    app.task(name="once", at="2026-03-02T15:00")(lambda payload: None)
    with app.running():
        clock.advance(timedelta(days=1))
        runs = settled(app, 1)
        clock.advance(timedelta(days=30))

    assert fired(runs) == [datetime(2026, 3, 2, 15, tzinfo=UTC)]
    assert len(app.list_runs()) == 1
    assert app.get_task_status()["once"]["next_run"] is None


# --- catch-up ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("catch_up", "ran"),
    [("latest", [30]), ("all", [10, 20, 30]), ("skip", [])],
)
def test_restart_after_an_outage_catches_up_by_policy_and_stores_every_tick(
    store_address: str, catch_up: str, ran: list[int]
) -> None:
    def declare(clock: StandingClock) -> App:
        app = make_app(store_address, clock)
        app.task(name="sync", interval="10m", catch_up=catch_up)(lambda payload: None)
        return app

    before = declare(StandingClock(START))
    with before.running():
        pass
    clock = StandingClock(START + 35 * MINUTE)
    after = declare(clock)
    handle = ScheduleHandle("sync", after)
    with after.running():
        eventually(lambda: len(handle.firings()) == 3)
        runs = settled(after, len(ran)) if ran else after.list_runs()
    stored = ticks(handle)
    following = handle.next()
    after.stop()

    instants = [START + n * MINUTE for n in (10, 20, 30)]
    assert fired(runs) == [START + n * MINUTE for n in ran]
    assert [at for at, _ in stored] == instants
    assert [outcome for _, outcome in stored] == [
        "ran" if n in ran else "skipped" for n in (10, 20, 30)
    ]
    assert following == [START + 40 * MINUTE]


def test_catch_up_window_skips_what_is_too_old(store_address: str) -> None:
    options: dict[str, Any] = {"catch_up": "all", "catch_up_window": "15m"}
    first = make_app(store_address, StandingClock(START))
    first.task(name="sync", interval="10m", **options)(lambda payload: None)
    assert first.get_task_status()["sync"]["next_run"] == START + 10 * MINUTE
    first.stop()
    app = make_app(store_address, StandingClock(START + 35 * MINUTE))
    app.task(name="sync", interval="10m", **options)(lambda payload: None)
    handle = ScheduleHandle("sync", app)
    with app.running():
        runs = settled(app, 2)
    rows = handle.firings()
    app.stop()

    assert fired(runs) == [START + 20 * MINUTE, START + 30 * MINUTE]
    assert "catch-up window" in rows[-1]["reason"]


# --- overlap ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("overlap", "outcomes", "states"),
    [
        ("skip", ["ran", "skipped", "skipped"], ["success"]),
        ("buffer_one", ["ran", "ran", "skipped"], ["success", "success"]),
        ("buffer_all", ["ran", "ran", "ran"], ["success", "success", "success"]),
        ("allow", ["ran", "ran", "ran"], ["success", "success", "success"]),
        ("cancel_other", ["ran", "ran", "ran"], ["cancelled", "cancelled", "success"]),
    ],
)
def test_firing_while_an_earlier_run_is_active_follows_the_overlap_policy(
    app: App, clock: StandingClock, overlap: str, outcomes: list[str], states: list[str]
) -> None:
    lock = threading.Lock()
    gate = Gate()
    inside: list[int] = [0, 0]

    @app.task(interval="10m", overlap=overlap)
    def slow(context: Any) -> None:
        with lock:
            inside[0] += 1
            inside[1] = max(inside)
        try:
            if overlap == "cancel_other" and context.fire_at < START + 30 * MINUTE:
                gate.arrive()
                context.wait_cancelled(20)
            else:
                gate.pass_through()
        finally:
            with lock:
                inside[0] -= 1

    handle = ScheduleHandle("slow", app)
    with app.running():
        for n in (1, 2, 3):
            clock.advance(START + n * 10 * MINUTE)
            eventually(lambda n=n: len(handle.firings()) == n)  # type: ignore[misc]
            if n == 1 or overlap == "allow":
                gate.wait_arrival()
        gate.open()
        runs = settled(app, len(states))

    assert [outcome for _, outcome in ticks(handle)] == outcomes
    assert [run.state.value for run in runs] == states
    assert inside[1] == (3 if overlap == "allow" else 1)
    for row in handle.firings():
        assert row["outcome"] == "ran" or "overlap" in row["reason"]


# --- pause, blackout, removal -------------------------------------------------------------------


def test_paused_schedule_fires_nothing_until_it_is_resumed(app: App, clock: StandingClock) -> None:
    @app.task
    def scan(payload: dict[str, Any]) -> None:
        pass

    handle = app.schedule(scan, Every("10m"), id="paused")
    with app.running():
        handle.pause("month end")
        clock.advance(timedelta(minutes=25))
        paused = handle.schedule
        handle.resume()
        clock.advance(timedelta(minutes=5))
        runs = settled(app, 1)

    assert (paused.paused_reason, paused.paused_at) == ("month end", START)
    assert fired(runs) == [START + 30 * MINUTE]
    assert handle.schedule.paused_at is None


def test_pause_with_an_end_ends_by_itself(app: App, clock: StandingClock) -> None:
    app.task(name="scan")(lambda payload: None)
    handle = app.schedule("scan", Every("10m"), id="paused", catch_up="skip", grace="0s")
    with app.running():
        handle.pause("lunch", until=START + 25 * MINUTE)
        for n in range(6):
            clock.advance(START + n * 5 * MINUTE + MINUTE)
        clock.advance(START + 30 * MINUTE)
        runs = settled(app, 1)

    assert fired(runs) == [START + 30 * MINUTE]


def test_blackout_stores_the_tick_as_skipped_with_its_reason(
    app: App, clock: StandingClock
) -> None:
    app.task(name="scan", interval="10m", blackout="14:35-14:45")(lambda payload: None)
    handle = ScheduleHandle("scan", app)
    with app.running():
        clock.advance(timedelta(minutes=10))
        eventually(handle.firings)
        clock.advance(timedelta(minutes=10))
        runs = settled(app, 1)

    assert fired(runs) == [START + 20 * MINUTE]
    assert [outcome for _, outcome in ticks(handle)] == ["skipped", "ran"]
    assert "blackout" in handle.firings()[-1]["reason"]


def test_removed_schedule_fires_no_more_and_keeps_its_past(app: App, clock: StandingClock) -> None:
    app.task(name="scan")(lambda payload: None)
    handle = app.schedule("scan", Every("10m"), id="gone")
    with app.running():
        clock.advance(timedelta(minutes=10))
        settled(app, 1)
        assert handle.remove() is True
        assert handle.remove() is False
        clock.advance(timedelta(minutes=30))
    assert len(app.list_runs()) == 1
    assert ticks(handle) == [(START + 10 * MINUTE, "ran")]


def test_removed_schedule_is_not_back_when_the_store_is_opened_again(app: App) -> None:
    app.task(name="scan")(lambda: None)
    removed = app.schedule("scan", Every("5m"), id="often")
    app.schedule("scan", Every("1h"), id="seldom")
    trigger = app.on("close", "scan")
    with app.running(worker=False):
        assert removed.remove() is True
        assert app.scheduler.cancel_task(trigger) is True

    with app.running(worker=False):
        assert [row["id"] for row in app.store.schedules.list_all()] == ["seldom"]
        assert app.store.events.triggers() == []
        assert removed.remove() is False

    app.schedule("scan", Every("5m"), id="often")
    assert removed.schedule.trigger == Every("5m")


def test_start_and_end_bound_the_firings(app: App, clock: StandingClock) -> None:
    app.task(name="scan")(lambda payload: None)
    handle = app.schedule(
        "scan", Every("10m"), id="bounded", catch_up="all", overlap="allow",
        start="2026-03-02T15:00", end="2026-03-02T15:20",
    )  # fmt: skip
    with app.running():
        for _ in range(12):
            clock.advance(timedelta(minutes=10))
        runs = settled(app, 3)

    assert fired(runs) == [START + n * MINUTE for n in (30, 40, 50)]
    assert handle.next() == []


# --- what must not stop the others --------------------------------------------------------------


def test_schedule_of_a_task_that_is_unknown_here_holds_up_no_other(
    store_address: str, clock: StandingClock
) -> None:
    """It stays due for ever: it must neither spin the scheduler nor hide who is due next."""
    elsewhere = make_app(store_address, clock)
    for n in range(3):
        elsewhere.task(name=f"foreign_{n}", interval="1m")(lambda payload: None)
    assert elsewhere.get_task_status()
    elsewhere.stop()
    # A real clock: the standing one has no idle looks.
    here = make_app(store_address, ScaledClock(START + 5 * MINUTE, 20.0))
    here.task(name="known", interval="1m", overlap="allow")(lambda payload: None)
    looks: list[int] = []
    with here.running():
        loop = here.machinery._scheduler
        assert loop is not None
        step = loop.step

        def counted() -> int | None:
            looks.append(1)
            return step()

        loop.step = counted  # type: ignore[method-assign]
        runs = settled_some(here, 3)
    here.stop()

    assert max(run.lateness for run in runs if run.lateness is not None) < timedelta(seconds=30)
    # Three firings take a handful of looks each; a spinning loop takes thousands.
    assert len(looks) < 200


def settled_some(app: App, count: int) -> list[Run]:
    return eventually(
        lambda: (
            [r for r in app.list_runs() if r.state.is_final][:count]
            if len([r for r in app.list_runs() if r.state.is_final]) >= count
            else []
        )
    )


def test_schedule_whose_payload_no_longer_fits_is_skipped_with_the_reason(
    store_address: str,
) -> None:
    """The task's signature changed after the schedule was stored; others go on."""
    before = make_app(store_address, StandingClock(START))

    @before.task(name="scan")
    def old(symbol: str) -> None:
        pass

    before.schedule("scan", Every("10m"), id="stored", payload={"symbol": "A"})
    assert before.store.schedules.list_all()
    before.stop()
    clock = StandingClock(START)
    after = make_app(store_address, clock)

    @after.task(name="scan")
    def new(account: str) -> None:
        pass

    after.task(name="fine", interval="10m")(lambda payload: None)
    handle = ScheduleHandle("stored", after)
    with after.running():
        clock.advance(timedelta(minutes=10))
        runs = settled(after, 1)
        [tick] = eventually(handle.firings)
        following = handle.next()
    after.stop()

    assert [run.task for run in runs] == ["fine"]
    assert tick["outcome"] == "skipped"
    assert "payload does not fit task 'scan'" in tick["reason"]
    assert following == [START + 20 * MINUTE]


# --- several schedulers -------------------------------------------------------------------------


def test_two_schedulers_on_one_store_fire_each_instant_once(store_address: str) -> None:
    """Threads of one process here; `tests/chaos` has them in processes that are killed."""
    clock = ScaledClock(START, 600.0)
    apps = [make_app(store_address, clock) for _ in range(2)]
    for app in apps:
        for n in range(5):
            app.task(name=f"task_{n}", interval="1m", overlap="allow", catch_up="all")(
                lambda payload: None
            )
    first, second = apps
    with first.running(), second.running():
        eventually(lambda: len(first.list_runs(limit=1_000)) >= 100)
    handles = [ScheduleHandle(f"task_{n}", first) for n in range(5)]
    for handle in handles:
        rows = handle.firings(10_000)
        instants = sorted(row["fire_at"] for row in rows)
        expected = [instants[0] + k * MINUTE for k in range(len(instants))]
        runs = [run for run in first.list_runs(limit=10_000) if run.schedule_id == handle.id]
        assert instants == expected
        assert sorted(str(run.fire_at) for run in runs) == [str(at) for at in expected]
    first.stop()
    second.stop()


# --- dependencies -------------------------------------------------------------------------------


def test_after_runs_once_when_all_have_succeeded_anew(app: App, clock: StandingClock) -> None:
    app.task(name="prices")(lambda payload: None)
    app.task(name="trades")(lambda payload: None)
    app.task(name="report", after=["prices", "trades"])(lambda payload: "done")

    def run(name: str) -> None:
        clock.advance(MINUTE)
        ended(app, app.submit(name).id)

    with app.running():
        run("prices")
        run("prices")
        assert app.list_runs(task="report") == []
        run("trades")
        [first] = settled(app, 1, "report")
        run("trades")
        run("trades")
        assert len(app.list_runs(task="report")) == 1
        run("prices")
        reports = settled(app, 2, "report")

    assert first.cause == "after"
    assert fired(reports) == [START + 3 * MINUTE, START + 6 * MINUTE]


def test_after_waits_when_a_dependency_fails_or_is_too_old(app: App, clock: StandingClock) -> None:
    def prices(fail: bool = False) -> None:
        if fail:
            raise ValueError("no file")

    app.task(name="prices", retries=0)(prices)
    app.task(name="trades")(lambda payload: None)
    app.task(name="report", after=["prices", "trades"], within="1h")(lambda payload: None)
    with app.running():
        ended(app, app.submit("prices", {"fail": True}).id)
        ended(app, app.submit("trades").id)
        assert app.list_runs(task="report") == []
        clock.advance(timedelta(hours=2))
        ended(app, app.submit("prices").id)
        app.machinery.wake_scheduler()
        assert app.list_runs(task="report") == []
        ended(app, app.submit("trades").id)
        settled(app, 1, "report")


def test_removing_the_dependency_of_a_task_stops_no_scheduler(
    app: App, clock: StandingClock
) -> None:
    app.task(name="prices")(lambda payload: None)
    app.task(name="report", after="prices")(lambda payload: None)
    app.task(name="scan", interval="10m")(lambda payload: None)
    ScheduleHandle("after:report", app).remove()
    with app.running():
        ended(app, app.submit("prices").id)
        clock.advance(timedelta(minutes=10))
        settled(app, 1, "scan")
    assert app.list_runs(task="report") == []
