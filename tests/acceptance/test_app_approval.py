"""Runs that two persons must agree on, in an app: every way that a run comes to be, and its release."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any

import pytest

from closingbell.app import App
from closingbell.core.actor import Actor, ActorKind, acting_as
from closingbell.core.error import ApprovalRefused, RunCancelled
from closingbell.submission import Options
from tests.acceptance.desk import START, StandingClock, ended, eventually, in_loop, make_app

MINUTE = timedelta(minutes=1)


@pytest.fixture
def clock() -> StandingClock:
    return StandingClock(START)


@pytest.fixture
def app(store_address: str, clock: StandingClock) -> Iterator[App]:
    app = make_app(store_address, clock)
    yield app
    app.stop(0)


def person(name: str) -> AbstractContextManager[Actor]:
    return acting_as(name, ActorKind.PERSON)


def declare(app: App) -> list[Any]:
    """A task that needs two persons, started by everything that starts one; what ran is noted."""
    ran: list[Any] = []

    @app.task(
        approval="two-person", interval="5m", on_event="breach", after="upstream", payload={"n": 0}
    )
    def liquidate(n: int = 0) -> int:
        ran.append(n)
        return n

    @app.task
    def upstream() -> None: ...

    return ran


def by_hand(app: App) -> list[str]:
    return [app.submit("liquidate", {"n": 1}).id]


def in_bulk(app: App) -> list[str]:
    return app.submit_many("liquidate", [{"n": n} for n in range(3)])


def later(app: App) -> list[str]:
    return [app.submit("liquidate", at=START + MINUTE).id]


def by_the_scheduler_centre(app: App) -> list[str]:
    return [str(app.scheduler.schedule_task("liquidate", {}))]


def by_event(app: App) -> list[str]:
    return app.trigger_event("breach", {"n": 2})


def in_a_transaction_of_the_caller(app: App) -> list[str]:
    with app.store.database.writing() as connection:
        return [app.submit("liquidate", connection=connection).id]


def in_a_batch(app: App) -> list[str]:
    task = app.registry.resolve("liquidate")
    batch = app.machinery.intake.submit_batch(task, [{"n": 1}, {"n": 2}], "month end")
    assert batch.size == 2
    return [run.id for run in app.list_runs(task="liquidate") if run.batch_id == batch.id]


@pytest.mark.parametrize(
    "submit",
    [
        by_hand,
        in_bulk,
        later,
        by_the_scheduler_centre,
        by_event,
        in_a_transaction_of_the_caller,
        in_a_batch,
    ],
    ids=lambda way: way.__name__,
)
def test_run_is_held_however_it_comes_to_be(
    app: App, clock: StandingClock, submit: Callable[[App], list[str]]
) -> None:
    ran = declare(app)
    with app.running(scheduler=False):
        held = submit(app)
        clock.advance(2 * MINUTE)
        plain = app.submit("upstream")
        assert ended(app, plain.id).state == "success"
        assert held
        for run_id in held:
            run = app.get_run(run_id)
            assert (run.state, run.hold) == ("scheduled", "approval")
        assert ran == []


def test_firings_and_dependents_are_held_and_the_next_firing_is_skipped_with_the_reason(
    app: App, clock: StandingClock
) -> None:
    ran = declare(app)
    with app.running():
        app.submit("upstream").result(timeout=10)
        dependent = eventually(lambda: app.list_runs(task="liquidate"), "a dependent run")
        assert [(run.cause, run.hold) for run in dependent] == [("after", "approval")]
        handle = app.store.schedules
        clock.advance(6 * MINUTE)
        eventually(lambda: len(app.list_runs(task="liquidate")) == 2, "a firing")
        fired = app.list_runs(task="liquidate")[0]
        assert (fired.cause, fired.hold) == ("schedule", "approval")
        clock.advance(5 * MINUTE)
        ticks = eventually(
            lambda: [t for t in handle.firings("liquidate") if t["outcome"] == "skipped"],
            "a skipped tick",
        )
        assert ticks[0]["reason"] == (f"overlap: run {fired.id} waits for approval (overlap: skip)")
        assert ran == []


def test_fact_of_the_ledger_starts_a_held_run(app: App) -> None:
    from closingbell.core.ledger import Fact

    declare(app)
    with app.store.database.writing() as connection:
        app.store.announcer.announce(connection, [Fact("breach", {"n": 7})])
    [run] = app.list_runs(task="liquidate")
    assert (run.hold, run.payload, run.requested_by) == ("approval", {"n": 7}, None)


def test_released_run_is_picked_up_at_once_by_a_waiting_worker(app: App) -> None:
    ran = declare(app)
    with app.running(scheduler=False):
        with person("ana"):
            handle = app.submit("liquidate", {"n": 5})
        assert handle.explain() == (
            "waits for a second person: asked for by ana; release it with "
            f"`closingbell run approve {handle.id}`"
        )
        with person("ben"):
            assert app.approve(handle.id, "checked").state == "released"
        assert handle.result(timeout=5) == 5
    assert ran == [5]
    run = app.get_run(handle.id)
    assert (run.requested_by, run.hold) == ("ana", None)


def test_release_by_another_process_wakes_the_worker(store_address: str) -> None:
    desk, other = make_app(store_address), make_app(store_address)
    declare(desk)
    try:
        with desk.running(scheduler=False):
            with person("ana"):
                handle = desk.submit("liquidate", {"n": 5})
            with person("ben"):
                other.approve(handle.id)
            assert handle.result(timeout=5) == 5
    finally:
        other.stop(0)


def test_run_that_is_due_later_runs_at_its_time_once_released(
    app: App, clock: StandingClock
) -> None:
    declare(app)
    with app.running(scheduler=False):
        handle = app.submit("liquidate", {"n": 5}, delay="10m")
        for name in ("ana", "ben"):
            with person(name):
                app.approve(handle.id)
        assert app.get_run(handle.id).state == "scheduled"
        clock.advance(11 * MINUTE)
        assert ended(app, handle.id).state == "success"


def test_explanation_says_who_released_it_so_far(app: App) -> None:
    declare(app)
    handle = app.submit("liquidate")
    assert handle.explain().startswith("waits for two persons: asked for by submit; ")
    with person("ana"):
        app.approve(handle.id)
    assert "a second person: asked for by submit, released by ana so far" in handle.explain()


def test_rejected_run_ends_the_wait_of_who_submitted_it(app: App) -> None:
    declare(app)
    with app.running(scheduler=False):
        handle = app.submit("liquidate")
        with person("ben"):
            app.reject(handle.id, "too large")
        with pytest.raises(RunCancelled, match="rejected by ben: too large"):
            handle.result(timeout=5)


def test_code_cannot_release_what_code_submitted(app: App) -> None:
    declare(app)
    handle = app.submit("liquidate")
    with pytest.raises(ApprovalRefused, match="no person"):
        app.approve(handle.id)
    with app.acting_as("ana"), pytest.raises(ApprovalRefused, match="no person"):
        app.approve(handle.id)


def test_held_run_cannot_be_run_now_and_a_retry_by_hand_asks_anew(app: App) -> None:
    declare(app)
    handle = app.submit("liquidate")
    with pytest.raises(ApprovalRefused):
        app.machinery.run_now(handle.id)
    with pytest.raises(ApprovalRefused):
        app.retry(handle.id)
    handle.cancel("not today")
    with person("ana"):
        app.retry(handle.id)
    [held] = app.approvals()
    assert (held.run.id, held.standing.asked_by, held.standing.needed) == (handle.id, "ana", 1)


def test_run_of_a_task_submitted_by_a_task_of_a_person_is_nobodys(app: App) -> None:
    declare(app)

    @app.task
    def planner() -> str:
        return app.submit("liquidate").id

    with app.running(scheduler=False):
        with person("ana"):
            planned = app.submit("planner")
        run_id = planned.result(timeout=10)
        assert app.get_run(planned.id).requested_by == "ana"
        assert app.get_run(run_id).requested_by is None
        assert app.approvals()[0].standing.needed == 2


def test_held_run_counts_in_no_queue_and_is_not_next(app: App) -> None:
    declare(app)
    app.submit("liquidate")
    assert app.scheduler.get_next_task() is None
    assert app.get_task_status()["liquidate"]["running"] == 0


@in_loop
async def test_async_code_releases_and_lists_too() -> None:
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        app = make_app(f"sqlite:///{Path(folder) / 'desk.db'}")
        declare(app)
        async with app.aio.running(scheduler=False):
            handle = await app.aio.submit("liquidate", {"n": 3})
            assert [one.run.id for one in await app.aio.approvals()] == [handle.id]
            with person("ana"):
                assert (await app.aio.approve(handle.id)).needed == 1
            with person("ben"):
                await app.aio.approve(handle.id, "fine")
            assert await handle == 3
            other = await app.aio.submit("liquidate")
            with person("ben"):
                assert (await app.aio.reject(other.id, "enough")).state == "rejected"


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (ActorKind.PERSON, "ana"),
        (ActorKind.API_TOKEN, "ana"),
        (ActorKind.COMMAND_LINE, "ana"),
        (ActorKind.APP_CODE, None),
        (ActorKind.SYSTEM, None),
    ],
    ids=str,
)
def test_run_tells_who_asked_for_it_at_a_door(app: App, kind: ActorKind, name: str | None) -> None:
    declare(app)
    task = app.registry.resolve("upstream")
    with acting_as("ana", kind):
        made = [app.submit("upstream").id, *app.submit_many("upstream", [{}, {}])]
        made.append(str(app.scheduler.schedule_task("upstream", {})))
        with app.store.database.writing() as connection:
            made.append(app.submit("upstream", connection=connection).id)
        batch = app.machinery.intake.submit_batch(task, [{}], "one", Options(delay="1m"))
        events = app.trigger_event("breach")
    assert [app.get_run(run_id).requested_by for run_id in made] == [name] * 5
    assert batch.requested_by == name
    assert {run.requested_by for run in app.list_runs() if run.batch_id} == {name}
    assert [app.get_run(run_id).requested_by for run_id in events] == [None]


def test_batch_with_one_payload_that_does_not_fit_stores_nothing(app: App) -> None:
    from closingbell.core.error import PayloadMismatch, SubmitError

    declare(app)
    task = app.registry.resolve("liquidate")
    intake = app.machinery.intake
    with pytest.raises(PayloadMismatch):
        intake.submit_batch(task, [{"n": 1}, {"n": "x"}], "month end")
    impossible: list[tuple[list[dict[str, Any]], str, Options]] = [
        ([], "empty", Options()),
        ([{}], "", Options()),
        ([{}], "keyed", Options(key="k")),
    ]
    for payloads, name, options in impossible:
        with pytest.raises(SubmitError):
            intake.submit_batch(task, payloads, name, options)
    assert app.list_runs() == []
    assert app.store.batches.page() == []


def test_batch_is_run_by_a_waiting_worker(app: App) -> None:
    @app.task
    def value(n: int) -> int:
        return n * 2

    with app.running(scheduler=False):
        task = app.registry.resolve("value")
        batch = app.machinery.intake.submit_batch(task, [{"n": n} for n in range(20)], "b")
        eventually(
            lambda: app.store.batches.progress(batch.id).counts["success"] == 20, "the batch's end"
        )


def test_backtest_holds_nothing(sqlite_address: str) -> None:
    app = make_app(sqlite_address)
    ran: list[Any] = []

    @app.task(approval="two-person", time="12:00")
    def liquidate() -> None:
        ran.append(1)

    bars = [
        {"time": f"2024-01-0{day}", "open": 1, "high": 1, "low": 1, "close": 1, "volume": 1}
        for day in (2, 3, 4)
    ]
    app.backtest("2024-01-02", "2024-01-04", {"AAPL": bars}, store=False)
    assert len(ran) == 3
