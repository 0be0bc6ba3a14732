"""The scheduler-centre document's registry, scheduler and executor, and that its bugs are not ours."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from closingbell.app import App
from closingbell.centre import ScheduledTask, TaskDefinition, TaskStatus
from closingbell.core.error import AppNotRunning, SubmitError, TriggerError, UnknownTask
from tests.acceptance.desk import (
    PATIENCE_S,
    START,
    Gate,
    StandingClock,
    ended,
    eventually,
    in_loop,
    make_app,
)


@pytest.fixture
def clock() -> StandingClock:
    return StandingClock(START)


@pytest.fixture
def app(store_address: str, clock: StandingClock) -> Iterator[App]:
    app = make_app(store_address, clock)
    app.registry.register_task("double", lambda payload: payload["x"] * 2)
    yield app
    app.stop(0)


def a_task(**changes: Any) -> ScheduledTask:
    given: dict[str, Any] = {"task_name": "double", "payload": {"x": 4}, "trigger_time": START}
    return ScheduledTask(**{**given, **changes})


# --- the document's names -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("face", "method", "parameters"),
    [
        (
            "registry",
            "register_task",
            "task_name handler description= timeout=300 retry_count=3 priority=5 tags=None",
        ),
        ("registry", "get_task", "task_name"),
        ("registry", "list_tasks", ""),
        ("registry", "unregister_task", "task_name"),
        ("scheduler", "schedule_task", "task_name payload trigger_time=None priority=5 tags=None"),
        ("scheduler", "schedule_cron_task", "task_name cron_expression payload priority=5"),
        ("scheduler", "schedule_event_trigger", "task_name event_type payload priority=5"),
        ("scheduler", "trigger_event", "event_type event_data=None"),
        ("scheduler", "get_next_task", ""),
        ("scheduler", "cancel_task", "task_id"),
        ("executor", "execute_task", "scheduled_task"),
        ("executor", "execute_batch", "tasks"),
        ("executor", "cancel_task", "task_id"),
        ("executor", "get_running_tasks", ""),
        (
            "retry_controller",
            "set_retry_policy",
            "task_name max_retries=3 backoff_factor=2.0 initial_delay=60",
        ),
        ("retry_controller", "handle_failed_task", "task_result"),
        ("retry_controller", "get_failed_tasks", ""),
        ("retry_controller", "clear_failed_task", "task_id"),
        ("monitor", "track_task_execution", "task_result"),
        ("monitor", "get_task_history", "task_name=None status=None limit=100"),
        ("monitor", "get_performance_metrics", "task_name=None"),
        ("monitor", "get_alerts", "alert_type=None since=None"),
        ("monitor", "clear_alerts", "alert_type=None"),
    ],
)
def test_document_method_is_there_with_its_parameters(
    sqlite_address: str, face: str, method: str, parameters: str
) -> None:
    app = make_app(sqlite_address)
    signature = inspect.signature(getattr(getattr(app, face), method))
    found = [
        name if p.default is inspect.Parameter.empty else f"{name}={p.default}"
        for name, p in signature.parameters.items()
        if p.kind is not inspect.Parameter.VAR_KEYWORD
    ]

    assert " ".join(found) == parameters


def test_document_words_are_importable() -> None:
    assert {status.name for status in TaskStatus} >= {
        "PENDING", "RUNNING", "SUCCESS", "FAILED", "CANCELLED",
    }  # fmt: skip
    task = ScheduledTask(task_name="a", payload={}, trigger_time=START)
    assert (task.priority, task.task_id, task.retry_count) == (5, None, 0)
    assert (task.max_retries, task.tags) == (3, [])
    urgent = ScheduledTask(task_name="b", payload={}, trigger_time=START, priority=1)
    assert sorted([task, urgent]) == [urgent, task]
    definition = TaskDefinition(name="n", handler=print)
    assert (definition.priority, definition.retry_count) == (5, 3)


# --- registry -------------------------------------------------------------------------------


def test_registry_registers_lists_and_forgets_tasks(app: App) -> None:
    app.registry.register_task(
        "scan", print, description="looks", timeout=60, retry_count=1, priority=2, tags=["risk"]
    )
    scan = app.registry.get_task("scan")

    assert scan is not None
    assert (scan.name, scan.handler, scan.description) == ("scan", print, "looks")
    assert (scan.timeout, scan.retry_count, scan.priority) == (60, 1, 2)
    assert scan.tags == ["risk"]
    assert list(app.registry.list_tasks()) == ["double", "scan"]
    assert app.registry.unregister_task("scan") is True
    assert app.registry.unregister_task("scan") is False
    assert app.registry.get_task("scan") is None


# --- scheduler ------------------------------------------------------------------------------


@in_loop
async def test_schedule_task_awaited_gives_the_id_of_a_stored_run(app: App) -> None:
    run_id = await app.scheduler.schedule_task("double", {"x": 1}, priority=2, tags=["a"])
    run = app.get_run(run_id)

    assert type(run_id) is str
    assert (run.task, run.payload, run.priority, run.tags) == ("double", {"x": 1}, 2, ("a",))
    assert (run.state, run.due_at) == ("pending", START)


def test_schedule_task_with_a_time_waits_for_it(app: App, clock: StandingClock) -> None:
    at = START + timedelta(hours=1)
    with app.running():
        run_id = str(app.scheduler.schedule_task("double", {"x": 2}, at))
        assert app.get_run(run_id).state == "scheduled"
        clock.advance(at)
        assert app.handle(run_id).result(PATIENCE_S) == 4
    started_at = app.get_run(run_id).started_at

    assert started_at == at


def test_schedule_cron_task_fires_by_its_expression_and_not_in_a_minute(
    app: App, clock: StandingClock
) -> None:
    with app.running():
        schedule_id = str(app.scheduler.schedule_cron_task("double", "0 9 * * MON", {"x": 3}, 1))
        clock.advance(timedelta(minutes=2))
        assert app.list_runs() == []
        clock.advance(datetime(2026, 3, 9, 9, tzinfo=UTC))
        [run] = eventually(app.list_runs)
        result = app.handle(run.id).result(PATIENCE_S)

    assert (run.schedule_id, run.fire_at) == (schedule_id, datetime(2026, 3, 9, 9, tzinfo=UTC))
    assert (run.priority, result) == (1, 6)


def test_schedule_cron_task_again_is_the_same_schedule(app: App) -> None:
    first = app.scheduler.schedule_cron_task("double", "0 9 * * MON", {"x": 3})
    again = app.scheduler.schedule_cron_task("double", "0 9 * * MON", {"x": 3})
    other = app.scheduler.schedule_cron_task("double", "0 9 * * MON", {"x": 4})

    assert first == again
    assert first != other
    assert len(app.store.schedules.list_all()) == 2


def test_schedule_event_trigger_runs_nothing_when_it_is_registered(app: App) -> None:
    with app.running():
        app.scheduler.schedule_event_trigger("double", "tick", {"x": 1})
        app.machinery.wake_scheduler()
        [run_id] = app.scheduler.trigger_event("tick", {})
        app.handle(run_id).result(PATIENCE_S)
        runs = app.list_runs()

    assert [run.id for run in runs] == [run_id]


def test_trigger_event_gives_each_run_its_own_copy_of_the_payload(app: App) -> None:
    """The document's triggers share one dict, which every event changes for good."""
    app.registry.register_task("keep", lambda payload: payload)
    own = {"source": "feed", "x": 1}
    app.scheduler.schedule_event_trigger("keep", "tick", own)
    [first] = app.scheduler.trigger_event("tick", {"x": 2, "seen": True})
    [second] = app.scheduler.trigger_event("tick", {"y": 3})

    assert app.get_run(first).payload == {"source": "feed", "x": 2, "seen": True}
    assert app.get_run(second).payload == {"source": "feed", "x": 1, "y": 3}
    assert first != second
    assert own == {"source": "feed", "x": 1}


