"""Tasks that sleep on the simulated clock, and what others do meanwhile."""

from __future__ import annotations

import asyncio
import threading
from datetime import timedelta
from typing import Any

from closingbell.core.context import Context
from closingbell.core.error import FenceLost
from tests.unit.simulation.rig import Hand, Rig

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)


def test_a_sleeper_wakes_at_its_instant_and_others_run_meanwhile() -> None:
    rig = Rig()
    seen: list[tuple[str, timedelta]] = []

    @rig.app.task(interval="5m")
    def sleeper(algorithm: Hand) -> None:
        seen.append(("sleeps", algorithm.at))
        algorithm.sleep(90)
        seen.append(("wakes", algorithm.at))

    @rig.app.task(interval="1m")
    def minute(algorithm: Hand) -> None:
        seen.append(("minute", algorithm.at))

    result = rig.run()

    assert seen[:5] == [
        ("minute", 0 * SECOND),
        ("sleeps", 0 * SECOND),
        ("minute", MINUTE),
        ("wakes", 90 * SECOND),
        ("minute", 2 * MINUTE),
    ]
    assert result.tasks["sleeper"].sleep_s == 180.0
    assert result.tasks["minute"].runs == 10


def test_thirty_seconds_twice_take_a_minute_of_simulated_time_only() -> None:
    rig = Rig()
    ended: list[timedelta] = []

    @rig.app.task(interval="5m")
    def robust(algorithm: Hand) -> None:
        for _ in range(2):
            algorithm.sleep(30)
        ended.append(algorithm.at)

    result = rig.run()

    assert ended == [MINUTE, 6 * MINUTE]
    assert result.machine_s < 20


def test_many_sleepers_wake_in_order() -> None:
    rig = Rig()
    seen: list[int] = []

    def sleep(algorithm: Hand, seconds: int) -> None:
        algorithm.sleep(seconds)
        seen.append(seconds)

    for seconds in (50, 10, 40, 20, 30):
        rig.app.registry.register_task(
            f"sleep{seconds}", sleep, interval="1h", payload={"seconds": seconds}
        )
    rig.run()

    assert seen == [10, 20, 30, 40, 50]


def test_a_sleeper_past_its_timeout_is_timed_out_at_that_instant() -> None:
    rig = Rig()
    woke: list[Any] = []

    @rig.app.task(interval="1h", timeout=60, retries=0)
    def oversleeps(algorithm: Hand, context: Context) -> None:
        algorithm.sleep(90)
        woke.append(context.cancelled)
        try:
            algorithm.buy(1)
        except FenceLost:
            woke.append("refused")
        raise AssertionError("nobody hears of this any more")

    result = rig.run()
    (line,) = result.firings

    assert (line.state, line.duration_s) == ("failed", 60.0)
    assert result.tasks["oversleeps"].timed_out == 1
    assert "runs on" in (result.tasks["oversleeps"].last_error or "")
    assert woke == [True, "refused"]
    assert result.failures[0].logs == ()


def test_who_sleeps_exactly_as_long_as_its_timeout_is_in_time() -> None:
    rig = Rig()
    rig.app.registry.register_task(
        "just", lambda algorithm: algorithm.sleep(60), interval="1h", timeout=60
    )
    result = rig.run()

    assert result.tasks["just"].success == 1


def test_a_timed_out_sleeper_may_not_trade_when_it_wakes() -> None:
    rig = Rig()
    refused: list[str] = []

    @rig.app.task(interval="1h", timeout=60, retries=0)
    def late(algorithm: Hand) -> None:
        desk, clock = algorithm.desk, algorithm.clock
        clock.sleep(120)
        try:
            algorithm.desk = desk
            algorithm.buy(1)
        except Exception as problem:
            refused.append(type(problem).__name__)

    result = rig.run()

    assert refused == ["FenceLost"]
    assert result.accounts["main"].orders == []


def test_an_overslept_run_is_tried_again_and_the_new_attempt_counts() -> None:
    rig = Rig(prices=[100] * 60)
    sleeps = iter([500.0, 1.0])

    @rig.app.task(interval="1h", timeout=60, retries=1)
    def second_time(algorithm: Hand) -> None:
        algorithm.sleep(next(sleeps))

    result = rig.run()
    (line,) = result.firings

    assert (line.state, line.attempt) == ("success", 2)
    assert result.tasks["second_time"].attempts == 2


def test_waiting_for_a_cancellation_takes_simulated_time() -> None:
    rig = Rig()
    seen: list[tuple[bool, timedelta]] = []

    @rig.app.task(interval="1h")
    def waits(algorithm: Hand, context: Context) -> None:
        seen.append((context.wait_cancelled(120), algorithm.at))

    rig.run()

    assert seen == [(False, 2 * MINUTE)]


def test_a_run_that_is_replaced_hears_of_it_while_it_waits() -> None:
    rig = Rig()
    seen: list[tuple[bool, timedelta]] = []

    @rig.app.task(interval="5m", overlap="cancel_other")
    def waits(algorithm: Hand, context: Context) -> None:
        seen.append((context.wait_cancelled(299 if seen else None), algorithm.at))

    result = rig.run()

    assert seen == [(True, 5 * MINUTE), (False, 599 * SECOND)]
    assert [line.state for line in result.firings] == ["cancelled", "success"]


