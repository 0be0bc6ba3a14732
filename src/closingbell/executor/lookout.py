"""Lookout: deadlines of calls in children, and calls that wait behind a long one.

A child wakes its parent only when it has something to say. Until then the parent
knows from shared memory what executes since when, and looks there at the
earliest instant at which something could be overdue.
"""

from __future__ import annotations

from collections.abc import Iterable

from closingbell.executor.board import IMPORTING
from closingbell.executor.ending import timed_out
from closingbell.executor.offspring import Entry, Offspring

#: A call that executes for so long keeps no others waiting behind it.
TAKE_BACK_S = 0.025
#: Between the mark that takes calls back and the belief that the child has seen it.
SETTLE_S = 0.002
#: Importing a handler's module for the first time may take so long, whatever the timeout; so may
#: the start of a child.
IMPORT_S = 60.0

NEVER = float("inf")


class Lookout:
    """Says when to look at the children, and does what is then due.

    Attributes:
        at: machine seconds at which to look next.
    """

    def __init__(self, timeout_grace_s: float) -> None:
        """Make a lookout.

        Args:
            timeout_grace_s: seconds between asking a call that is overdue to end and the kill.
        """
        self.at = NEVER
        self._timeout_grace_s = timeout_grace_s

    def by(self, at: float) -> None:
        """See to it that the next look is not later than `at`."""
        self.at = min(self.at, at)

    def ask(self, child: Offspring, entry: Entry, reason: str, kill_at: float) -> None:
        """Ask a call to end, and plan to kill its child if it still executes it at `kill_at`."""
        entry.kill_at = kill_at
        child.ask_to_stop(entry, reason)
        if child.board.executing()[0] == entry.serial:
            # The next one must not begin in a child that is about to be killed.
            child.board.take_back_from(entry.serial + 1)
        self.by(kill_at)

    def look(self, children: Iterable[Offspring], now: float) -> list[Entry]:
        """Enforce deadlines; return calls that are free for another child, in order."""
        self.at = NEVER
        freed: list[Entry] = []
        for child in children:
            if not child.calls or child.killed:
                continue
            serial, since, phase = child.board.executing()
            entry = child.calls.get(serial)
            if entry is None:
                self._await_start(child, now)
            else:
                self._look_at(child, entry, since, phase, now)
                if len(child.calls) > 1:
                    freed.extend(self._take_back(child, serial, since, now))
        return freed

    def _await_start(self, child: Offspring, now: float) -> None:
        """Look again when the first call of a chunk, which has not begun, may be overdue."""
        if now - child.chunk_at > IMPORT_S:
            child.kill("it did not begin its calls")
            return
        first = next(iter(child.calls.values()))
        soonest = child.chunk_at + min(first.call.claim.timeout_s, TAKE_BACK_S)
        self.by(soonest if soonest > now else now + TAKE_BACK_S)

    def _look_at(
        self, child: Offspring, entry: Entry, since: float, phase: int, now: float
    ) -> None:
        call = entry.call
        timeout_s = call.claim.timeout_s
        if phase == IMPORTING:
            # The import may end at any time, and the timeout then begins.
            self.by(now + max(timeout_s, SETTLE_S))
            timeout_s = max(timeout_s, IMPORT_S)
        call.deadline = since + timeout_s
        if entry.kill_at is None and now >= call.deadline:
            if call.stopping is None:
                call.stopping = timed_out(call, stopped=True)
            self.ask(child, entry, f"timeout of {timeout_s:g} s", now + self._timeout_grace_s)
        if entry.kill_at is None:
            self.by(call.deadline)
        elif now >= entry.kill_at:
            child.kill("its call did not end when it was asked to")
        else:
            self.by(entry.kill_at)

    def _take_back(
        self, child: Offspring, serial: int, since: float, now: float
    ) -> Iterable[Entry]:
        """Return what waits behind a call that takes long.

        The child says what it begins before it looks at the mark, and here the mark is set
        before the child is looked at again: one of the two always sees the other.
        """
        if not child.taken_at:
            if now - since < TAKE_BACK_S:
                self.by(since + TAKE_BACK_S)
                return ()
            child.board.take_back_from(serial + 1)
            child.taken_at = now
        if now - child.taken_at < SETTLE_S:
            self.by(child.taken_at + SETTLE_S)
            return ()
        waiting = [number for number in child.calls if number > serial]
        return [child.calls.pop(number) for number in waiting]