@in_loop
async def test_trigger_event_awaited_lists_the_ids_of_all_that_it_started(app: App) -> None:
    app.registry.register_task("also", lambda payload: None)
    await app.scheduler.schedule_event_trigger("double", "tick", {"x": 1}, priority=7)
    await app.scheduler.schedule_event_trigger("also", "tick", {}, priority=2)
    await app.scheduler.schedule_event_trigger("also", "tock", {})
    ids = await app.scheduler.trigger_event("tick", {})

    assert type(ids) is list
    assert {(r.task, r.priority) for r in map(app.get_run, ids)} == {("double", 7), ("also", 2)}
    assert len(ids) == 2
    assert await app.scheduler.trigger_event("nobody listens", {}) == []


def test_event_integration_example_of_the_document_registers_without_being_awaited(
    app: App,
) -> None:
    """Its three calls are not awaited; all three triggers are there."""
    for name in ("data_sync", "risk_scan", "performance_report"):
        app.registry.register_task(name, lambda payload: payload)
    task_scheduler = app.scheduler

    # Example: Integration with trading system events
    async def register_trading_events() -> None:
        # Market data events
        task_scheduler.schedule_event_trigger(
            "data_sync", "market_data_update",
            {"source": "real_time_feed"}, priority=1
        )  # fmt: skip

        # Risk events
        task_scheduler.schedule_event_trigger(
            "risk_scan", "position_change",
            {"threshold": 1000000}, priority=2
        )  # fmt: skip

        # Performance events
        task_scheduler.schedule_event_trigger(
            "performance_report", "daily_close",
            {"report_type": "daily_summary"}, priority=3
        )  # fmt: skip

    asyncio.run(register_trading_events())

    assert app.list_runs() == []
    [run_id] = app.scheduler.trigger_event("position_change", {"symbol": "AAPL"})
    run = app.get_run(run_id)
    assert (run.task, run.priority) == ("risk_scan", 2)
    assert run.payload == {"threshold": 1000000, "symbol": "AAPL"}


