"""The small parts of a simulation: the baton, revoked objects, event loops, windows, ids."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from datetime import UTC, date, datetime

import pytest

from closingbell.backtesting.window import read_window
from closingbell.core.bar import Bar
from closingbell.core.clock import to_micros
from closingbell.core.error import BacktestError, FenceLost
from closingbell.simulation.baton import Baton, Dismissed, Driver
from closingbell.simulation.clock import SimulationClock
from closingbell.simulation.coroutine import SimulationEventLoop
from closingbell.simulation.firing import RunNumbers
from closingbell.simulation.revocation import revoke
from closingbell.trading.market.memory import MemoryBars

# --- the baton -------------------------------------------------------------------------------


def run(script: Callable[[Baton, list[str]], None]) -> list[str]:
    """Run a script as the loop of a baton until it ends it; return what was noted."""
    noted: list[str] = []
    over = threading.Event()

    def drive() -> None:
        try:
            script(baton, noted)
        finally:
            if baton.is_over:
                over.set()

    def failed(problem: BaseException) -> None:
        noted.append(repr(problem))
        over.set()

    baton = Baton(drive, failed)
    baton.start()
    assert over.wait(10)
    assert baton.join(5) == 0
    return noted


def test_the_loop_goes_on_in_another_thread_while_one_parks() -> None:
    sleeping: list[Driver] = []

    def script(baton: Baton, noted: list[str]) -> None:
        if not noted:
            noted.append("first")
            mine = baton.holder
            sleeping.append(mine)
            baton.hand_on().park()
            noted.append("first again")
            assert baton.holder is mine
            baton.end()
            return
        noted.append("second")
        with pytest.raises(Dismissed):
            baton.hand_back(sleeping[0])

    assert run(script) == ["first", "second", "first again"]


def test_an_error_of_the_loop_is_told() -> None:
    def script(baton: Baton, noted: list[str]) -> None:
        baton.is_over = True
        raise ValueError("broken")

    assert run(script) == ["ValueError('broken')"]


# --- revocation ------------------------------------------------------------------------------


class Slotted:
    __slots__ = ("desk",)

    def __init__(self) -> None:
        self.desk = {"a": 1}

    def use(self) -> int:
        return self.desk["a"]


class Plain(Slotted):
    def __init__(self) -> None:
        super().__init__()
        self.more = [1]

    def use_more(self) -> int:
        return self.more.count(1)


def test_every_use_of_a_revoked_object_raises() -> None:
    given = Plain()
    revoke(given, lambda: FenceLost("run", 1))

    with pytest.raises(FenceLost):
        given.use_more()
    with pytest.raises(FenceLost):
        given.desk.update(b=2)
    with pytest.raises(FenceLost):
        given.desk.anything = 1  # type: ignore[attr-defined]
    with pytest.raises(FenceLost):
        given.more()  # type: ignore[operator]
    revoke(None, lambda: FenceLost("run", 1))


# --- event loops -----------------------------------------------------------------------------


def test_an_event_loop_says_when_its_next_timer_is_due_and_returns() -> None:
    clock = SimulationClock(1_000_000, lambda until: None)
    loop = SimulationEventLoop(clock)

    async def waits() -> float:
        before = loop.time()
        await asyncio.sleep(2.5)
        return loop.time() - before

    task = loop.create_task(waits())
    loop.run_until_idle()
    assert (task.done(), loop.idle_s) == (False, 2.5)
    clock.at += 2_499_999
    loop.run_until_idle()
    assert not task.done()
    clock.at += 1
    loop.run_until_idle()
    assert task.result() == 2.5
    assert loop.tidy_up()
    loop.close()


def test_a_loop_that_left_a_timer_behind_is_not_used_again() -> None:
    loop = SimulationEventLoop(SimulationClock(0, lambda until: None))

    async def leaves() -> None:
        asyncio.get_running_loop().call_later(60, print)

    task = loop.create_task(leaves())
    loop.run_until_idle()
    assert task.done()
    assert not loop.tidy_up()
    assert loop.is_closed()


def test_a_real_socket_is_listened_to() -> None:
    import socket

    loop = SimulationEventLoop(SimulationClock(0, lambda until: None))
    ours, theirs = socket.socketpair()
    ours.setblocking(False)

    async def reads() -> bytes:
        threading.Timer(0.05, lambda: theirs.send(b"news")).start()
        return await loop.sock_recv(ours, 10)

    task = loop.create_task(reads())
    loop.run_until_idle()
    assert task.result() == b"news"
    loop.close()
    ours.close()
    theirs.close()


# --- windows and ids -------------------------------------------------------------------------


def source() -> MemoryBars:
    from decimal import Decimal

    start = to_micros(datetime(2024, 3, 8, tzinfo=UTC))
    one = Decimal(1)
    bars = [
        Bar("A", start + n * 86_400_000_000, start + (n + 1) * 86_400_000_000, *[one] * 5)
        for n in range(5)
    ]
    return MemoryBars(bars)


def test_dates_of_a_window_are_whole_local_days_also_when_the_clock_changes() -> None:
    start, end = read_window(date(2024, 3, 10), "2024-03-10", "America/New_York", source(), "1d")

    assert start == to_micros(datetime(2024, 3, 10, 5, tzinfo=UTC))
    assert end == to_micros(datetime(2024, 3, 11, 4, tzinfo=UTC))  # 23 hours later


def test_a_window_without_bounds_is_that_of_the_data() -> None:
    assert read_window(None, None, "UTC", source(), "1d") == source().span("1d")


def test_a_window_needs_bars_of_its_timeframe() -> None:
    with pytest.raises(BacktestError, match="'1m'"):
        read_window(None, None, "UTC", source(), "1m")


def test_run_ids_depend_on_seed_task_and_number_alone() -> None:
    numbers = RunNumbers(1)

    assert numbers.run_id("a", 1) == RunNumbers(1).run_id("a", 1)
    assert len({numbers.run_id("a", 1), numbers.run_id("b", 1), numbers.run_id("a", 2)}) == 3
    assert RunNumbers(2).run_id("a", 1) != numbers.run_id("a", 1)
    assert sorted([numbers.run_id("a", 2), numbers.run_id("a", 1)])[0] == numbers.run_id("a", 1)
