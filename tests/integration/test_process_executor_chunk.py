from __future__ import annotations

import collections
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from closingbell.core.call import Call
from closingbell.core.clock import SystemClock
from closingbell.core.outcome import Cancelled, Lost, Returned, TimedOut
from closingbell.executor.process import ProcessExecutor
from tests.integration import troublesome
from tests.integration.children import wait_for_file
from tests.unit.executor.calls import Outcomes


@pytest.fixture
def outcomes() -> Outcomes:
    return Outcomes()


@pytest.fixture
def executor() -> Iterator[ProcessExecutor]:
    """One child, so that many waiting calls make one chunk."""
    executor = ProcessExecutor(1, SystemClock(), cancel_grace_s=0.05, timeout_grace_s=0.05)
    executor.start()
    yield executor
    executor.stop(0.0)


def learn(executor: ProcessExecutor, outcomes: Outcomes, folder: Path) -> None:
    """Let the executor see that `record` is short."""
    for turn in range(100):
        calls = [mark(outcomes, folder, f"warm{turn}-{i}") for i in range(8)]
        executor.submit(calls)
        outcomes.all(calls)
        if executor.slots > 10:
            return
    raise AssertionError(f"after 800 short calls there are {executor.slots} slots")


def mark(
    outcomes: Outcomes, folder: Path, name: str, timeout_s: float = 30.0, **how: bool | float
) -> Call:
    payload = {"folder": str(folder), "name": name, **how}
    return outcomes.call(troublesome.record, payload, timeout_s=timeout_s)


def executions(folder: Path) -> collections.Counter[str]:
    return collections.Counter(path.name.split(".")[0] for path in folder.iterdir())


def hold(executor: ProcessExecutor, outcomes: Outcomes, folder: Path) -> Call:
    """Occupy the child, so that what is submitted next gathers into one chunk."""
    call = outcomes.call(troublesome.heed, {"started": str(folder / "held")})
    executor.submit([call])
    wait_for_file(folder / "held")
    return call


def test_many_short_calls_all_run_once(
    executor: ProcessExecutor, outcomes: Outcomes, tmp_path: Path
) -> None:
    calls = [mark(outcomes, tmp_path, f"n{i}") for i in range(500)]
    for start in range(0, 500, 50):
        executor.submit(calls[start : start + 50])
    assert outcomes.all(calls) == [Returned(f'"n{i}"') for i in range(500)]
    assert executions(tmp_path) == {f"n{i}": 1 for i in range(500)}


def test_a_hung_member_of_a_chunk_times_out_alone(
    executor: ProcessExecutor, outcomes: Outcomes, tmp_path: Path
) -> None:
    learn(executor, outcomes, tmp_path)
    held = hold(executor, outcomes, tmp_path)
    before = [mark(outcomes, tmp_path, f"before{i}") for i in range(3)]
    hung = mark(outcomes, tmp_path, "hung", timeout_s=0.4, hang=True)
    behind = [mark(outcomes, tmp_path, f"behind{i}") for i in range(3)]
    executor.submit([*before, hung, *behind])
    executor.stop_call(held, "go on")
    assert outcomes.all(before) == [Returned(f'"before{i}"') for i in range(3)]
    outcome = outcomes.of(hung)
    assert isinstance(outcome, TimedOut)
    assert outcome.stopped
    assert outcomes.all(behind) == [Returned(f'"behind{i}"') for i in range(3)]
    ran = executions(tmp_path)
    assert all(ran[f"before{i}"] == ran[f"behind{i}"] == 1 for i in range(3))


def test_results_before_a_long_call_arrive_while_it_runs(
    executor: ProcessExecutor, outcomes: Outcomes, tmp_path: Path
) -> None:
    learn(executor, outcomes, tmp_path)
    held = hold(executor, outcomes, tmp_path)
    before = [mark(outcomes, tmp_path, f"before{i}") for i in range(3)]
    long = mark(outcomes, tmp_path, "long", hang=True)
    executor.submit([*before, long])
    executor.stop_call(held, "go on")
    assert outcomes.all(before) == [Returned(f'"before{i}"') for i in range(3)]
    assert not outcomes.has(long)
    executor.stop_call(long, "enough")
    assert outcomes.of(long) == Cancelled("enough")


