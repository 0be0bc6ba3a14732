"""The scheduler-centre document's retry controller: retries keep their payload, their id, and end."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from closingbell.app import App
from closingbell.centre import ScheduledTask
from closingbell.core.error import ClosingbellError, PolicyError, TriggerError, UnknownTask
from closingbell.core.run import Run
from tests.acceptance.desk import (
    START,
    StandingClock,
    ended,
    eventually,
    in_loop,
    make_app,
    reached,
)


@pytest.fixture
def clock() -> StandingClock:
    return StandingClock(START)


@pytest.fixture
def app(store_address: str, clock: StandingClock) -> Iterator[App]:
    app = make_app(store_address, clock)
    app.registry.register_task("sync", fail, retry_count=0)
    yield app
    app.stop(0)


def fail(payload: dict[str, Any]) -> None:
    raise ConnectionError(f"vendor {payload.get('vendor')} is down")


def waits(app: App, run_id: str, attempt: int) -> Run:
    """The run once its attempt has ended and it waits for the next."""
    return reached(app, run_id, lambda run: run.state == "scheduled" and run.attempt == attempt)


# --- policies -------------------------------------------------------------------------------


def test_set_retry_policy_leads_over_the_tasks_own_and_backs_off_exactly(
    app: App, clock: StandingClock
) -> None:
    """60 s, 120 s, then it has failed for good: the document's retries never end."""
    app.retry_controller.set_retry_policy("sync", max_retries=2)
    with app.running():
        run_id = app.scheduler.schedule_task("sync", {"vendor": "A"})
        first = waits(app, run_id, 1)
        clock.advance(timedelta(seconds=60))
        second = waits(app, run_id, 2)
        clock.advance(timedelta(seconds=120))
        last = ended(app, run_id)

    assert first.due_at - START == timedelta(seconds=60)
    assert second.due_at - START == timedelta(seconds=180)
    assert (last.id, last.state, last.attempt) == (run_id, "failed", 3)
    assert last.payload == {"vendor": "A"}
    assert [attempt.outcome for attempt in last.attempts] == ["raised"] * 3
    assert len(app.list_runs()) == 1


def test_set_retry_policy_survives_a_restart(store_address: str) -> None:
    """It is stored: an app that is made anew retries by it."""
    before = make_app(store_address, StandingClock(START))
    before.registry.register_task("sync", fail, retry_count=0)
    before.retry_controller.set_retry_policy("sync", 1, 1.0, 5)
    before.stop()
    clock = StandingClock(START)
    after = make_app(store_address, clock)
    after.registry.register_task("sync", fail, retry_count=0)
    policy = after.store.policies.all()["sync"]
    with after.running():
        run = waits(after, after.submit("sync").id, 1)

    assert (policy.retries, policy.backoff_factor, policy.jitter) == (1, 1.0, False)
    assert run.due_at - START == timedelta(seconds=5)


def test_set_retry_policy_of_another_process_is_noticed(
    store_address: str, app: App, clock: StandingClock
) -> None:
    other = make_app(store_address, clock)
    other.registry.register_task("sync", fail)
    with app.running():
        other.retry_controller.set_retry_policy("sync", 1, 1.0, 5)
        clock.advance(timedelta(seconds=10))
        eventually(lambda: app.machinery._runtime and app.machinery._runtime._attempts.policies)
        run = waits(app, app.submit("sync").id, 1)
    other.stop()

    assert run.due_at - clock.now() == timedelta(seconds=5)


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"task_name": "snyc"}, UnknownTask),
        ({"max_retries": -1}, PolicyError),
        ({"max_retries": True}, PolicyError),
        ({"max_retries": 2.5}, PolicyError),
        ({"backoff_factor": 0.5}, PolicyError),
        ({"backoff_factor": "2"}, PolicyError),
        ({"backoff_factor": float("nan")}, PolicyError),
        ({"backoff_factor": float("inf")}, PolicyError),
        ({"initial_delay": -1}, TriggerError),
        ({"initial_delay": "soon"}, TriggerError),
    ],
)
def test_set_retry_policy_that_is_impossible_is_refused(
    sqlite_address: str, given: dict[str, Any], error: type[ClosingbellError]
) -> None:
    app = make_app(sqlite_address)
    app.registry.register_task("sync", fail)
    with pytest.raises(error):
        app.retry_controller.set_retry_policy(**{"task_name": "sync", **given})
    assert app.store.policies.all() == {}
    app.stop()


# --- handle_failed_task -----------------------------------------------------------------------


@in_loop
async def test_handle_failed_task_is_true_while_the_engine_retries_by_itself(app: App) -> None:
    app.retry_controller.set_retry_policy("sync", max_retries=1)
    task = ScheduledTask("sync", {"vendor": "A"}, START, task_id="r1")
    with app.running():
        result = await app.executor.execute_task(task)
        answers = [await app.retry_controller.handle_failed_task(result) for _ in range(3)]
    run = app.get_run("r1")

    assert result["status"] == "failed"
    assert answers == [True, True, True]
    assert (run.state, run.attempt) == ("scheduled", 1)
    assert len(app.list_runs()) == 1


@in_loop
async def test_handle_failed_task_is_false_when_the_policy_is_used_up(app: App) -> None:
    with app.running():
        result = await app.executor.execute_task(ScheduledTask("sync", {}, START, task_id="r1"))
        answer = await app.retry_controller.handle_failed_task(result)

    assert answer is False
    assert app.get_run("r1").state == "failed"


