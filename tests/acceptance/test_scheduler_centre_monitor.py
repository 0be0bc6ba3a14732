"""The scheduler-centre document's monitor: history, metrics and alerts, all of it stored."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from closingbell.app import App
from closingbell.centre import AlertManager, PerformanceTracker, ScheduledTask
from closingbell.core.error import PayloadError
from tests.acceptance.desk import START, StandingClock, ended, in_loop, make_app


@pytest.fixture
def clock() -> StandingClock:
    return StandingClock(START)


@pytest.fixture
def app(store_address: str, clock: StandingClock) -> Iterator[App]:
    app = make_app(store_address, clock)
    declare(app)
    yield app
    app.stop(0)


def declare(app: App) -> None:
    def takes(payload: dict[str, Any]) -> str:
        """Each step of the standing clock is one second of execution."""
        clock = app.clock
        assert isinstance(clock, StandingClock)
        clock.advance(timedelta(seconds=payload.get("seconds", 0)))
        if payload.get("fail"):
            raise ValueError("no price")
        return "done"

    app.registry.register_task("scan", takes, timeout=1000, retry_count=0)
    app.registry.register_task("sync", takes, timeout=1000, retry_count=0)


def run_all(app: App, *runs: tuple[str, dict[str, Any]]) -> list[str]:
    """Run one after the other."""
    ids = []
    with app.running():
        for name, payload in runs:
            ids.append(app.submit(name, payload).id)
            ended(app, ids[-1])
    return ids


# --- history --------------------------------------------------------------------------------


def test_task_history_is_in_the_order_in_which_runs_ended(app: App) -> None:
    """The document appends, and gives the end of its list: the latest comes last."""
    first, second, third = run_all(
        app,
        ("scan", {"seconds": 2}),
        ("sync", {"seconds": 3, "fail": True}),
        ("scan", {"seconds": 1}),
    )
    history = app.monitor.get_task_history()

    assert [record["task_id"] for record in history] == [first, second, third]
    assert history[0] == {
        "task_id": first,
        "task_name": "scan",
        "status": "success",
        "result": "done",
        "error": None,
        "reason": None,
        "execution_time": 2.0,
        "completed_at": START + timedelta(seconds=2),
        "timestamp": START + timedelta(seconds=2),
        "retry_count": 0,
        "priority": 5,
        "payload": {"seconds": 2},
        "tags": [],
    }
    assert (history[1]["status"], history[1]["error"]) == ("failed", "no price")


def test_task_history_filters_by_name_and_status_and_keeps_the_latest(app: App) -> None:
    a, b, c, d = run_all(
        app,
        ("scan", {"seconds": 1}),
        ("sync", {"seconds": 1, "fail": True}),
        ("scan", {"seconds": 1, "fail": True}),
        ("scan", {"seconds": 1}),
    )

    def ids(*args: Any, **kwargs: Any) -> list[str]:
        return [record["task_id"] for record in app.monitor.get_task_history(*args, **kwargs)]

    assert ids("scan") == [a, c, d]
    assert ids(status="failed") == [b, c]
    assert ids("scan", "success") == [a, d]
    assert ids(limit=2) == [c, d]
    assert ids("scan", limit=1) == [d]
    assert ids(limit=0) == []
    assert ids("nobody") == []
    with pytest.raises(PayloadError, match="limit"):
        ids(limit=-1)


def test_task_history_survives_a_restart(app: App, store_address: str) -> None:
    [run_id] = run_all(app, ("scan", {"seconds": 2}))
    app.stop()
    again = make_app(store_address, StandingClock(START + timedelta(days=1)))
    history = again.monitor.get_task_history()
    metrics = again.monitor.get_performance_metrics("scan")
    again.stop()

    assert [record["task_id"] for record in history] == [run_id]
    assert metrics["count"] == 1


@in_loop
async def test_track_of_the_engines_own_result_changes_nothing(app: App) -> None:
    """The engine tracks by itself: the document's habit of tracking each result stays harmless."""
    with app.running():
        task = ScheduledTask("scan", {"seconds": 1}, START, task_id="mine")
        result = await app.executor.execute_task(task)
        before = app.monitor.get_task_history()
        await app.monitor.track_task_execution(result)

    assert app.monitor.get_task_history() == before
    assert len(before) == 1


@in_loop
async def test_track_of_work_that_ran_elsewhere_is_history_metrics_and_alerts(
    app: App, clock: StandingClock
) -> None:
    # As the document writes it: naive, here in the app's zone.
    noon = datetime.fromisoformat("2026-03-02T12:00")
    await app.monitor.track_task_execution(
        {
            "task_id": "x1",
            "task_name": "batch",
            "status": "success",
            "result": {"rows": 3},
            "execution_time": 400.0,
            "completed_at": noon,
        }
    )
    await app.monitor.track_task_execution(
        {"task_id": "x2", "task_name": "batch", "status": "failed", "error": "disk full"}
    )
    history = app.monitor.get_task_history("batch")
    alerts = app.monitor.get_alerts()

    assert [record["task_id"] for record in history] == ["x1", "x2"]
    assert history[0]["completed_at"].replace(tzinfo=None) == noon
    assert (history[0]["result"], history[0]["execution_time"]) == ({"rows": 3}, 400.0)
    assert history[1]["error"] == "disk full"
    assert app.monitor.get_performance_metrics("batch")["max_execution_time"] == 400.0
    assert {(alert["type"], alert["task_id"]) for alert in alerts} == {
        ("long_execution", "x1"),
        ("task_failure", "x2"),
    }


