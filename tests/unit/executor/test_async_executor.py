from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from closingbell.core.call import Call, current_context
from closingbell.core.clock import SystemClock
from closingbell.core.context import Context
from closingbell.core.outcome import (
    Cancelled,
    GivenBack,
    Lost,
    Outcome,
    Raised,
    Returned,
    Skip,
    Skipped,
    TimedOut,
)
from closingbell.executor.asynchronous import SLICE_S, AsyncExecutor
from closingbell.executor.capture import Capture
from tests.unit.executor.calls import Outcomes, text_of


@pytest.fixture
def executor() -> Iterator[AsyncExecutor]:
    executor = AsyncExecutor(100, SystemClock())
    executor.start()
    yield executor
    executor.stop(0.0)


@pytest.fixture
def outcomes() -> Outcomes:
    return Outcomes()


async def _noop(payload: dict[str, Any]) -> None:
    return None


async def _wait_for_ever(payload: dict[str, Any]) -> None:
    await asyncio.Event().wait()


def test_a_coroutine_that_returns_at_once_ends_with_its_result(
    executor: AsyncExecutor, outcomes: Outcomes
) -> None:
    async def double(amount: int) -> int:
        return amount * 2

    call = outcomes.call(double, {"amount": 21})
    executor.submit([call])
    assert outcomes.of(call) == Returned("42")


def test_a_coroutine_that_waits_ends_with_its_result(
    executor: AsyncExecutor, outcomes: Outcomes
) -> None:
    async def slow(payload: dict[str, Any]) -> str:
        await asyncio.sleep(0.01)
        return "late"

    call = outcomes.call(slow)
    executor.submit([call])
    assert outcomes.of(call) == Returned('"late"')


def test_a_returned_signal_becomes_its_outcome(executor: AsyncExecutor, outcomes: Outcomes) -> None:
    async def idle(payload: dict[str, Any]) -> Skip:
        return Skip("market closed")

    call = outcomes.call(idle)
    executor.submit([call])
    assert outcomes.of(call) == Skipped("market closed")


def test_an_error_is_raised_with_a_traceback_that_begins_in_the_handler(
    executor: AsyncExecutor, outcomes: Outcomes
) -> None:
    async def broken(payload: dict[str, Any]) -> None:
        await asyncio.sleep(0)
        raise ValueError("no price")

    call = outcomes.call(broken)
    executor.submit([call])
    outcome = outcomes.of(call)
    assert isinstance(outcome, Raised)
    assert (outcome.error["type"], outcome.error["message"]) == ("ValueError", "no price")
    assert "closingbell/executor" not in outcome.error["traceback"]


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, StopIteration])
def test_an_exception_that_would_end_the_program_only_ends_the_attempt(
    executor: AsyncExecutor, outcomes: Outcomes, kind: type[BaseException]
) -> None:
    def leave(payload: dict[str, Any]) -> None:
        raise kind

    async def leave_async(payload: dict[str, Any]) -> None:
        await asyncio.sleep(0)
        raise kind

    calls = [outcomes.call(leave), outcomes.call(leave_async), outcomes.call(_noop)]
    executor.submit(calls)
    first, second, third = outcomes.all(calls)
    assert isinstance(first, Raised)
    assert isinstance(second, Raised)
    assert third == Returned(None)


def test_calls_of_one_batch_wait_beside_each_other(
    executor: AsyncExecutor, outcomes: Outcomes
) -> None:
    """All of them must be inside before any may leave."""
    arrived = 0
    everybody: asyncio.Event | None = None

    async def meet(payload: dict[str, Any]) -> None:
        nonlocal arrived, everybody
        everybody = everybody or asyncio.Event()
        arrived += 1
        if arrived == 50:
            everybody.set()
        await everybody.wait()

    calls = [outcomes.call(meet) for _ in range(50)]
    executor.submit(calls)
    assert outcomes.all(calls) == [Returned(None)] * 50


def test_context_variables_never_leak_between_calls(
    executor: AsyncExecutor, outcomes: Outcomes
) -> None:
    book: contextvars.ContextVar[str] = contextvars.ContextVar("book", default="none")

    async def read_then_write(mine: str, waits: bool) -> list[str]:
        before = book.get()
        book.set(mine)
        if waits:
            await asyncio.sleep(0.001)
        return [before, book.get()]

    calls = [
        outcomes.call(read_then_write, {"mine": str(i), "waits": i % 2 == 0}) for i in range(20)
    ]
    executor.submit(calls)
    assert outcomes.all(calls) == [Returned(f'["none","{i}"]') for i in range(20)]