def test_get_next_task_only_looks(app: App, clock: StandingClock) -> None:
    assert app.scheduler.get_next_task() is None
    app.scheduler.schedule_task("double", {"x": 0}, START + timedelta(minutes=1), priority=1)
    assert app.scheduler.get_next_task() is None
    late = app.scheduler.schedule_task("double", {"x": 1}, priority=6)
    soon = app.scheduler.schedule_task("double", {"x": 2}, priority=3, tags=["t"])

    looked = [app.scheduler.get_next_task() for _ in range(2)]

    assert looked[0] == looked[1]
    assert looked[0] == a_task(payload={"x": 2}, priority=3, task_id=soon, tags=["t"])
    assert {run.id for run in app.list_runs(states=["pending"])} == {late, soon}


def test_scheduled_tasks_shows_runs_and_next_firings_soonest_first(app: App) -> None:
    cron = app.scheduler.schedule_cron_task("double", "0 9 * * MON", {"x": 3})
    tomorrow = app.scheduler.schedule_task("double", {"x": 1}, START + timedelta(days=1))
    now = app.scheduler.schedule_task("double", {"x": 2})

    assert [task.task_id for task in app.scheduler.scheduled_tasks] == [now, tomorrow, cron]


def test_cancel_task_is_honest_about_runs_schedules_triggers_and_nothing(app: App) -> None:
    later = START + timedelta(hours=1)
    run_id = app.scheduler.schedule_task("double", {"x": 1}, later)
    schedule_id = app.scheduler.schedule_cron_task("double", "0 9 * * MON", {"x": 1})
    trigger_id = app.scheduler.schedule_event_trigger("double", "tick", {"x": 1})

    for known in (run_id, schedule_id, trigger_id):
        assert app.scheduler.cancel_task(known) is True
        assert app.scheduler.cancel_task(known) is False
    assert app.scheduler.cancel_task("no such id") is False
    assert app.get_run(run_id).state == "cancelled"
    assert app.store.schedules.list_all() == []
    assert app.scheduler.trigger_event("tick", {}) == []