def test_calls_behind_a_long_one_are_given_to_another_child(
    outcomes: Outcomes, tmp_path: Path
) -> None:
    executor = ProcessExecutor(2, SystemClock(), cancel_grace_s=0.05)
    executor.start()
    learn(executor, outcomes, tmp_path)
    hung = mark(outcomes, tmp_path, "hung", hang=True)
    behind = [mark(outcomes, tmp_path, f"behind{i}") for i in range(20)]
    began = time.monotonic()
    executor.submit([hung, *behind])
    assert outcomes.all(behind) == [Returned(f'"behind{i}"') for i in range(20)]
    assert time.monotonic() - began < 2.0
    assert not outcomes.has(hung)
    executor.stop_call(hung, "enough")
    assert outcomes.of(hung) == Cancelled("enough")
    executor.stop(1.0)
    ran = executions(tmp_path)
    assert all(ran[f"behind{i}"] == 1 for i in range(20))


def test_calls_taken_back_never_run_twice_when_the_long_one_ends(
    outcomes: Outcomes, tmp_path: Path
) -> None:
    """The next chunk must not reach a child that still has taken-back calls before it."""
    executor = ProcessExecutor(2, SystemClock())
    executor.start()
    learn(executor, outcomes, tmp_path)
    names = []
    for turn in range(12):
        slow = mark(outcomes, tmp_path, f"slow{turn}", seconds=0.03 + turn * 0.001)
        quick = [f"quick{turn}-{i}" for i in range(30)]
        calls = [slow, *(mark(outcomes, tmp_path, name) for name in quick)]
        names += [f"slow{turn}", *quick]
        executor.submit(calls)
        outcomes.all(calls)
    executor.stop(1.0)
    ran = executions(tmp_path)
    assert {name: ran[name] for name in names} == dict.fromkeys(names, 1)


def test_a_child_that_dies_in_a_chunk_loses_only_the_call_that_it_executed(
    executor: ProcessExecutor, outcomes: Outcomes, tmp_path: Path
) -> None:
    learn(executor, outcomes, tmp_path)
    held = hold(executor, outcomes, tmp_path)
    before = [mark(outcomes, tmp_path, f"before{i}") for i in range(3)]
    fatal = mark(outcomes, tmp_path, "fatal", crash=True)
    behind = [mark(outcomes, tmp_path, f"behind{i}") for i in range(3)]
    executor.submit([*before, fatal, *behind])
    executor.stop_call(held, "go on")
    assert outcomes.all(before) == [Returned(f'"before{i}"') for i in range(3)]
    outcome = outcomes.of(fatal)
    assert isinstance(outcome, Lost)
    assert "exited with code 5" in outcome.error["message"]
    assert outcomes.all(behind) == [Returned(f'"behind{i}"') for i in range(3)]
    ran = executions(tmp_path)
    assert ran["fatal"] == 1
    assert all(ran[f"before{i}"] == ran[f"behind{i}"] == 1 for i in range(3))


def test_a_cancelled_call_of_a_chunk_that_was_not_begun_never_runs(
    executor: ProcessExecutor, outcomes: Outcomes, tmp_path: Path
) -> None:
    learn(executor, outcomes, tmp_path)
    held = hold(executor, outcomes, tmp_path)
    first = mark(outcomes, tmp_path, "first", hang=True)
    second = mark(outcomes, tmp_path, "second")
    executor.submit([first, second])
    executor.stop_call(held, "go on")
    outcomes.of(held)
    executor.stop_call(second, "no")
    executor.stop_call(first, "no")
    assert outcomes.all([first, second]) == [Cancelled("no")] * 2
    assert executions(tmp_path)["second"] == 0


def test_slots_shrink_again_when_a_long_call_waits(
    executor: ProcessExecutor, outcomes: Outcomes, tmp_path: Path
) -> None:
    learn(executor, outcomes, tmp_path)
    held = hold(executor, outcomes, tmp_path)
    waiting = outcomes.call(troublesome.pause, {"seconds": 0.0})
    executor.submit([waiting])
    assert executor.slots == 1
    executor.stop_call(held, "go on")
    assert outcomes.of(waiting) == Returned(None)