def test_asyncio_timeouts_and_groups_work_in_the_first_step(
    executor: AsyncExecutor, outcomes: Outcomes
) -> None:
    """They need a current task, which a first step without one of its own must have."""

    async def uses_both(payload: dict[str, Any]) -> list[str]:
        said = []
        try:
            async with asyncio.timeout(0.001):
                await asyncio.Event().wait()
        except TimeoutError:
            said.append("timeout")
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(0))
        said.append("group")
        return said

    call = outcomes.call(uses_both)
    executor.submit([call])
    assert outcomes.of(call) == Returned('["timeout","group"]')


def test_the_context_is_reachable_in_every_step(
    executor: AsyncExecutor, outcomes: Outcomes
) -> None:
    async def identify(context: Context) -> bool:
        first = current_context()
        await asyncio.sleep(0)
        return first is context is current_context()

    call = outcomes.call(identify)
    executor.submit([call])
    assert outcomes.of(call) == Returned("true")


def test_an_attempt_past_its_deadline_is_cancelled(
    executor: AsyncExecutor, outcomes: Outcomes
) -> None:
    cleaned = threading.Event()

    async def hang(payload: dict[str, Any]) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.set()

    call, patient = outcomes.call(hang, timeout_s=0.05), outcomes.call(_wait_for_ever)
    executor.submit([patient, call])
    outcome = outcomes.of(call)
    assert isinstance(outcome, TimedOut)
    assert outcome.stopped
    assert outcome.error["code"] == "attempt_timeout"
    assert call.context.cancelled
    assert cleaned.is_set()
    assert not outcomes.has(patient)


def test_a_swallowed_cancellation_is_reported_as_running_on_and_its_result_dropped(
    executor: AsyncExecutor, outcomes: Outcomes
) -> None:
    release = threading.Event()
    returned = threading.Event()

    async def stubborn(payload: dict[str, Any]) -> str:
        while not release.is_set():
            try:
                await asyncio.sleep(0.01)
            except asyncio.CancelledError:
                continue
        returned.set()
        return "too late"

    call = outcomes.call(stubborn, timeout_s=0.01)
    executor.submit([call])
    outcome = outcomes.of(call)
    assert isinstance(outcome, TimedOut)
    assert not outcome.stopped
    assert "runs on" in outcome.error["message"]
    release.set()
    assert returned.wait(5)
    after = outcomes.call(_noop)
    executor.submit([after])
    outcomes.of(after)
    assert outcomes.of(call) is outcome


def test_a_cancelled_call_ends_with_the_reason(executor: AsyncExecutor, outcomes: Outcomes) -> None:
    call = outcomes.call(_wait_for_ever)
    executor.submit([call])
    executor.stop_call(call, "desk closed")
    assert outcomes.of(call) == Cancelled("desk closed")
    executor.stop_call(call, "again")
    assert outcomes.of(call) == Cancelled("desk closed")


def test_a_cancelled_error_of_the_handlers_own_is_an_error(
    executor: AsyncExecutor, outcomes: Outcomes
) -> None:
    async def give_up(payload: dict[str, Any]) -> None:
        await asyncio.sleep(0)
        raise asyncio.CancelledError

    call = outcomes.call(give_up)
    executor.submit([call])
    outcome = outcomes.of(call)
    assert isinstance(outcome, Raised)
    assert outcome.error["type"] == "CancelledError"


def test_a_handler_that_cancels_the_task_that_it_finds_itself_in_harms_no_neighbour(
    executor: AsyncExecutor, outcomes: Outcomes
) -> None:
    async def cancel_itself(payload: dict[str, Any]) -> str:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        time.sleep(SLICE_S * 1.2)  # noqa: ASYNC251
        return "still here"

    calls = [outcomes.call(cancel_itself), outcomes.call(_noop), outcomes.call(_noop)]
    executor.submit(calls)
    assert outcomes.all(calls) == [Returned('"still here"'), Returned(None), Returned(None)]


def test_an_outcome_that_is_not_taken_harms_no_neighbour(
    executor: AsyncExecutor, outcomes: Outcomes
) -> None:
    def refuse(call: Call, outcome: Outcome) -> None:
        raise RuntimeError("store on fire")

    good = outcomes.call(_noop)
    bad = Call(good.claim, good.task, good.invoke, good.encode, refuse)
    seen = threading.Event()
    executor.loop.call_soon_threadsafe(
        executor.loop.set_exception_handler, lambda loop, context: seen.set()
    )
    executor.submit([bad, good])
    assert outcomes.of(good) == Returned(None)
    assert seen.wait(5)