def test_cancel_task_after_the_end_is_false(app: App) -> None:
    with app.running():
        run_id = app.scheduler.schedule_task("double", {"x": 1})
        app.handle(run_id).result(PATIENCE_S)

        assert app.scheduler.cancel_task(run_id) is False
    assert app.get_run(run_id).state == "success"


def test_scheduler_stores_nothing_that_it_refuses(app: App) -> None:
    scheduler = app.scheduler
    with pytest.raises(UnknownTask, match="did you mean 'double'"):
        scheduler.schedule_task("duoble", {})
    with pytest.raises(SubmitError):
        scheduler.schedule_task("double", {"x": 1}, priority=0)
    with pytest.raises(TriggerError):
        scheduler.schedule_cron_task("double", "every day", {"x": 1})
    with pytest.raises(SubmitError):
        scheduler.schedule_cron_task("double", "0 9 * * *", {"x": 1}, priority=10)
    with pytest.raises(SubmitError):
        scheduler.schedule_event_trigger("double", "", {"x": 1})
    with pytest.raises(UnknownTask):
        scheduler.schedule_event_trigger("treble", "tick", {"x": 1})

    assert app.list_runs() == []
    assert app.store.schedules.list_all() == []
    assert app.store.events.triggers() == []


# --- executor -------------------------------------------------------------------------------


@in_loop
async def test_execute_task_runs_it_and_returns_the_documents_result(app: App) -> None:
    with app.running():
        result = await app.executor.execute_task(a_task(task_id="my id"))
    run = app.get_run("my id")

    assert result == {
        "task_id": "my id",
        "task_name": "double",
        "status": "success",
        "result": 8,
        "execution_time": result["execution_time"],
        "completed_at": run.finished_at,
        "payload": {"x": 4},
    }
    assert result["execution_time"] >= 0
    assert run.state == "success"


@in_loop
async def test_execute_task_without_an_id_writes_the_new_one_into_it(app: App) -> None:
    task = a_task()
    with app.running():
        result = await app.executor.execute_task(task)

    assert result["task_id"] == task.task_id
    assert app.get_run(result["task_id"]).result == 8


@in_loop
async def test_execute_task_again_does_not_run_it_twice(app: App) -> None:
    calls: list[int] = []

    def settle(payload: dict[str, Any]) -> int:
        calls.append(1)
        return len(calls)

    app.registry.register_task("settle", settle)
    with app.running():
        task = a_task(task_name="settle", payload={}, task_id="settlement of Monday")
        first = await app.executor.execute_task(task)
        second = await app.executor.execute_task(task)

    assert first == second
    assert calls == [1]


@in_loop
async def test_execute_task_of_a_scheduled_run_brings_it_forward(app: App) -> None:
    run_id = await app.scheduler.schedule_task("double", {"x": 5}, START + timedelta(days=1))
    [task] = app.scheduler.scheduled_tasks
    with app.running():
        result = await app.executor.execute_task(task)

    assert (result["task_id"], result["result"]) == (run_id, 10)
    assert [run.id for run in app.list_runs()] == [run_id]


@in_loop
async def test_execute_task_that_fails_answers_with_the_error(app: App) -> None:
    def fail(payload: dict[str, Any]) -> None:
        raise ValueError("no price for AAPL")

    app.registry.register_task("fail", fail, retry_count=0)
    with app.running():
        result = await app.executor.execute_task(a_task(task_name="fail", task_id="f1"))

    assert (result["task_id"], result["status"]) == ("f1", "failed")
    assert result["error"] == "no price for AAPL"
    assert "result" not in result
    assert result["completed_at"] == app.get_run("f1").finished_at


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"task_name": "duoble"}, "unknown task 'duoble': did you mean 'double'?"),
        ({"payload": {"x": object()}}, "cannot be written as JSON"),
        ({"priority": 12}, "invalid priority 12"),
        ({"task_id": ""}, "invalid task_id ''"),
    ],
)
@in_loop
async def test_execute_task_that_is_refused_answers_as_failed_and_stores_nothing(
    app: App, changes: dict[str, Any], error: str
) -> None:
    with app.running():
        result = await app.executor.execute_task(a_task(**changes))

    assert result["status"] == "failed"
    assert error in result["error"]
    assert app.list_runs() == []


