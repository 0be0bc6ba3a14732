"""What a user does with runs, on both stores: submit, wait, cancel, explain, retry, steer, listen."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from closingbell import Cancel, RunHandle, Skip, Snooze
from closingbell.app import App
from closingbell.core.error import (
    InvalidTransition,
    RunCancelled,
    RunNotFinished,
    TaskFailed,
    UnknownRun,
)
from closingbell.core.retry import RetryPolicy
from tests.acceptance.desk import (
    PATIENCE_S,
    START,
    Gate,
    StandingClock,
    ended,
    eventually,
    in_loop,
    make_app,
    reached,
)

NOW = RetryPolicy(retries=3, initial_delay=timedelta(0))


@pytest.fixture
def clock() -> StandingClock:
    return StandingClock(START)


@pytest.fixture
def app(store_address: str, clock: StandingClock) -> Iterator[App]:
    app = make_app(store_address, clock, thread_slots=2)

    @app.task(tags=["desk"])
    def add(a: int, b: int = 2) -> int:
        return a + b

    yield app
    app.stop(0)


# --- submit and result ----------------------------------------------------------------------


def test_submit_gives_a_handle_to_the_stored_run_and_its_result(app: App) -> None:
    with app.running():
        handle = app.submit("add", {"a": 1}, priority=3, tags=["mine"])
        result = handle.result(PATIENCE_S)
    run = app.get_run(handle.id)

    assert result == 3
    assert (run.state, run.result, run.attempt, run.max_attempts) == ("success", 3, 1, 4)
    assert (run.priority, run.tags, run.payload, run.cause) == (
        3,
        ("desk", "mine"),
        {"a": 1},
        "submit",
    )
    assert (run.submitted_at, run.due_at) == (START, START)
    [attempt] = run.attempts
    assert (attempt.number, attempt.outcome, attempt.fence) == (1, "returned", run.fence)
    assert handle.status == "success"


def test_submit_before_start_runs_after_start(app: App) -> None:
    handle = app.submit("add", {"a": 1})
    with pytest.raises(RunNotFinished, match="still pending"):
        handle.result(timeout=0.01)
    with app.running():
        assert handle.result(PATIENCE_S) == 3


def test_submit_names_a_task_by_name_by_function_and_by_object(app: App) -> None:
    @app.task
    def sub(a: int) -> int:
        return -a

    with app.running():
        assert [app.submit(t, {"a": 1}).result(PATIENCE_S) for t in ("sub", sub)] == [-1, -1]


@pytest.mark.parametrize(
    "when",
    [
        {"delay": 60},
        {"delay": "1m"},
        {"delay": timedelta(minutes=1)},
        {"at": START + timedelta(minutes=1)},
        {"at": "2026-03-02T14:31"},
        {"at": "2026-03-02T15:31+01:00"},
        {"at": datetime.fromisoformat("2026-03-02T14:31")},
    ],
)
def test_submit_for_later_waits_for_its_instant(
    sqlite_address: str, clock: StandingClock, when: dict[str, Any]
) -> None:
    app = make_app(sqlite_address, clock)
    app.task(name="later")(lambda payload: "done")
    with app.running():
        handle = app.submit("later", **when)
        assert handle.status == "scheduled"
        clock.advance(timedelta(seconds=59))
        assert handle.status == "scheduled"
        clock.advance(timedelta(seconds=1))
        assert handle.result(PATIENCE_S) == "done"
    assert handle.run.started_at == START + timedelta(minutes=1)


def test_submit_with_a_key_that_is_taken_makes_no_second_run(app: App) -> None:
    first = app.submit("add", {"a": 1}, key="settlement 2026-03-02")
    second = app.submit("add", {"a": 5}, key="settlement 2026-03-02")
    other = app.submit("add", {"a": 5}, key="settlement 2026-03-03")
    with app.running():
        results = [handle.result(PATIENCE_S) for handle in (first, second, other)]

    assert second == first
    assert other != first
    assert results == [3, 3, 7]
    assert len(app.list_runs()) == 2


def test_submit_many_stores_all_in_order_and_pages_list_them(app: App) -> None:
    ids = app.submit_many("add", [{"a": n} for n in range(25)], priority=7)
    with app.running():
        results = [app.handle(run_id).result(PATIENCE_S) for run_id in ids]
    pages: list[str] = []
    before: str | None = None
    while page := app.list_runs(before=before, limit=10):
        pages += [run.id for run in page]
        before = page[-1].id

    assert results == [n + 2 for n in range(25)]
    assert pages == ids[::-1]
    assert app.submit_many("add", []) == []


def test_runs_start_by_priority_then_by_age(app: App) -> None:
    order: list[str] = []
    app.task(name="note", max_concurrent=1)(lambda payload: order.append(payload["n"]))
    for n, priority in [("e", 9), ("c", 5), ("a", 1), ("d", 5), ("b", 2)]:
        app.submit("note", {"n": n}, priority=priority)
    with app.running():
        for run in app.list_runs():
            ended(app, run.id)

    assert order == ["a", "b", "c", "d", "e"]


# --- failing and retrying -------------------------------------------------------------------


def test_failure_is_retried_by_policy_and_each_attempt_is_kept(app: App) -> None:
    tries: list[int] = []

    @app.task(retries=NOW)
    def flaky(context: Any) -> str:
        tries.append(context.attempt)
        if context.attempt < 3:
            raise ConnectionError(f"try {context.attempt}")
        return "at last"

    with app.running():
        handle = app.submit(flaky)
        result = handle.result(PATIENCE_S)
    run = handle.run

    assert (result, tries) == ("at last", [1, 2, 3])
    assert [(a.number, a.outcome) for a in run.attempts] == [
        (1, "raised"), (2, "raised"), (3, "returned"),
    ]  # fmt: skip
    assert [a.error and a.error["message"] for a in run.attempts] == ["try 1", "try 2", None]
    assert [a.fence for a in run.attempts] == sorted({a.fence for a in run.attempts})


def test_failure_that_ends_a_run_raises_with_its_story(app: App) -> None:
    @app.task(retries=0)
    def broken() -> None:
        raise ZeroDivisionError("no volume")

    with app.running():
        handle = app.submit(broken)
        with pytest.raises(TaskFailed, match="ZeroDivisionError: no volume") as failed:
            handle.result(PATIENCE_S)
        explained = handle.explain()
        status = app.get_task_status()["broken"]

    assert "raise ZeroDivisionError" in failed.value.error["traceback"]
    assert "no volume" in explained
    assert (status["last_status"], status["last_error"]) == (
        "failed", "ZeroDivisionError: no volume",
    )  # fmt: skip
    assert status["last_success"] is None


def test_error_that_is_not_worth_a_retry_fails_at_once(app: App) -> None:
    policy = RetryPolicy(retries=5, initial_delay=timedelta(0), give_up_on=("LookupError",))

    @app.task(retries=policy)
    def strict() -> None:
        raise KeyError("no such account")

    with app.running():
        run = ended(app, app.submit(strict).id)

    assert (run.state, run.attempt) == ("failed", 1)
    assert run.reason is not None
    assert "not retryable" in run.reason


def test_retry_lets_an_ended_run_run_again_and_keeps_its_attempts(app: App) -> None:
    healthy: list[bool] = []

    @app.task(retries=0)
    def heals() -> str:
        if not healthy:
            raise ValueError("ill")
        return "well"

    with app.running():
        handle = app.submit(heals)
        ended(app, handle.id)
        healthy.append(True)
        again = app.retry(handle.id)
        result = again.result(PATIENCE_S)

    assert again == handle
    assert result == "well"
    assert [a.outcome for a in handle.run.attempts] == ["raised", "returned"]
    assert app.get_task_status()["heals"]["last_error"] is None


def test_retry_of_a_waiting_run_is_refused(app: App) -> None:
    handle = app.submit("add", {"a": 1})

    with pytest.raises(InvalidTransition, match="pending"):
        app.retry(handle.id)


# --- steering from inside -------------------------------------------------------------------


def test_skip_returned_ends_the_run_as_skipped(app: App) -> None:
    app.task(name="holiday")(lambda: Skip("exchange closed"))
    with app.running():
        handle = app.submit("holiday")
        with pytest.raises(RunCancelled, match="exchange closed"):
            handle.result(PATIENCE_S)

    assert (handle.run.state, handle.run.reason) == ("skipped", "exchange closed")


def test_cancel_returned_ends_the_run_without_retries(app: App) -> None:
    app.task(name="gives_up", retries=NOW)(lambda: Cancel("account closed"))
    with app.running():
        run = ended(app, app.submit("gives_up").id)

    assert (run.state, run.reason, run.attempt) == ("cancelled", "account closed", 1)


def test_snooze_returned_runs_again_later_and_counts_no_attempt(
    app: App, clock: StandingClock
) -> None:
    answers: list[Any] = [Snooze("5m", "no file yet"), Snooze(60), "done"]

    @app.task(retries=0)
    def waits(context: Any) -> Any:
        assert context.attempt == 1
        return answers.pop(0)

    with app.running():
        handle = app.submit(waits)
        first = reached(app, handle.id, lambda run: run.state == "scheduled")
        explained = handle.explain()
        clock.advance(timedelta(minutes=5))
        second = reached(
            app, handle.id, lambda run: run.state == "scheduled" and run.due_at > first.due_at
        )
        clock.advance(timedelta(minutes=1))
        result = handle.result(PATIENCE_S)

    assert first.due_at == START + timedelta(minutes=5)
    assert "no file yet" in explained
    assert second.due_at == START + timedelta(minutes=6)
    assert result == "done"
    assert [a.outcome for a in handle.run.attempts] == ["snoozed", "snoozed", "returned"]
    assert handle.run.attempt == 1


# --- cancelling from outside ----------------------------------------------------------------


def test_cancel_of_a_waiting_run_ends_it_at_once(app: App) -> None:
    handle = app.submit("add", {"a": 1}, delay="1h")

    assert handle.cancel("changed my mind") == "cancelled"
    assert (handle.run.state, handle.run.reason) == ("cancelled", "changed my mind")
    with pytest.raises(RunCancelled, match="changed my mind"):
        handle.result(PATIENCE_S)
    with pytest.raises(InvalidTransition):
        handle.cancel()
    with app.running():
        assert app.submit("add", {"a": 1}).result(PATIENCE_S) == 3
    assert handle.run.attempt == 0


def test_cancel_of_a_running_coroutine_stops_it(app: App) -> None:
    gate = Gate()
    stopped: list[str] = []

    @app.task
    async def endless() -> None:
        gate.arrive()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            stopped.append("yes")
            raise

    with app.running():
        handle = app.submit(endless)
        gate.wait_arrival()
        asked = handle.cancel("stop the desk")
        run = ended(app, handle.id)

    assert asked == "running"
    assert (run.state, run.reason, stopped) == ("cancelled", "stop the desk", ["yes"])


def test_cancel_of_a_running_thread_is_told_to_its_context(app: App) -> None:
    gate = Gate()

    @app.task
    def loops(context: Any) -> str:
        gate.arrive()
        assert context.wait_cancelled(PATIENCE_S)
        return f"stopped: {context.cancel_reason}"

    with app.running():
        handle = app.submit(loops)
        gate.wait_arrival()
        handle.cancel("enough")
        run = ended(app, handle.id)

    # A thread cannot be stopped: it was told, ended by itself, and its run says cancelled.
    assert run.state in ("cancelled", "success")
    assert run.attempt == 1


# --- why is it not running -------------------------------------------------------------------


def test_explain_says_why_a_run_waits(app: App, clock: StandingClock) -> None:
    gate = Gate()

    @app.task(max_concurrent=1)
    def one_at_a_time() -> None:
        gate.pass_through()

    late = app.submit("add", {"a": 1}, delay="1h")
    nobody = app.submit("add", {"a": 1}).explain()
    with app.running():
        app.submit(one_at_a_time)
        gate.wait_arrival()
        blocked = app.submit(one_at_a_time).explain()
        gate.open()
        done = app.submit("add", {"a": 1})
        done.result(PATIENCE_S)

    assert "no worker is alive" in nobody
    assert "due at 2026-03-02T15:30:00" in late.explain()
    assert "task:one_at_a_time" in blocked
    assert "1 of 1" in blocked
    assert done.explain().startswith("ended successfully")


# --- events -----------------------------------------------------------------------------------


def test_event_starts_the_tasks_whose_condition_holds(app: App) -> None:
    @app.task(on_event="price", where="change < -0.05 and symbol in ('AAPL', 'IBM')")
    def alarm(symbol: str, change: float) -> str:
        return f"{symbol} {change}"

    @app.task(on_event=["price", "volume"])
    def note(payload: dict[str, Any]) -> dict[str, Any]:
        return payload

    with app.running():
        crash = app.trigger_event("price", {"symbol": "AAPL", "change": -0.2, "venue": "XNAS"})
        calm = app.trigger_event("price", {"symbol": "AAPL", "change": 0.1})
        volume = app.trigger_event("volume", {"symbol": "IBM"})
        nothing = app.trigger_event("weather")
        runs = [ended(app, run_id) for run_id in (*crash, *calm, *volume)]

    assert sorted(run.task for run in runs) == ["alarm", "note", "note", "note"]
    [alarmed] = [run for run in runs if run.task == "alarm"]
    # The field that the handler does not take is left out for it.
    assert (alarmed.result, alarmed.cause) == ("AAPL -0.2", "event")
    assert nothing == []
    assert [event["runs"] for event in app.store.events.recent("price")] in ([2, 1], [1, 2])


def test_on_listens_beside_what_the_task_declares(app: App) -> None:
    trigger_id = app.on("fill", "add", where="qty > 10", payload={"a": 1}, priority=2)
    assert app.trigger_event("fill", {"qty": 5}) == []
    [run_id] = app.trigger_event("fill", {"qty": 50, "b": 7})
    run = app.get_run(run_id)

    assert (run.payload, run.priority) == ({"a": 1, "b": 7}, 2)
    assert app.on("fill", "add", where="qty > 10", payload={"a": 1}, priority=2) == trigger_id
    assert len(app.store.events.triggers("fill")) == 1


# --- what a run prints --------------------------------------------------------------------------


def test_output_of_each_attempt_is_kept_with_its_run(app: App) -> None:
    @app.task(retries=NOW)
    def talks(context: Any) -> None:
        print(f"attempt {context.attempt}")
        print("to stderr", file=sys.stderr)
        logging.getLogger("desk").warning("a warning")
        context.log.info("with the run")
        if context.attempt == 1:
            raise ValueError

    with app.running():
        handle = app.submit(talks)
        handle.result(PATIENCE_S)
    lines = app.store.runs.logs(handle.id)
    text = {
        fence: "".join(line["text"] for line in lines if line["fence"] == fence)
        for fence in {line["fence"] for line in lines}
    }

    assert [("attempt 1" in said, "attempt 2" in said) for _, said in sorted(text.items())] == [
        (True, False), (False, True),
    ]  # fmt: skip
    for said in text.values():
        assert "to stderr" in said
        assert "a warning" in said
        assert "with the run" in said


# --- stopping -----------------------------------------------------------------------------------


def test_stop_lets_what_runs_finish_and_gives_back_the_rest_untouched(app: App) -> None:
    gate = Gate()

    @app.task
    def slow() -> str:
        gate.pass_through()
        return "finished"

    app.start(block=False)
    handles = [app.submit(slow) for _ in range(4)]
    for _ in range(2):
        gate.wait_arrival()
    gate.open()
    app.stop(grace_s=PATIENCE_S)
    states = [handle.run.state.value for handle in handles]
    waiting = [handle.run for handle in handles if handle.run.state == "pending"]
    with app.running():
        results = [handle.result(PATIENCE_S) for handle in handles]

    assert states[:2] == ["success", "success"]
    assert set(states[2:]) <= {"success", "pending"}
    assert all(run.attempt == 0 for run in waiting)
    assert results == ["finished"] * 4
    assert [handle.run.attempt for handle in handles] == [1] * 4


def test_stop_without_grace_gives_a_coroutine_back_for_the_next_start(app: App) -> None:
    gate = Gate()
    starts: list[int] = []

    @app.task(retries=0)
    async def twice(context: Any) -> str:
        starts.append(context.attempt)
        if len(starts) == 1:
            gate.arrive()
            await asyncio.Event().wait()
        return "second time"

    app.start(block=False)
    handle = app.submit(twice)
    gate.wait_arrival()
    app.stop(grace_s=0)
    stopped = handle.run
    with app.running():
        result = handle.result(PATIENCE_S)

    assert stopped.state == "pending"
    assert result == "second time"
    # Giving back restores the number: the first attempt was not its fault.
    assert starts == [1, 1]


def test_run_of_a_worker_that_died_is_rescued_and_parked_after_too_many(
    store_address: str,
) -> None:
    """Three workers in a row that are declared dead while they hold the run."""
    app = make_app(store_address, lease_s=2.0, poison_after=2)
    gate = Gate()

    @app.task(retries=RetryPolicy(retries=10, initial_delay=timedelta(0)))
    async def poison() -> None:
        gate.arrive()
        await asyncio.Event().wait()

    with app.running():
        handle = app.submit(poison)
        for _ in range(2):
            gate.wait_arrival()
            eventually(lambda: _kill_worker(app, handle.id), "the run held by a worker")
        run = ended(app, handle.id)
        alerts = app.monitor.get_alerts("poison_run")

    assert run.state == "failed"
    assert run.reason is not None
    assert "parked" in run.reason
    assert [attempt.outcome for attempt in run.attempts] == ["lost", "lost"]
    assert [alert["task_id"] for alert in alerts] == [handle.id]


def _kill_worker(app: App, run_id: str) -> bool:
    """Declare the worker that holds the run dead, as another one does when its lease ends."""
    from sqlalchemy import update

    from closingbell.store.schema import workers

    run = app.get_run(run_id)
    if run.state != "running":
        return False
    with app.store.database.writing() as connection:
        done = connection.execute(
            update(workers)
            .where(workers.c.id == run.worker_id, workers.c.state == "alive")
            .values(state="dead", stopped_at=0)
        )
        return bool(done.rowcount)


# --- the async face -------------------------------------------------------------------------------


@in_loop
async def test_async_face_does_what_the_sync_one_does(store_address: str) -> None:
    app = make_app(store_address)
    app.task(name="add")(lambda payload: payload["a"] + 1)
    app.task(name="hears", on_event="tick")(lambda payload: payload)
    async with app.aio.running() as desk:
        handle = await desk.submit("add", {"a": 1})
        results = [await handle, await desk.result(handle.id, PATIENCE_S)]
        ids = await desk.submit_many("add", [{"a": n} for n in range(3)])
        many = await asyncio.gather(*(desk.result(one, PATIENCE_S) for one in ids))
        [heard] = await desk.trigger_event("tick", {"x": 1})
        later = await desk.submit("add", {"a": 1}, delay="1h")
        state = await desk.cancel(later.id, "no")
        explained = await desk.explain(later.id)
        again = await desk.retry(later.id)
        retried = await again
        status = await desk.get_task_status()
        run = await desk.get_run(heard)
        listed = await desk.list_runs(task="add", limit=2)

    assert isinstance(handle, RunHandle)
    assert (results, many) == ([2, 2], [1, 2, 3])
    assert (state, explained, retried) == ("cancelled", "cancelled: no", 2)
    assert run.task == "hears"
    assert len(listed) == 2
    assert set(status) == {"add", "hears"}
    assert app.is_running is False


@in_loop
async def test_waiting_for_many_results_does_not_block_the_loop(store_address: str) -> None:
    """More waiters than the loop's default threads, all of them waiting for one gate."""
    app = make_app(store_address)
    opened = threading.Event()

    @app.task
    async def waits(n: int) -> int:
        await asyncio.to_thread(opened.wait, PATIENCE_S)
        return n

    async with app.aio.running() as desk:
        handles = [await desk.submit(waits, {"n": n}) for n in range(40)]
        waiting = [asyncio.create_task(_result(handle)) for handle in handles]
        await asyncio.sleep(0.1)
        # The loop's own threads must still be there for other calls.
        await asyncio.wait_for(desk.get_task_status(), PATIENCE_S)
        opened.set()
        results = await asyncio.wait_for(asyncio.gather(*waiting), PATIENCE_S)

    assert results == list(range(40))


async def _result(handle: RunHandle) -> Any:
    return await handle


# --- asking -----------------------------------------------------------------------------------------


def test_unknown_run_says_so(app: App) -> None:
    for ask in (app.get_run, app.cancel, app.retry):
        with pytest.raises(UnknownRun, match="never submitted"):
            ask("0" * 32)
