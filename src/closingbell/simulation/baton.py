"""Baton: of several threads exactly one goes on with the simulation.

Whoever holds the baton runs the loop, and the tasks inline. A task that sleeps keeps its
thread, and hands the baton to another one. So a task costs no thread, and no switch,
unless it sleeps or hangs.
"""

from __future__ import annotations

import threading
from collections.abc import Callable


class Dismissed(BaseException):
    """Ends a thread that lost the baton for good, from wherever it is; no task's business."""


class Driver:
    """One thread of the simulation.

    Attributes:
        ident: of the thread.
    """

    __slots__ = ("_turn", "ident")

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._turn.acquire()
        self.ident = 0

    def wake(self) -> None:
        """Let the thread go on."""
        self._turn.release()

    def park(self) -> None:
        """Wait, on the thread itself, to be woken."""
        self._turn.acquire()


class Baton:
    """The threads of one simulation.

    Attributes:
        holder: whose turn it is.
        is_over: whether the simulation has ended, so that no thread goes on with it.
    """

    def __init__(self, drive: Callable[[], None], failed: Callable[[BaseException], None]) -> None:
        """Make the baton; `start` hands it to a first thread.

        Args:
            drive: runs the loop until the simulation is over.
            failed: told of an error in the loop itself.
        """
        self._drive = drive
        self._failed = failed
        self._idle: list[Driver] = []
        self._threads: dict[Driver, threading.Thread] = {}
        self._lost: list[threading.Thread] = []
        self.holder = Driver()
        self.is_over = False

    @property
    def is_mine(self) -> bool:
        """Whether the calling thread holds the baton."""
        return self.holder.ident == threading.get_ident()

    def start(self) -> None:
        """Begin."""
        self._add(self.holder, None)

    def hand_on(self) -> Driver:
        """Let another thread go on with the loop; return the caller's, which must park."""
        mine = self.holder
        if self._idle:
            self.holder = self._idle.pop()
            self.holder.wake()
        else:
            self.holder = Driver()
            self._add(self.holder, None)
        return mine

    def hand_back(self, driver: Driver) -> None:
        """Let a parked thread go on, and park until the loop needs the caller again.

        Raises:
            Dismissed: it never will.
        """
        mine = self.holder
        self._idle.append(mine)
        self.holder = driver
        driver.wake()
        mine.park()
        if self.is_over:
            raise Dismissed

    def take_away(self, first: Callable[[], None]) -> None:
        """Let a new thread go on in place of the holder, which hangs.

        Args:
            first: what it does before it goes on.
        """
        self._lost.append(self._threads.pop(self.holder))
        self.holder = Driver()
        self._add(self.holder, first)

    def end(self) -> None:
        """Dismiss the threads that wait for their turn; from any thread."""
        self.is_over = True
        while self._idle:
            self._idle.pop().wake()

    def join(self, seconds: float) -> int:
        """Wait for all threads but those that hang; return how many still run."""
        share = seconds
        for thread in self._threads.values():
            thread.join(max(share, 0.0))
            if thread.is_alive():
                share = 0.0
        return sum(thread.is_alive() for thread in (*self._threads.values(), *self._lost))

    def _add(self, driver: Driver, first: Callable[[], None] | None) -> None:
        # A daemon: a task that hangs for ever must not keep the process from ending.
        thread = threading.Thread(
            target=self._work, args=(driver, first), name="closingbell-simulation", daemon=True
        )
        self._threads[driver] = thread
        thread.start()

    def _work(self, driver: Driver, first: Callable[[], None] | None) -> None:
        driver.ident = threading.get_ident()
        try:
            if first is not None:
                first()
            self._drive()
        except Dismissed:
            return
        except BaseException as problem:
            self._failed(problem)
