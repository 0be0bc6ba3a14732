from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from closingbell.core.clock import SystemClock
from closingbell.core.outcome import Cancelled, Lost, Returned, TimedOut
from closingbell.executor.capture import Capture
from closingbell.executor.process import ProcessExecutor
from tests.integration import troublesome
from tests.integration.children import is_alive, wait_for_end, wait_for_file
from tests.unit.executor.calls import Outcomes, text_of


@pytest.fixture(scope="module")
def executor() -> Iterator[ProcessExecutor]:
    """One child: each test proves that the next one finds a good child in its place."""
    executor = ProcessExecutor(
        1, SystemClock(), Capture(passthrough=False), cancel_grace_s=0.05, timeout_grace_s=0.05
    )
    executor.start()
    yield executor
    executor.stop(0.0)


@pytest.fixture
def outcomes() -> Outcomes:
    return Outcomes()


def expect_a_new_child(executor: ProcessExecutor, outcomes: Outcomes, old: int) -> None:
    assert not is_alive(old)
    call = outcomes.call(troublesome.pid)
    executor.submit([call])
    outcome = outcomes.of(call)
    assert isinstance(outcome, Returned)
    assert outcome.result != str(old)
    assert executor.pids == [int(outcome.result or 0)]


def child_of(executor: ProcessExecutor, outcomes: Outcomes) -> int:
    call = outcomes.call(troublesome.pid)
    executor.submit([call])
    outcome = outcomes.of(call)
    assert isinstance(outcome, Returned)
    return int(outcome.result or 0)


@pytest.mark.parametrize(
    "handler",
    [
        troublesome.spin,
        troublesome.spin_deaf,
        troublesome.hold_the_lock,
        troublesome.print_for_ever,
    ],
)
def test_a_hung_call_is_killed_at_its_deadline(
    executor: ProcessExecutor, outcomes: Outcomes, tmp_path: Path, handler: Any
) -> None:
    child = child_of(executor, outcomes)
    call = outcomes.call(handler, {"started": str(tmp_path / "in")}, timeout_s=0.3)
    began = time.monotonic()
    executor.submit([call])
    outcome = outcomes.of(call)
    took = time.monotonic() - began
    assert isinstance(outcome, TimedOut)
    assert outcome.stopped
    assert "exceeded its timeout of 0.3 s; it was stopped" in outcome.error["message"]
    assert 0.3 <= took < 2.0
    wait_for_file(tmp_path / "in", 0)
    expect_a_new_child(executor, outcomes, child)


def test_output_of_a_killed_call_is_kept(
    executor: ProcessExecutor, outcomes: Outcomes, tmp_path: Path
) -> None:
    quiet = outcomes.call(troublesome.spin, timeout_s=0.1)
    loud = outcomes.call(
        troublesome.print_for_ever, {"started": str(tmp_path / "in")}, timeout_s=0.2
    )
    executor.submit([quiet, loud])
    outcomes.all([quiet, loud])
    assert text_of(quiet) == "spinning\n"
    assert text_of(loud).startswith("the beginning\nand so on")
    assert 1_000 < len(text_of(loud)) <= 64 * 1024 + 100


def test_a_cancelled_call_is_killed_after_the_grace(
    executor: ProcessExecutor, outcomes: Outcomes, tmp_path: Path
) -> None:
    child = child_of(executor, outcomes)
    call = outcomes.call(troublesome.spin, {"started": str(tmp_path / "in")})
    executor.submit([call])
    wait_for_file(tmp_path / "in")
    executor.stop_call(call, "desk closed")
    assert outcomes.of(call) == Cancelled("desk closed")
    expect_a_new_child(executor, outcomes, child)


def test_a_cancelled_call_that_heeds_its_context_keeps_its_child(
    outcomes: Outcomes, tmp_path: Path
) -> None:
    executor = ProcessExecutor(1, SystemClock(), cancel_grace_s=10.0)
    executor.start()
    child = child_of(executor, outcomes)
    call = outcomes.call(troublesome.heed, {"started": str(tmp_path / "in")})
    executor.submit([call])
    wait_for_file(tmp_path / "in")
    executor.stop_call(call, "desk closed")
    assert outcomes.of(call) == Cancelled("desk closed")
    assert child_of(executor, outcomes) == child
    executor.stop(1.0)