@in_loop
async def test_handle_failed_task_retries_under_a_policy_that_was_widened_since(
    app: App, clock: StandingClock
) -> None:
    """The same run again, with its payload, until the wider policy is used up too."""
    with app.running():
        task = ScheduledTask("sync", {"vendor": "A"}, START, task_id="r1")
        result = await app.executor.execute_task(task)
        app.retry_controller.set_retry_policy("sync", 2, 3.0, 10)
        answer = await app.retry_controller.handle_failed_task(result)
        waiting = app.get_run("r1")
        clock.advance(timedelta(seconds=10))
        again = waits(app, "r1", 2)
        clock.advance(timedelta(seconds=30))
        last = ended(app, "r1")
        final = await app.retry_controller.handle_failed_task(result)

    assert answer is True
    assert (waiting.state, waiting.due_at - START) == ("scheduled", timedelta(seconds=10))
    assert again.due_at - START == timedelta(seconds=40)
    assert (last.state, last.attempt, last.payload) == ("failed", 3, {"vendor": "A"})
    assert [attempt.number for attempt in last.attempts] == [1, 2, 3]
    assert final is False


@in_loop
async def test_handle_failed_task_from_elsewhere_is_retried_here_and_ends(
    app: App, clock: StandingClock
) -> None:
    app.registry.register_task("flaky", fail, retry_count=2)
    app.retry_controller.set_retry_policy("flaky", 2, 2.0, 60)
    result = {
        "task_id": "elsewhere_1",
        "task_name": "flaky",
        "payload": {"vendor": "B"},
        "error": "boom",
    }
    answer = await app.retry_controller.handle_failed_task(result)
    failed = app.retry_controller.get_failed_tasks()
    with app.running():
        for seconds in (60, 120):
            clock.advance(timedelta(seconds=seconds))
            if seconds == 60:
                waits(app, "elsewhere_1", 2)
        last = ended(app, "elsewhere_1")
    final = await app.retry_controller.handle_failed_task(result)

    assert answer is True
    assert failed == {
        "elsewhere_1": {
            "task_id": "elsewhere_1",
            "task_name": "flaky",
            "priority": 5,
            "retry_count": 1,
            "last_failure": START,
            "timestamp": START,
            "execution_time": None,
            "error": "boom",
            "status": "retrying",
        }
    }
    assert (last.state, last.attempt, last.payload) == ("failed", 3, {"vendor": "B"})
    assert last.error is not None
    assert last.error["message"] == "vendor B is down"
    assert final is False
    assert len(app.list_runs()) == 1


@in_loop
async def test_handle_failed_task_of_a_success_or_a_cancelled_run_is_false(app: App) -> None:
    app.registry.register_task("fine", lambda payload: 1)
    with app.running():
        done = await app.executor.execute_task(ScheduledTask("fine", {}, START))
    cancelled = app.scheduler.schedule_task("fine", {}, START + timedelta(days=1))
    app.scheduler.cancel_task(cancelled)

    assert await app.retry_controller.handle_failed_task(done) is False
    assert await app.retry_controller.handle_failed_task({"task_id": str(cancelled)}) is False


@in_loop
async def test_handle_failed_task_of_an_unknown_task_is_refused_and_not_stored(app: App) -> None:
    with pytest.raises(UnknownTask, match="did you mean 'sync'"):
        await app.retry_controller.handle_failed_task({"task_id": "a", "task_name": "snyc"})
    with pytest.raises(UnknownTask):
        await app.retry_controller.handle_failed_task({"task_id": "a"})
    assert app.list_runs() == []


# --- the list of failures -----------------------------------------------------------------------


@in_loop
async def test_failed_tasks_are_listed_until_they_are_cleared_or_succeed(
    app: App, clock: StandingClock
) -> None:
    healthy: list[bool] = []

    def heals(payload: dict[str, Any]) -> str:
        if not healthy:
            raise ConnectionError("not yet")
        return "fine"

    app.registry.register_task("heals", heals)
    app.retry_controller.set_retry_policy("heals", 3, 1.0, 60)
    controller = app.retry_controller
    with app.running():
        await app.executor.execute_task(
            ScheduledTask("sync", {"vendor": "A"}, START, task_id="bad")
        )
        await app.executor.execute_task(ScheduledTask("heals", {}, START, task_id="sick"))
        listed = controller.get_failed_tasks()
        healthy.append(True)
        clock.advance(timedelta(seconds=60))
        ended(app, "sick")
        after_success = controller.get_failed_tasks()
        cleared = [controller.clear_failed_task(one) for one in ("bad", "bad", "sick", "none")]
        after_clearing = controller.get_failed_tasks()
        clock.advance(timedelta(seconds=1))
        app.retry("bad")
        ended(app, "bad")
        after_new_failure = controller.get_failed_tasks()

    assert listed == {
        "bad": {
            "task_id": "bad",
            "task_name": "sync",
            "priority": 5,
            "retry_count": 0,
            "last_failure": listed["bad"]["last_failure"],
            "timestamp": listed["bad"]["last_failure"],
            "execution_time": 0.0,
            "error": "vendor A is down",
            "status": "permanently_failed",
        },
        "sick": {
            "task_id": "sick",
            "task_name": "heals",
            "priority": 5,
            "retry_count": 1,
            "last_failure": listed["sick"]["last_failure"],
            "timestamp": listed["sick"]["last_failure"],
            "execution_time": None,
            "error": "not yet",
            "status": "retrying",
        },
    }
    assert list(after_success) == ["bad"]
    assert cleared == [True, False, False, False]
    assert after_clearing == {}
    assert list(after_new_failure) == ["bad"]