@in_loop
async def test_execute_task_without_any_worker_says_so(app: App) -> None:
    with pytest.raises(AppNotRunning, match="needs a running app"):
        await app.executor.execute_task(a_task())
    assert app.list_runs() == []


@in_loop
async def test_execute_batch_answers_in_order_and_runs_side_by_side(app: App) -> None:
    """Two that wait for each other can both end only when they run at once."""
    met = asyncio.Event()
    arrived: list[int] = []

    async def meet(payload: dict[str, Any]) -> int:
        arrived.append(payload["n"])
        if len(arrived) == 2:
            met.set()
        await asyncio.wait_for(met.wait(), PATIENCE_S)
        return int(payload["n"])

    app.registry.register_task("meet", meet)
    tasks = [a_task(task_name="meet", payload={"n": n}) for n in range(2)]
    with app.running():
        results = await app.executor.execute_batch([*tasks, a_task(task_name="unknown")])

    assert [result["status"] for result in results] == ["success", "success", "failed"]
    assert [result["result"] for result in results[:2]] == [0, 1]
    assert await app.executor.execute_batch([]) == []


@in_loop
async def test_running_task_is_listed_and_cancelled_by_the_executor(app: App) -> None:
    started = asyncio.Event()
    loop = asyncio.get_running_loop()

    async def endless(payload: dict[str, Any]) -> None:
        loop.call_soon_threadsafe(started.set)
        await asyncio.Event().wait()

    app.registry.register_task("endless", endless)
    with app.running():
        assert app.executor.get_running_tasks() == {}
        run_id = await app.scheduler.schedule_task("endless", {})
        await asyncio.wait_for(started.wait(), PATIENCE_S)
        running = app.executor.get_running_tasks()
        cancelled = app.executor.cancel_task(run_id)
        run = await asyncio.to_thread(ended, app, run_id)

        assert running == {
            run_id: {
                "task_id": run_id,
                "task_name": "endless",
                "status": "running",
                "priority": 5,
                "started_at": run.started_at,
                "timestamp": run.started_at,
                "execution_time": 0.0,
            }
        }
        assert cancelled is True
        assert run.state == "cancelled"
        assert app.executor.cancel_task(run_id) is False
        assert app.executor.get_running_tasks() == {}


def test_executor_cancel_of_what_does_not_run_is_false(app: App) -> None:
    run_id = app.scheduler.schedule_task("double", {"x": 1})

    assert app.executor.cancel_task(run_id) is False
    assert app.executor.cancel_task("no such id") is False
    assert app.get_run(run_id).state == "pending"


@in_loop
async def test_declared_timeout_is_enforced(store_address: str) -> None:
    """The document declares timeouts and never looks at them."""
    app = make_app(store_address)

    async def hang(payload: dict[str, Any]) -> None:
        await asyncio.Event().wait()

    app.registry.register_task("hang", hang, timeout=0.2, retry_count=0)
    with app.running():
        result = await app.executor.execute_task(a_task(task_name="hang", payload={}))

    assert result["status"] == "failed"
    assert "exceeded its timeout of 0.2 s" in result["error"]


@in_loop
async def test_execute_task_waits_for_a_run_that_runs_already(app: App) -> None:
    gate = Gate()

    def wait(payload: dict[str, Any]) -> str:
        gate.pass_through()
        return "done"

    app.registry.register_task("wait", wait)
    with app.running():
        run_id = await app.scheduler.schedule_task("wait", {})
        await asyncio.to_thread(gate.wait_arrival)
        answer = asyncio.create_task(
            app.executor.execute_task(a_task(task_name="wait", task_id=run_id))
        )
        gate.open()
        result = await asyncio.wait_for(answer, PATIENCE_S)

    assert (result["status"], result["result"]) == ("success", "done")
    assert app.get_run(run_id).attempt == 1
