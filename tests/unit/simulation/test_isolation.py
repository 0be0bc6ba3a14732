"""A task that raises, hangs or is killed stops no other task, and not the clock."""

from __future__ import annotations

import sys
import threading
import time
from datetime import timedelta
from typing import Any

import pytest

from closingbell.core.error import FenceLost
from tests.unit.simulation import chores
from tests.unit.simulation.rig import Hand, Rig

MINUTE = timedelta(minutes=1)


def with_a_witness(rig: Rig) -> list[timedelta]:
    """Add a task that notes each minute that it saw."""
    seen: list[timedelta] = []
    rig.app.registry.register_task(
        "witness", lambda algorithm: seen.append(algorithm.at), interval="1m", priority=9
    )
    return seen


EVERY_MINUTE = [n * MINUTE for n in range(10)]


class Mute(Exception):
    """Cannot even say what it is."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    "error", [ValueError("bad"), SystemExit(3), KeyboardInterrupt(), GeneratorExit(), Mute()]
)
def test_whatever_a_task_raises_is_a_failure_of_that_task(error: BaseException) -> None:
    rig = Rig()
    seen = with_a_witness(rig)

    def raises() -> None:
        raise error

    async def raises_async() -> None:
        raise error

    rig.app.registry.register_task("plain", raises, retry_count=0, interval="5m")
    rig.app.registry.register_task("async", raises_async, retry_count=0, interval="5m")
    result = rig.run()

    assert seen == EVERY_MINUTE
    assert result.tasks["plain"].failed == result.tasks["async"].failed == 2
    assert [alert.type for alert in result.alerts] == ["task_failure"] * 4


def test_sys_exit_inside_a_task_is_a_failure_too() -> None:
    rig = Rig()
    seen = with_a_witness(rig)
    rig.app.registry.register_task("leaves", lambda: sys.exit(1), retry_count=0, interval="5m")
    result = rig.run()

    assert seen == EVERY_MINUTE
    assert result.tasks["leaves"].last_error == "SystemExit: 1"


def test_a_task_that_hangs_is_left_behind_and_can_never_trade() -> None:
    rig = Rig()
    seen = with_a_witness(rig)
    release, ended = threading.Event(), threading.Event()
    problems: list[Any] = []

    @rig.app.task(interval="1h", timeout=0.3, retries=0)
    def hangs(algorithm: Hand) -> None:
        held = algorithm.desk, algorithm.clock, algorithm.services
        release.wait(30)
        try:
            algorithm.buy(1)
        except FenceLost as problem:
            problems.append(problem)
        again = Hand(algorithm_call[0], held[0], held[2])
        try:
            again.buy(1)
        except Exception as problem:
            problems.append(problem)
        ended.set()

    algorithm_call: list[Any] = []

    @rig.app.task(interval="5m")
    def trades(algorithm: Hand) -> None:
        if algorithm.at:
            algorithm.buy(1)

    original = Hand.__init__

    def remember(self: Hand, call: Any, *rest: Any) -> None:
        if call.claim.task == "hangs":
            algorithm_call.append(call)
        original(self, call, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Hand, "__init__", remember)
        result = rig.run()
        release.set()
        assert ended.wait(10)

    assert seen == EVERY_MINUTE
    line = next(line for line in result.firings if line.task == "hangs")
    assert (line.state, line.attempt) == ("failed", 1)
    assert "runs on" in (result.tasks["hangs"].last_error or "")
    assert any("hung" in note for note in result.notes)
    assert len(problems) == 2
    assert {order.task for order in result.accounts["main"].orders} == {"trades"}


def test_a_coroutine_that_blocks_is_left_behind_and_its_sleeping_neighbours_wake() -> None:
    rig = Rig()
    seen = with_a_witness(rig)
    release = threading.Event()
    woke: list[timedelta] = []

    @rig.app.task(interval="1h", priority=1)
    async def naps(algorithm: Hand) -> None:
        import asyncio

        await asyncio.sleep(90)
        woke.append(algorithm.at)

    @rig.app.task(interval="1h", timeout=0.3, retries=0)
    async def blocks() -> None:
        release.wait(30)

    result = rig.run()
    release.set()

    assert seen == EVERY_MINUTE
    assert woke == [timedelta(seconds=90)]
    assert result.tasks["blocks"].timed_out == 1


def test_sleeps_that_take_no_time_do_not_go_on_for_ever() -> None:
    rig = Rig()
    seen = with_a_witness(rig)

    @rig.app.task(interval="1h", timeout=0.3, retries=0)
    def spins(algorithm: Hand) -> None:
        while True:
            algorithm.sleep(0)

    result = rig.run()

    assert seen == EVERY_MINUTE
    assert result.tasks["spins"].timed_out == 1


def test_a_task_that_took_too_long_and_returned_is_timed_out_as_live() -> None:
    rig = Rig()

    @rig.app.task(interval="1h", timeout=0.02, retries=0)
    def slow() -> None:
        time.sleep(0.03)

    result = rig.run()

    assert result.tasks["slow"].failed == 1
    assert result.tasks["slow"].timed_out == 1


@pytest.mark.timeout(120)
def test_process_tasks_run_in_children_that_may_die_or_hang() -> None:
    rig = Rig()
    seen = with_a_witness(rig)
    define = rig.app.registry.register_task
    define("adds", chores.adds, executor="process", interval="5m", payload={"a": 2, "b": 3})
    define("dies", chores.dies, executor="process", interval="1h", retry_count=1)
    define("hangs", chores.hangs, executor="process", interval="1h", timeout=0.5, retry_count=0)
    result = rig.run()

    assert seen == EVERY_MINUTE
    assert result.tasks["adds"].success == 2
    assert (result.tasks["dies"].failed, result.tasks["dies"].attempts) == (1, 2)
    assert "SIGKILL" in (result.tasks["dies"].last_error or "")
    assert result.tasks["hangs"].timed_out == 1
    assert "it was stopped" in (result.tasks["hangs"].last_error or "")
    assert all(line.duration_s == 0 for line in result.firings if line.task == "hangs")


def test_a_schedule_that_cannot_be_planned_holds_up_no_other() -> None:
    rig = Rig()
    seen = with_a_witness(rig)

    class Broken:
        def next_after(self, instant: Any) -> Any:
            raise RuntimeError("no such day")

        def explain(self, fire_at: Any) -> str:
            return ""

        def describe(self) -> str:
            return "never"

        def to_dict(self) -> dict[str, Any]:
            return {}

    rig.app.registry.register_task("broken", lambda: None, trigger=Broken())
    result = rig.run()

    assert seen == EVERY_MINUTE
    assert any("no such day" in note for note in result.notes)


def test_ctrl_c_ends_a_simulation_and_leaves_nothing_behind() -> None:
    rig = Rig(prices=[100] * 100_000)
    ended: list[str] = []
    before, stdout = set(threading.enumerate()), sys.stdout

    def interrupt(_at: int) -> None:
        raise KeyboardInterrupt

    rig.progress = interrupt

    @rig.app.task(interval="1h", timeout="1000d")
    def sleeps(algorithm: Hand) -> None:
        try:
            algorithm.sleep(50_000_000)
        finally:
            ended.append("thread")

    rig.app.registry.register_task("look", lambda algorithm: algorithm.value, interval="1m")
    with pytest.raises(KeyboardInterrupt):
        rig.run()

    for _ in range(100):
        if set(threading.enumerate()) <= before and ended:
            break
        time.sleep(0.02)
    assert set(threading.enumerate()) <= before
    assert set(ended) == {"thread"}
    assert sys.stdout is stdout


def test_an_error_of_the_loop_itself_is_raised_to_the_caller() -> None:
    rig = Rig()
    before = set(threading.enumerate())

    @rig.app.task(interval="1h")
    def sleeps(algorithm: Hand) -> None:
        algorithm.sleep(200)

    class Unsound(Exception):
        pass

    with pytest.MonkeyPatch.context() as patch:
        from closingbell.trading.desk import Desk

        def closing(self: Desk, at: int, slices: Any, timeframe: Any) -> None:
            raise Unsound

        patch.setattr(Desk, "closing", closing)
        with pytest.raises(Unsound):
            rig.run()
    for _ in range(100):
        if set(threading.enumerate()) <= before:
            break
        time.sleep(0.02)
    assert set(threading.enumerate()) <= before