def test_a_coroutine_is_cancelled_before_its_child_is_killed(
    outcomes: Outcomes, tmp_path: Path
) -> None:
    executor = ProcessExecutor(1, SystemClock(), timeout_grace_s=10.0)
    executor.start()
    child = child_of(executor, outcomes)
    names = {"started": str(tmp_path / "in"), "cleaned": str(tmp_path / "out")}
    call = outcomes.call(troublesome.hang_async, names, timeout_s=0.1)
    executor.submit([call])
    outcome = outcomes.of(call)
    assert isinstance(outcome, TimedOut)
    assert outcome.stopped
    assert (tmp_path / "out").exists()
    assert child_of(executor, outcomes) == child
    executor.stop(1.0)


def test_a_waiting_call_is_cancelled_without_harm_to_the_running_one(
    executor: ProcessExecutor, outcomes: Outcomes, tmp_path: Path
) -> None:
    running = outcomes.call(troublesome.pause, {"seconds": 0.2})
    waiting = outcomes.call(troublesome.noop)
    executor.submit([running, waiting])
    executor.stop_call(waiting, "no")
    assert outcomes.of(waiting) == Cancelled("no")
    assert outcomes.of(running) == Returned(None)


@pytest.mark.parametrize(
    ("handler", "how"),
    [
        (troublesome.exit_hard, "it exited with code 7"),
        (troublesome.crash, "it was ended by signal SIGSEGV"),
    ],
)
def test_a_child_that_ends_loses_its_call_and_says_how(
    executor: ProcessExecutor, outcomes: Outcomes, handler: Any, how: str
) -> None:
    child = child_of(executor, outcomes)
    call = outcomes.call(handler)
    executor.submit([call])
    outcome = outcomes.of(call)
    assert isinstance(outcome, Lost)
    assert outcome.error["code"] == "worker_lost"
    assert outcome.error["message"] == f"worker process {child} was lost: {how}"
    expect_a_new_child(executor, outcomes, child)


def test_last_words_before_a_hard_exit_are_kept(
    executor: ProcessExecutor, outcomes: Outcomes
) -> None:
    call = outcomes.call(troublesome.exit_hard)
    executor.submit([call])
    outcomes.of(call)
    assert text_of(call) == "last words\n"


def test_grandchildren_of_a_killed_call_die_with_it(
    executor: ProcessExecutor, outcomes: Outcomes, tmp_path: Path
) -> None:
    call = outcomes.call(
        troublesome.hang_with_grandchild, {"started": str(tmp_path / "family")}, timeout_s=1.0
    )
    executor.submit([call])
    child, grandchild = map(int, wait_for_file(tmp_path / "family").split())
    assert is_alive(grandchild)
    executor.stop_call(call, "enough")
    outcomes.of(call)
    wait_for_end(child)
    wait_for_end(grandchild)


def test_a_dead_child_is_noticed_though_its_fork_holds_its_socket(
    executor: ProcessExecutor, outcomes: Outcomes, tmp_path: Path
) -> None:
    call = outcomes.call(troublesome.fork_and_crash, {"started": str(tmp_path / "fork")})
    executor.submit([call])
    outcome = outcomes.of(call, 5.0)
    assert isinstance(outcome, Lost)
    assert "exited with code 9" in outcome.error["message"]
    wait_for_end(int(wait_for_file(tmp_path / "fork")))


def test_a_fork_that_returns_from_the_handler_answers_nothing(
    executor: ProcessExecutor, outcomes: Outcomes
) -> None:
    call = outcomes.call(troublesome.fork_and_both_return)
    executor.submit([call])
    outcome = outcomes.of(call)
    assert isinstance(outcome, Returned)
    assert outcome.result != "0"
    after = outcomes.call(troublesome.double, {"amount": 4})
    executor.submit([after])
    assert outcomes.of(after) == Returned("8")
    outcomes.all([call, after])