def test_a_handler_that_blocks_the_loop_is_reported_while_it_blocks(
    executor: AsyncExecutor, outcomes: Outcomes
) -> None:
    release = threading.Event()

    async def block(payload: dict[str, Any]) -> None:
        release.wait()

    call, neighbour = outcomes.call(block, timeout_s=0.01), outcomes.call(_noop)
    executor.submit([call, neighbour])
    outcome = outcomes.of(call)
    assert isinstance(outcome, TimedOut)
    assert not outcome.stopped
    assert "blocks the event loop" in outcome.error["message"]
    release.set()
    assert outcomes.of(neighbour) == Returned(None)
    assert outcomes.of(call) is outcome


def test_a_handler_that_blocked_past_its_deadline_has_timed_out(
    executor: AsyncExecutor, outcomes: Outcomes
) -> None:
    def block(payload: dict[str, Any]) -> str:
        time.sleep(0.05)
        return "done"

    call = outcomes.call(block, timeout_s=0.01)
    executor.submit([call])
    outcome = outcomes.of(call)
    assert isinstance(outcome, TimedOut)
    assert outcome.stopped


def test_drained_calls_are_not_run(outcomes: Outcomes) -> None:
    executor = AsyncExecutor(100, SystemClock())
    executor.start()
    gate, inside = threading.Event(), threading.Event()

    def hold(payload: dict[str, Any]) -> None:
        inside.set()
        gate.wait()

    held, waiting = outcomes.call(hold), outcomes.call(_noop)
    executor.submit([held, waiting])
    assert inside.wait(5)
    assert executor.drain() == [waiting]
    gate.set()
    assert outcomes.of(held) == Returned(None)
    executor.stop(1.0)
    assert not outcomes.has(waiting)


def test_stop_lets_calls_end_within_the_grace_and_gives_back_the_rest(outcomes: Outcomes) -> None:
    executor = AsyncExecutor(100, SystemClock())
    executor.start()

    inside = threading.Event()

    async def short(payload: dict[str, Any]) -> str:
        inside.set()
        await asyncio.sleep(0.05)
        return "made it"

    quick, endless = outcomes.call(short), outcomes.call(_wait_for_ever)
    executor.submit([endless, quick])
    assert inside.wait(5)
    executor.stop(0.3)
    executor.stop(0.3)
    assert outcomes.of(quick, 0) == Returned('"made it"')
    assert outcomes.of(endless, 0) == GivenBack("the worker stops")


def test_stop_on_a_blocked_loop_reports_its_calls_as_lost(outcomes: Outcomes) -> None:
    executor = AsyncExecutor(100, SystemClock())
    executor.start()
    gate, inside = threading.Event(), threading.Event()

    def hold(payload: dict[str, Any]) -> None:
        inside.set()
        gate.wait()

    held, waiting = outcomes.call(hold), outcomes.call(_wait_for_ever)
    executor.submit([waiting])
    executor.submit([held])
    assert inside.wait(5)
    executor.stop(0.0)
    assert isinstance(outcomes.of(held, 0), Lost)
    assert isinstance(outcomes.of(waiting, 0), Lost)
    gate.set()


def test_output_of_calls_side_by_side_is_kept_apart(outcomes: Outcomes) -> None:
    # Made here: between its phases pytest gives a test other streams.
    executor = AsyncExecutor(10, SystemClock(), Capture(passthrough=False))
    executor.start()

    async def talk(name: str) -> None:
        for _ in range(3):
            print(name)
            await asyncio.sleep(0.001)

    calls = [outcomes.call(talk, {"name": name}) for name in "abc"]
    executor.submit(calls)
    outcomes.all(calls)
    executor.stop(1.0)
    assert [text_of(call, "stdout") for call in calls] == ["a\n" * 3, "b\n" * 3, "c\n" * 3]


def test_calls_submitted_from_many_threads_all_run(
    executor: AsyncExecutor, outcomes: Outcomes
) -> None:
    batches = [[outcomes.call(_noop) for _ in range(50)] for _ in range(8)]
    threads = [threading.Thread(target=executor.submit, args=(batch,)) for batch in batches]
    for thread in threads:
        thread.start()
    everything = [call for batch in batches for call in batch]
    assert outcomes.all(everything) == [Returned(None)] * 400
    for thread in threads:
        thread.join()


def test_a_loop_of_the_callers_own_is_used(outcomes: Outcomes) -> None:
    async def main() -> bool:
        loop = asyncio.get_running_loop()
        executor = AsyncExecutor(10, SystemClock(), loop_getter=lambda: loop)
        executor.start()
        ended = asyncio.Event()

        async def signal(payload: dict[str, Any]) -> bool:
            loop.call_later(0.001, ended.set)
            return asyncio.get_running_loop() is loop

        call = outcomes.call(signal)
        executor.submit([call])
        await ended.wait()
        await asyncio.to_thread(executor.stop, 0.1)
        return outcomes.of(call, 0) == Returned("true")

    assert asyncio.run(main())