@pytest.mark.parametrize(
    "result",
    [
        {"task_id": "a", "status": "running"},
        {"task_id": "a"},
        {"task_id": "", "status": "success"},
        {"task_id": 7, "status": "success"},
        {"task_id": "a", "status": "success", "task_name": ""},
        {"task_id": "a", "status": "success", "execution_time": -1},
        {"task_id": "a", "status": "success", "execution_time": "1"},
        {"task_id": "a", "status": "success", "completed_at": "yesterday"},
        {"task_id": "a", "status": "success", "priority": 0},
        {"task_id": "a", "status": "success", "result": object()},
        {"task_id": "a", "status": "success", "payload": "no mapping"},
    ],
)
def test_track_of_an_impossible_result_is_refused_and_not_stored(
    sqlite_address: str, result: dict[str, Any]
) -> None:
    app = make_app(sqlite_address)

    @in_loop
    async def track() -> None:
        await app.monitor.track_task_execution(result)

    with pytest.raises(PayloadError):
        track()
    assert app.list_runs() == []
    app.stop()


# --- metrics --------------------------------------------------------------------------------


def test_performance_metrics_have_the_documents_shapes(app: App) -> None:
    assert app.monitor.get_performance_metrics() == {}
    assert app.monitor.get_performance_metrics("scan") == {}
    run_all(
        app,
        ("scan", {"seconds": 1}),
        ("scan", {"seconds": 4}),
        ("scan", {"seconds": 100, "fail": True}),
        ("sync", {"seconds": 2}),
    )
    scan = {
        "count": 2,
        "avg_execution_time": 2.5,
        "min_execution_time": 1.0,
        "max_execution_time": 4.0,
    }
    sync = {
        "count": 1,
        "avg_execution_time": 2.0,
        "min_execution_time": 2.0,
        "max_execution_time": 2.0,
    }

    found = app.monitor.get_performance_metrics("scan")
    every = app.monitor.get_performance_metrics()
    assert {name: found[name] for name in scan} == scan
    assert every["scan"] == found
    assert {name: every["sync"][name] for name in sync} == sync
    assert sorted(every) == ["scan", "sync"]
    assert app.monitor.get_performance_metrics("nobody") == {}


def test_performance_metrics_say_how_often_and_how_late(app: App) -> None:
    run_all(
        app,
        ("scan", {"seconds": 1}),
        ("scan", {"seconds": 4}),
        ("scan", {"seconds": 100, "fail": True}),
    )
    metrics = app.monitor.get_performance_metrics("scan")

    assert metrics["p99_execution_time"] == pytest.approx(1.0, rel=0.01), "of two, the lower"
    assert (metrics["success"], metrics["failed"]) == (2, 1)
    assert metrics["failure_rate"] == pytest.approx(1 / 3)
    assert metrics["lateness"]["count"] == metrics["queue_wait"]["count"] == 3
    recent = app.monitor.performance.get_performance_metrics("scan", window="1m")
    assert recent["count"] <= metrics["count"]


def test_figures_name_tasks_that_never_succeeded(app: App) -> None:
    run_all(app, ("scan", {"seconds": 1, "fail": True}))

    assert app.monitor.performance.get_performance_metrics("scan") == {}
    figures = app.monitor.performance.get_figures("scan")["scan"]
    assert (figures["success"], figures["failed"], figures["failure_rate"]) == (0, 1, 1.0)


# --- alerts ---------------------------------------------------------------------------------


def test_alerts_are_raised_by_failures_and_long_executions(app: App) -> None:
    failed, long = run_all(app, ("scan", {"seconds": 1, "fail": True}), ("sync", {"seconds": 301}))
    failure, slow = app.monitor.get_alerts()

    assert failure["type"] == "task_failure"
    assert (failure["task_id"], failure["task_name"]) == (failed, "scan")
    assert (failure["error"], failure["timestamp"]) == ("no price", START + timedelta(seconds=1))
    assert slow["type"] == "long_execution"
    assert (slow["task_id"], slow["task_name"]) == (long, "sync")
    assert slow["execution_time"] == 301.0


def test_alerts_are_filtered_by_type_and_time_and_cleared_by_count(app: App) -> None:
    run_all(
        app,
        ("scan", {"seconds": 1, "fail": True}),
        ("scan", {"seconds": 1, "fail": True}),
        ("sync", {"seconds": 301}),
    )
    monitor = app.monitor

    def kinds(**kwargs: Any) -> list[str]:
        return [alert["type"] for alert in monitor.get_alerts(**kwargs)]

    # One open cause is one alert, which counts how often it happened.
    assert kinds() == ["task_failure", "long_execution"]
    (failure,) = monitor.get_alerts("task_failure")
    assert failure["count"] == 2
    since = START + timedelta(seconds=2)
    assert kinds(since=since) == ["long_execution"]
    # Naive means the app's zone, here UTC.
    assert kinds(since=since.replace(tzinfo=None)) == ["long_execution"]
    assert kinds(since=START + timedelta(days=1)) == []
    assert monitor.clear_alerts("task_failure") == 1
    assert kinds() == ["long_execution"]
    assert monitor.clear_alerts() == 1
    assert monitor.clear_alerts() == 0
    assert kinds() == []


def test_monitor_parts_are_reached_by_their_names(app: App) -> None:
    run_all(app, ("scan", {"seconds": 1, "fail": True}))

    assert isinstance(app.monitor.alerts, AlertManager)
    assert isinstance(app.monitor.performance, PerformanceTracker)
    assert app.monitor.alerts.get_alerts() == app.monitor.get_alerts()
    assert app.monitor.performance.get_performance_metrics() == {}
