from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from closingbell.core.call import current_context
from closingbell.core.clock import SystemClock
from closingbell.core.context import Context
from closingbell.core.outcome import Cancelled, GivenBack, Lost, Raised, Returned, TimedOut
from closingbell.executor.capture import Capture
from closingbell.executor.thread import ThreadExecutor
from tests.unit.executor.calls import Outcomes, text_of


@pytest.fixture
def executor() -> Iterator[ThreadExecutor]:
    executor = ThreadExecutor(4, SystemClock())
    executor.start()
    yield executor
    executor.stop(0.0)


@pytest.fixture
def outcomes() -> Outcomes:
    return Outcomes()


def _noop(payload: dict[str, Any]) -> None:
    return None


class Gate:
    """A handler that stays inside until it is let go."""

    def __init__(self) -> None:
        self.inside = threading.Event()
        self.open = threading.Event()
        self.left = threading.Event()

    def __call__(self, payload: dict[str, Any]) -> str:
        self.inside.set()
        self.open.wait()
        self.left.set()
        return "left"


def test_a_function_ends_with_its_result_and_an_error_with_its_traceback(
    executor: ThreadExecutor, outcomes: Outcomes
) -> None:
    def divide(by: int) -> float:
        return 1 / by

    good, bad = outcomes.call(divide, {"by": 2}), outcomes.call(divide, {"by": 0})
    executor.submit([good, bad])
    assert outcomes.of(good) == Returned("0.5")
    failed = outcomes.of(bad)
    assert isinstance(failed, Raised)
    assert failed.error["type"] == "ZeroDivisionError"
    assert "ArithmeticError" in failed.error["bases"]


def test_at_most_as_many_calls_run_as_there_are_slots(
    executor: ThreadExecutor, outcomes: Outcomes
) -> None:
    gates = [Gate() for _ in range(6)]
    calls = [outcomes.call(gate) for gate in gates]
    executor.submit(calls)
    for gate in gates[:4]:
        assert gate.inside.wait(5)
    assert not gates[4].inside.is_set()
    assert not gates[5].inside.is_set()
    gates[0].open.set()
    assert gates[4].inside.wait(5)
    for gate in gates:
        gate.open.set()
    assert outcomes.all(calls) == [Returned('"left"')] * 6


def test_context_variables_never_leak_between_calls(
    executor: ThreadExecutor, outcomes: Outcomes
) -> None:
    book: contextvars.ContextVar[str] = contextvars.ContextVar("book", default="none")

    def read_then_write(mine: str) -> str:
        before = book.get()
        book.set(mine)
        return before

    calls = [outcomes.call(read_then_write, {"mine": "x"}) for _ in range(20)]
    executor.submit(calls)
    assert outcomes.all(calls) == [Returned('"none"')] * 20


def test_a_thread_past_its_deadline_is_reported_as_running_on_and_its_result_dropped(
    executor: ThreadExecutor, outcomes: Outcomes
) -> None:
    gate = Gate()
    call = outcomes.call(gate, timeout_s=0.02)
    executor.submit([call])
    outcome = outcomes.of(call)
    assert isinstance(outcome, TimedOut)
    assert not outcome.stopped
    assert "thread cannot be stopped and runs on" in outcome.error["message"]
    assert call.context.cancelled
    assert executor.stuck == 1
    gate.open.set()
    assert gate.left.wait(5)
    after = outcomes.call(_noop)
    executor.submit([after])
    outcomes.of(after)
    assert outcomes.of(call) is outcome


def test_a_thread_that_heeds_its_context_is_reported_as_stopped(
    executor: ThreadExecutor, outcomes: Outcomes
) -> None:
    def heed(context: Context) -> str:
        context.wait_cancelled()
        return "partial"

    call = outcomes.call(heed, timeout_s=0.02)
    executor.submit([call])
    outcome = outcomes.of(call)
    assert isinstance(outcome, TimedOut)
    assert outcome.stopped
    assert executor.stuck == 0


def test_stuck_threads_are_replaced_up_to_the_spares_and_then_cost_slots(
    outcomes: Outcomes,
) -> None:
    executor = ThreadExecutor(2, SystemClock(), spares=1)
    executor.start()
    gates = [Gate(), Gate()]
    first, second = (outcomes.call(gate, timeout_s=0.02) for gate in gates)
    executor.submit([first])
    outcomes.of(first)
    assert (executor.stuck, executor.slots) == (1, 2)
    both = [Gate(), Gate()]
    held = [outcomes.call(gate) for gate in both]
    executor.submit(held)
    for gate in both:
        assert gate.inside.wait(5)
        gate.open.set()
    outcomes.all(held)
    executor.submit([second])
    outcomes.of(second)
    assert (executor.stuck, executor.slots) == (2, 1)
    after = outcomes.call(_noop)
    executor.submit([after])
    assert outcomes.of(after) == Returned(None)
    for gate in gates:
        gate.open.set()
    executor.stop(1.0)