def test_asyncio_sleep_takes_simulated_time_and_no_thread() -> None:
    rig = Rig()
    seen: list[tuple[timedelta, int]] = []
    threads = threading.active_count()

    @rig.app.task(interval="1m", overlap="allow")
    async def naps(algorithm: Hand) -> float:
        loop = asyncio.get_running_loop()
        before = loop.time()
        await asyncio.gather(asyncio.sleep(100), asyncio.sleep(125))
        seen.append((algorithm.at, threading.active_count() - threads))
        return loop.time() - before

    result = rig.run()

    assert [at for at, _ in seen[:2]] == [125 * SECOND, 185 * SECOND]
    assert all(more == 1 for _, more in seen)  # the loop's own
    assert result.tasks["naps"].success == 8
    assert result.tasks["naps"].unfinished == 2


def test_a_coroutine_past_its_timeout_is_cancelled_at_that_instant() -> None:
    rig = Rig()
    seen: list[timedelta] = []

    @rig.app.task(interval="1h", timeout=60, retries=0)
    async def slow(algorithm: Hand) -> None:
        try:
            await asyncio.sleep(1000)
        finally:
            seen.append(algorithm.at)

    result = rig.run()
    (line,) = result.firings

    assert seen == [MINUTE]
    assert (line.state, line.duration_s) == ("failed", 60.0)
    assert "it was stopped" in (result.tasks["slow"].last_error or "")


def test_a_coroutine_that_ignores_its_cancellation_is_left_behind_a_second_later() -> None:
    rig = Rig()

    @rig.app.task(interval="1h", timeout=60, retries=0)
    async def deaf() -> None:
        for _ in range(3):
            try:
                await asyncio.sleep(100)
            except asyncio.CancelledError:
                continue

    result = rig.run()
    (line,) = result.firings

    assert (line.state, line.duration_s) == ("failed", 61.0)
    assert "runs on" in (result.tasks["deaf"].last_error or "")


def test_a_call_in_a_thread_is_waited_for_while_the_clock_stands() -> None:
    rig = Rig()
    seen: list[tuple[int, timedelta]] = []

    @rig.app.task(interval="1h")
    async def thinks(algorithm: Hand) -> None:
        answer = await asyncio.to_thread(lambda: 6 * 7)
        seen.append((answer, algorithm.at))

    rig.run()

    assert seen == [(42, timedelta(0))]


def test_what_a_coroutine_leaves_behind_does_not_go_on() -> None:
    rig = Rig()
    seen: list[str] = []

    async def child() -> None:
        try:
            await asyncio.sleep(60)
            seen.append("went on")
        except asyncio.CancelledError:
            seen.append("ended")
            raise

    @rig.app.task(interval="5m")
    async def parent() -> None:
        task = asyncio.create_task(child())
        await asyncio.sleep(1)
        assert not task.done()

    rig.run()

    assert seen == ["ended", "ended"]


def test_the_plain_sleep_of_a_coroutine_lets_others_run() -> None:
    rig = Rig()
    seen: list[tuple[str, timedelta]] = []

    @rig.app.task(interval="1h")
    async def blocks(algorithm: Hand) -> None:
        algorithm.sleep(90)
        seen.append(("blocks", algorithm.at))
        await asyncio.sleep(60)
        seen.append(("waited", algorithm.at))

    @rig.app.task(interval="1m")
    async def minute(algorithm: Hand) -> None:
        seen.append(("minute", algorithm.at))

    rig.run()

    assert seen[:5] == [
        ("minute", timedelta(0)),
        ("minute", MINUTE),
        ("blocks", 90 * SECOND),
        ("minute", 2 * MINUTE),
        ("waited", 150 * SECOND),
    ]


def test_a_sleep_in_a_thread_of_the_tasks_own_is_refused() -> None:
    rig = Rig()
    problems: list[str] = []

    @rig.app.task(interval="1h")
    async def forks(algorithm: Hand) -> None:
        try:
            await asyncio.to_thread(algorithm.sleep, 5)
        except Exception as problem:
            problems.append(str(problem))

    rig.run()

    assert len(problems) == 1
    assert "in a thread that the task started by itself" in problems[0]


def test_runs_that_the_end_cuts_off_are_told_and_their_threads_end() -> None:
    rig = Rig()
    ended: list[str] = []
    before = set(threading.enumerate())

    @rig.app.task(interval="1h", timeout="2h")
    def forever(algorithm: Hand) -> None:
        try:
            algorithm.sleep(100_000)
        finally:
            ended.append("thread")

    @rig.app.task(interval="1h", timeout="2h")
    async def pending() -> None:
        try:
            await asyncio.sleep(100_000)
        finally:
            ended.append("coroutine")

    result = rig.run()

    lines = {line.task: line for line in result.firings}
    assert lines["forever"].state == lines["pending"].state == "running"
    assert "ended before it did" in (lines["forever"].reason or "")
    assert result.tasks["forever"].unfinished == result.tasks["pending"].unfinished == 1
    assert sorted(ended) == ["coroutine", "thread"]
    assert set(threading.enumerate()) <= before
