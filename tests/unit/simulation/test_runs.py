"""Runs in a simulation: retries, overlaps, limits, events, dependencies, submissions, as live."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

import pytest

from closingbell import Cancel, Skip, Snooze
from closingbell.core.context import Context
from closingbell.core.error import BacktestError, PayloadMismatch, SubmitError
from closingbell.core.retry import RetryPolicy
from closingbell.simulation.firing import FiringLine
from tests.unit.simulation.rig import START, Hand, Rig

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
NEVER_JITTER = RetryPolicy(retries=3, initial_delay=10 * SECOND, jitter=False)


def states(lines: Any, task: str) -> list[str]:
    return [line.state for line in lines if line.task == task]


# --- retries ---------------------------------------------------------------------------------


def test_retries_wait_in_simulated_time_with_the_tasks_own_backoff() -> None:
    rig = Rig()
    seen: list[tuple[int, timedelta]] = []

    @rig.app.task(interval="1h", retries=NEVER_JITTER)
    def fails(algorithm: Hand, context: Context) -> None:
        seen.append((context.attempt, algorithm.at))
        raise ValueError

    result = rig.run()

    assert seen == [(1, 0 * SECOND), (2, 10 * SECOND), (3, 30 * SECOND), (4, 70 * SECOND)]
    (line,) = result.firings
    assert (line.state, line.attempt, line.duration_s) == ("failed", 4, 70.0)
    assert len(result.failures) == 4
    assert result.failures[0].error is not None


def test_the_jitter_of_one_tasks_retries_does_not_move_anothers() -> None:
    def instants(noise: bool) -> list[timedelta]:
        rig = Rig(seed=7)
        seen: list[timedelta] = []

        def fails(algorithm: Hand) -> None:
            seen.append(algorithm.at)
            raise ValueError

        if noise:
            rig.app.registry.register_task("aaa", lambda: 1 / 0, interval="1m", retry_count=2)
        rig.app.registry.register_task("fails", fails, interval="5m", retry_count=3)
        rig.run()
        return seen

    assert instants(noise=False) == instants(noise=True)


def test_what_a_task_returns_steers_its_run() -> None:
    rig = Rig()
    snoozed: list[timedelta] = []

    def snoozes(algorithm: Hand, context: Context) -> Any:
        snoozed.append(algorithm.at)
        assert context.attempt == 1
        return Snooze("90s") if len(snoozed) == 1 else {"done": True}

    rig.app.registry.register_task("skips", lambda: Skip("holiday"), interval="1h")
    rig.app.registry.register_task("cancels", lambda: Cancel("no use"), interval="1h")
    rig.app.registry.register_task("snoozes", snoozes, interval="1h")
    result = rig.run()

    lines = {line.task: line for line in result.firings}
    assert (lines["skips"].state, lines["skips"].reason) == ("skipped", "holiday")
    assert (lines["cancels"].state, lines["cancels"].reason) == ("cancelled", "no use")
    assert lines["snoozes"].state == "success"
    assert snoozed == [timedelta(0), 90 * SECOND]
    assert result.tasks["skips"].reasons == {"holiday": 1}


def test_run_that_fails_says_why_in_the_task_ledger() -> None:
    rig = Rig()

    @rig.app.task(interval="1h", retries=0)
    def fails() -> None:
        raise ValueError("no rows")

    (line,) = rig.run().firings
    assert (line.state, line.reason) == ("failed", "ValueError: no rows")


# --- firings ---------------------------------------------------------------------------------


def test_a_firing_while_its_schedule_is_busy_is_skipped_with_the_reason() -> None:
    rig = Rig()
    rig.app.registry.register_task("long", lambda algorithm: algorithm.sleep(150), interval="1m")
    result = rig.run()

    lines = [line for line in result.firings if line.state == "skipped"]
    assert len(lines) == 6
    assert "has not ended (overlap: skip)" in (lines[0].reason or "")
    assert result.tasks["long"].skipped_firings == 6
    assert next(iter(result.tasks["long"].reasons)).startswith(
        "overlap: an earlier run has not ended"
    )


@pytest.mark.parametrize(
    ("overlap", "begins"),
    [
        ("skip", [0, 180, 360, 540]),
        ("allow", [0, 60, 120, 180, 240, 300, 360, 420, 480, 540]),
        ("buffer_one", [0, 150, 300, 450, 600]),
        ("buffer_all", [0, 150, 300, 450, 600]),
        ("cancel_other", [0, 150, 300, 450, 600]),
    ],
)
def test_overlap_policies_hold_while_runs_sleep(overlap: str, begins: list[int]) -> None:
    rig = Rig()
    seen: list[int] = []

    def long(algorithm: Hand) -> None:
        seen.append(algorithm.at // SECOND)
        algorithm.sleep(150)

    rig.app.registry.register_task("long", long, interval="1m", overlap=overlap)
    result = rig.run()

    assert seen == begins
    counted = states(result.firings, "long")
    if overlap == "buffer_all":
        # All ten fired: four ended, one was cut off, and five waited at the end.
        assert [counted.count(s) for s in ("success", "running", "pending")] == [4, 1, 5]
    if overlap == "buffer_one":
        assert [counted.count(s) for s in ("success", "running", "skipped")] == [4, 1, 5]
    if overlap == "cancel_other":
        # A plain function goes on until it wakes; what waited was replaced, and never began.
        assert [counted.count(s) for s in ("cancelled", "running")] == [9, 1]


def test_jitter_delays_a_firing_always_alike() -> None:
    def instants() -> list[timedelta]:
        rig = Rig()
        seen: list[timedelta] = []
        rig.app.registry.register_task(
            "late", lambda algorithm: seen.append(algorithm.at), interval="5m", jitter="2m"
        )
        rig.run()
        return seen

    first = instants()
    assert first == instants()
    assert first != [timedelta(0), 5 * MINUTE]
    assert all(n * 5 * MINUTE <= at < (n * 5 + 2) * MINUTE for n, at in enumerate(first))


def test_start_end_and_blackout_of_a_schedule_hold() -> None:
    rig = Rig()
    seen: list[timedelta] = []
    rig.app.registry.register_task(
        "window",
        lambda algorithm: seen.append(algorithm.at),
        interval="1m",
        start=(START + 2 * MINUTE).isoformat(),
        end=(START + 7 * MINUTE).isoformat(),
        blackout="00:04-00:06",
    )
    result = rig.run()

    assert seen == [n * MINUTE for n in (2, 3, 6, 7)]
    assert states(result.firings, "window").count("skipped") == 2


def test_a_payload_that_does_not_fit_skips_the_firing_with_the_reason() -> None:
    rig = Rig()

    def takes(symbol: str) -> None: ...

    rig.app.registry.register_task("takes", takes, interval="5m", payload={"symbol": "A"})
    schedule = rig.app.declared_schedules["takes"]
    import dataclasses

    rig.app.declare_schedule(
        dataclasses.replace(schedule, id="other", payload={"sybmol": "A"}, source="app")
    )
    result = rig.run()

    skipped = [line for line in result.firings if line.state == "skipped"]
    assert [line.schedule_id for line in skipped] == ["other", "other"]
    assert "did you mean 'symbol'" in (skipped[0].reason or "")


def test_one_payload_is_given_to_each_run_anew() -> None:
    rig = Rig()
    seen: list[int] = []

    def changes(items: list[int]) -> None:
        items.append(1)
        seen.append(len(items))

    rig.app.registry.register_task("changes", changes, interval="5m", payload={"items": []})
    rig.run()

    assert seen == [1, 1]


# --- limits ----------------------------------------------------------------------------------


def test_a_limit_of_one_at_once_makes_runs_wait_for_each_other() -> None:
    rig = Rig()
    seen: list[tuple[int, int]] = []

    def work(algorithm: Hand, n: int) -> None:
        seen.append((n, algorithm.at // SECOND))
        algorithm.sleep(20)

    @rig.app.task(interval="1h")
    def submits() -> None:
        for n in range(4):
            rig.app.submit("work", {"n": n})

    rig.app.registry.register_task("work", work, max_concurrent=2)
    rig.run()

    assert seen == [(0, 0), (1, 0), (2, 20), (3, 20)]


def test_a_limit_for_each_key_is_each_keys_own() -> None:
    rig = Rig()
    seen: list[tuple[str, int]] = []

    def work(algorithm: Hand, account: str) -> None:
        seen.append((account, algorithm.at // SECOND))
        algorithm.sleep(20)

    @rig.app.task(interval="1h")
    def submits() -> None:
        for account in ("a", "a", "b"):
            rig.app.submit("work", {"account": account})

    rig.app.registry.register_task("work", work, max_concurrent=1, key="{account}")
    rig.run()

    assert sorted(seen) == [("a", 0), ("a", 20), ("b", 0)]


def test_a_rate_lets_so_many_start_in_a_window() -> None:
    rig = Rig()
    seen: list[int] = []

    @rig.app.task(interval="1h")
    def submits() -> None:
        rig.app.submit_many("work", [None] * 5)

    rig.app.registry.register_task(
        "work", lambda algorithm: seen.append(algorithm.at // SECOND), rate="2/1m"
    )
    rig.run()

    assert seen == [0, 0, 60, 60, 120]


def test_of_runs_that_wait_the_most_urgent_begins_first() -> None:
    rig = Rig()
    seen: list[str] = []

    def work(algorithm: Hand, name: str) -> None:
        seen.append(name)
        algorithm.sleep(10)

    @rig.app.task(interval="1h")
    def submits() -> None:
        for name, priority in (("first", 5), ("low", 9), ("high", 1)):
            rig.app.submit("work", {"name": name}, priority=priority)

    rig.app.registry.register_task("work", work, max_concurrent=1, priority=5)
    rig.run()

    # All three came in one instant: by priority. Then one waits for the other.
    assert seen == ["high", "first", "low"]


# --- events and dependencies -----------------------------------------------------------------


def test_events_start_tasks_by_condition_and_with_their_data() -> None:
    rig = Rig()
    seen: list[Any] = []

    def hears(symbol: str, change: float, limit: float = 0.0) -> None:
        seen.append((symbol, change, limit))

    @rig.app.task(interval="5m")
    def tells(algorithm: Hand) -> None:
        ids = algorithm.services.trigger_event("drop", {"symbol": "A", "change": -0.1})
        assert len(ids) == 2
        assert algorithm.services.trigger_event("drop", {"symbol": "B", "change": 0.1}) != []
        assert algorithm.services.trigger_event("nobody_cares", {}) == []

    rig.app.registry.register_task("hears", hears, on_event="drop")
    rig.app.on("drop", "hears", where="change < -0.05", payload={"limit": 2.5})
    rig.run()

    assert seen[:3] == [("A", -0.1, 0.0), ("A", -0.1, 2.5), ("B", 0.1, 0.0)]


def test_a_dependent_task_runs_when_all_that_it_waits_for_have_succeeded_anew() -> None:
    rig = Rig(prices=[100] * 20)
    seen: list[timedelta] = []

    @rig.app.task(interval="5m")
    def prices() -> None: ...

    @rig.app.task(interval="10m")
    def rates(algorithm: Hand) -> None:
        algorithm.sleep(30)

    rig.app.registry.register_task(
        "report", lambda algorithm: seen.append(algorithm.at), after=["prices", "rates"]
    )
    result = rig.run()

    assert seen == [30 * SECOND, 10 * MINUTE + 30 * SECOND]
    line = next(line for line in result.firings if line.task == "report")
    assert line.schedule_id == "after:report"


def test_a_dependent_task_does_not_run_after_failures_or_stale_successes() -> None:
    rig = Rig(prices=[100] * 20)
    seen: list[timedelta] = []

    @rig.app.task(interval="30m")
    def old() -> None: ...

    @rig.app.task(interval="7m", retries=0)
    def fresh(algorithm: Hand) -> None:
        if algorithm.at < 10 * MINUTE:
            raise ValueError

    rig.app.registry.register_task(
        "report", lambda algorithm: seen.append(algorithm.at), after=["old", "fresh"], within="9m"
    )
    rig.run()

    assert seen == []


# --- submissions -----------------------------------------------------------------------------


def test_a_submission_reaches_the_simulation_at_its_instant_and_never_the_live_store() -> None:
    rig = Rig()
    seen: list[tuple[int, int]] = []

    def work(algorithm: Hand, n: int) -> None:
        seen.append((n, algorithm.at // SECOND))

    @rig.app.task(interval="1h")
    def submits(algorithm: Hand) -> None:
        rig.app.submit("work", {"n": 1})
        rig.app.submit("work", {"n": 2}, delay="90s")
        rig.app.submit("work", {"n": 3}, at=(START + 3 * MINUTE).replace(tzinfo=None))
        first = rig.app.submit("work", {"n": 4}, key="once")
        assert rig.app.submit("work", {"n": 5}, key="once").id == first.id
        with pytest.raises(PayloadMismatch):
            rig.app.submit("work", {"m": 1})
        with pytest.raises(SubmitError):
            rig.app.submit("work", {"n": 1}, priority=0)

    rig.app.registry.register_task("work", work)
    result = rig.run()

    assert result.tasks["submits"].success == 1
    assert seen == [(1, 0), (4, 0), (2, 90), (3, 180)]


def test_what_would_reach_the_live_app_is_refused() -> None:
    rig = Rig()
    refused: list[str] = []

    @rig.app.task(interval="1h")
    def tries() -> None:
        app = rig.app
        run = app.submit("other")
        for attempt in (
            lambda: app.get_run(run.id),
            lambda: run.result(timeout=1),
            lambda: app.store,
            lambda: app.start(block=False),
            app.stop,
            lambda: app.schedule("other", interval="1h"),
            lambda: app.add_task(type("T", (), {})),
            lambda: app.cancel(run.id),
            app.backtest,
        ):
            try:
                attempt()
            except BacktestError as problem:
                refused.append(str(problem))
            except Exception as problem:
                refused.append(f"{type(problem).__name__} {problem}")

    rig.app.registry.register_task("other", lambda: None)
    result = rig.run()

    assert result.tasks["tries"].success == 1
    told = [text for text in refused if "out of reach for a task of a backtest" in text]
    assert len(told) == 8
    assert len(refused) == 9  # the ninth is no task at all
    assert not rig.app.is_running


def test_the_status_of_tasks_is_the_simulations() -> None:
    rig = Rig()
    seen: list[dict[str, Any]] = []

    @rig.app.task(interval="5m", retries=0)
    def fails() -> None:
        raise ValueError("no")

    @rig.app.task(interval="1h")
    def sleeps(algorithm: Hand) -> None:
        algorithm.sleep(200)

    @rig.app.task(interval="1m", priority=9)
    def looks(algorithm: Hand) -> None:
        assert rig.app.get_task_status() == algorithm.services.task_status()
        seen.append(rig.app.get_task_status())

    rig.run()

    status = seen[1]
    assert status["fails"] == {
        "last_run": START,
        "last_status": "failed",
        "last_error": "ValueError: no",
        "last_success": None,
        "next_run": START + 5 * MINUTE,
        "running": 0,
    }
    assert status["sleeps"]["running"] == 1
    assert status["looks"]["last_success"] == START
    assert status["looks"]["running"] == 1
    assert seen[4]["sleeps"]["last_success"] == START + 200 * SECOND


def test_context_and_run_ids_tell_what_they_tell_live() -> None:
    rig = Rig()
    seen: list[Context] = []
    rig.app.registry.register_task("looks", lambda context: seen.append(context), interval="5m")
    result = rig.run()

    first, second = seen
    assert (first.fire_at, first.due_at, first.as_of) == (START, START, START)
    assert (first.attempt, first.max_attempts, first.fence) == (1, 4, 1)
    assert len(first.run_id) == 32
    assert [line.run_id for line in result.firings] == [first.run_id, second.run_id]


# --- output ----------------------------------------------------------------------------------


def test_output_is_kept_with_failed_runs_and_the_latest_others(capsys: Any) -> None:
    rig = Rig(prices=[100] * 100)

    @rig.app.task(interval="1m")
    def prints(algorithm: Hand) -> None:
        print("minute", algorithm.at // MINUTE)

    @rig.app.task(interval="1h", retries=0)
    def fails(context: Context) -> None:
        print("about to fail")
        context.log.warning("careful")
        logging.getLogger("other").error("very careful")
        raise ValueError("no")

    result = rig.run()

    assert capsys.readouterr().out == ""
    assert len(result.output) == 50
    assert result.output[-1].logs == (("stdout", "minute 99\n"),)
    (stdout, log) = result.failures[0].logs
    assert stdout == ("stdout", "about to fail\n")
    # Log lines carry simulated time.
    assert log[1].startswith("2024-03-04 00:00:00.000Z WARNING  closingbell.task.fails: careful")
    assert "very careful" in log[1]


def test_alerts_are_noted_with_who_sent_them() -> None:
    rig = Rig()

    @rig.app.task(interval="1h")
    def alarms(algorithm: Hand) -> None:
        algorithm.services.send_alert("look here", "ERROR", algorithm.call, {"value": 1})

    (alert,) = rig.run().alerts

    assert (alert.type, alert.severity, alert.message) == ("task_alert", "ERROR", "look here")
    assert (alert.task, alert.data) == ("alarms", {"value": 1})


def test_a_run_that_takes_long_in_simulated_time_raises_an_alert() -> None:
    rig = Rig()
    rig.app.registry.register_task(
        "long", lambda algorithm: algorithm.sleep(400), interval="1h", timeout=3600
    )
    (alert,) = rig.run().alerts

    assert (alert.type, alert.data) == ("long_execution", {"execution_time": 400.0})


def test_care_for_the_live_database_is_not_done_and_said_so() -> None:
    rig = Rig()
    seen: list[Any] = []

    @rig.app.task(interval="5m")
    def cares(algorithm: Hand) -> None:
        seen.append(algorithm.services.maintenance.backup("/nowhere/at/all.sql"))
        algorithm.services.maintenance.rebuild_indices()
        algorithm.services.maintenance.update_statistics()

    result = rig.run()

    assert result.not_done == {
        "backup_database": 2,
        "rebuild_database_indices": 2,
        "update_database_statistics": 2,
    }
    assert "leaves the live database alone" in result.output[-1].logs[0][1]


def test_the_task_ledger_is_spooled_whole_and_in_order() -> None:
    rig = Rig(prices=[100] * 6000)
    rig.app.registry.register_task("minute", lambda: None, interval="1m")
    result = rig.run()

    lines = list(result.firings)
    assert len(lines) == len(result.firings) == 6000
    assert lines == sorted(lines, key=lambda line: line.at)
    assert len({line.run_id for line in lines}) == 6000
    assert isinstance(lines[0], FiringLine)