def test_coroutines_run_in_their_thread_and_can_be_stopped(
    executor: ThreadExecutor, outcomes: Outcomes
) -> None:
    started = threading.Event()

    async def quick(payload: dict[str, Any]) -> bool:
        await asyncio.sleep(0)
        return threading.current_thread().name.startswith("closingbell-thread")

    async def hang(payload: dict[str, Any]) -> None:
        started.set()
        await asyncio.Event().wait()

    good, late, unwanted = (
        outcomes.call(quick),
        outcomes.call(hang, timeout_s=0.05),
        outcomes.call(hang),
    )
    executor.submit([good, late])
    assert outcomes.of(good) == Returned("true")
    outcome = outcomes.of(late)
    assert isinstance(outcome, TimedOut)
    assert outcome.stopped
    started.clear()
    executor.submit([unwanted])
    assert started.wait(5)
    executor.stop_call(unwanted, "not today")
    assert outcomes.of(unwanted) == Cancelled("not today")


def test_a_waiting_call_is_cancelled_at_once_and_a_running_one_when_it_returns(
    outcomes: Outcomes,
) -> None:
    executor = ThreadExecutor(1, SystemClock())
    executor.start()
    gate = Gate()
    running, waiting, after = outcomes.call(gate), outcomes.call(_noop), outcomes.call(_noop)
    executor.submit([running, waiting, after])
    assert gate.inside.wait(5)
    executor.stop_call(waiting, "no")
    assert outcomes.of(waiting, 0) == Cancelled("no")
    executor.stop_call(running, "enough")
    assert running.context.cancelled
    assert not outcomes.has(running)
    gate.open.set()
    assert outcomes.of(running) == Cancelled("enough")
    assert outcomes.of(after) == Returned(None)
    executor.stop(1.0)


def test_a_cancelled_call_that_never_returns_still_meets_its_deadline(
    executor: ThreadExecutor, outcomes: Outcomes
) -> None:
    gate = Gate()
    call = outcomes.call(gate, timeout_s=0.1)
    executor.submit([call])
    assert gate.inside.wait(5)
    executor.stop_call(call, "enough")
    outcome = outcomes.of(call)
    assert isinstance(outcome, TimedOut)
    assert not outcome.stopped
    gate.open.set()


def test_drained_calls_are_not_run(outcomes: Outcomes) -> None:
    executor = ThreadExecutor(1, SystemClock())
    executor.start()
    gate, never = Gate(), Gate()
    running, waiting = outcomes.call(gate), outcomes.call(never)
    executor.submit([running, waiting])
    assert gate.inside.wait(5)
    assert executor.drain() == [waiting]
    gate.open.set()
    assert outcomes.of(running) == Returned('"left"')
    executor.stop(1.0)
    assert not never.inside.is_set()


def test_stop_waits_gives_back_what_heeds_it_and_loses_what_cannot_be_stopped(
    outcomes: Outcomes,
) -> None:
    executor = ThreadExecutor(3, SystemClock())
    executor.start()
    ready = threading.Barrier(4)

    def short(payload: dict[str, Any]) -> str:
        ready.wait()
        return "made it"

    def heed(context: Context) -> None:
        ready.wait()
        context.wait_cancelled()

    release = threading.Event()

    def stuck(payload: dict[str, Any]) -> None:
        ready.wait()
        release.wait()

    calls = [outcomes.call(short), outcomes.call(heed), outcomes.call(stuck), outcomes.call(_noop)]
    executor.submit(calls)
    ready.wait()
    executor.stop(0.1)
    executor.stop(0.1)
    first, second, third, _ = outcomes.all(calls, 0)
    assert first == Returned('"made it"')
    assert second == GivenBack("the worker stops")
    assert isinstance(third, Lost)
    release.set()


def test_output_and_context_belong_to_the_call_of_the_thread(outcomes: Outcomes) -> None:
    executor = ThreadExecutor(4, SystemClock(), Capture(passthrough=False))
    executor.start()
    together = threading.Barrier(3)

    def talk(name: str) -> str:
        together.wait()
        print(name)
        return current_context().run_id

    calls = [outcomes.call(talk, {"name": name}) for name in "abc"]
    executor.submit(calls)
    results = outcomes.all(calls)
    executor.stop(1.0)
    assert [text_of(call) for call in calls] == ["a\n", "b\n", "c\n"]
    assert results == [Returned(f'"{call.claim.id}"') for call in calls]
