"""Lockstep: market data waits for the tasks that are due before it.

In a backtest nothing happens at an instant before everything earlier is done. On a clock that
goes by itself the same order is kept by waiting: bars of an instant pass the desk when no
firing and no run that is due before it is left, sleepers aside; and of runs that are due at one
instant and ask the desk, each waits for those before it in the order of (priority, task, id).
The wait is bounded: a run that takes long is waited for once, for a few machine seconds, and one
that nobody runs, or a firing that nobody fires, for a few times as long.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Protocol

from closingbell.core.call import Call
from closingbell.core.clock import Clock

_log = logging.getLogger("closingbell.desk")


class Active(Protocol):
    """What has not ended yet, as the store knows it."""

    def runs_until(self, until: int) -> list[tuple[str, int, bool]]:
        """Return (id, due_at, whether it runs) of runs that are due by `until` and have not ended."""
        ...

    def runs_at(self, instant: int) -> list[tuple[int, str, str]]:
        """Return (priority, task, id) of runs that are due at an instant and have not ended."""
        ...

    def firings_until(self, until: int) -> list[tuple[str, str, int]]:
        """Return (schedule id, task, next_fire_at) of unpaused schedules that are due by `until`."""
        ...


class Lockstep:
    """Says whether market data of an instant may pass, and whose turn it is."""

    def __init__(
        self,
        active: Active,
        clock: Clock,
        knows: Callable[[str], bool],
        trades: Callable[[str], bool],
        patience_s: float = 5.0,
    ) -> None:
        """Begin without knowing anything.

        Args:
            active: what the store knows.
            clock: the desk's time.
            knows: whether a task is registered here: others' firings are not waited for.
            trades: whether a task takes the algorithm: others need no turn.
            patience_s: the longest wait for one run that runs, in machine seconds; for one that
                waits to be run, and for a schedule, it is four times as long.
        """
        self._active = active
        self._clock = clock
        self._knows = knows
        self._trades = trades
        self._patience_s = patience_s
        #: Everything that was due before this instant had ended when it was last looked at.
        self._bound = 0
        self._waited_for: dict[str, float] = {}
        self._slow: set[str] = set()
        self._asleep: dict[str, int] = {}
        self._running: set[str] = set()
        self._queued: set[str] = set()
        self._lock = threading.Lock()

    def asleep(self, run_id: str, until: int) -> None:
        """Take note that a run sleeps: until then it does not count."""
        with self._lock:
            self._asleep[run_id] = until

    def forget(self) -> None:
        """Look again at the next question: runs were started whose instant is past."""
        self._bound = 0

    def is_clear(self, at: int, inclusive: bool) -> bool:
        """Whether nothing is left that was due before an instant; `inclusive` = or at it."""
        if at < self._bound:
            return True
        now = self._clock.micros()
        blocking = self._blocking(now)
        first = min(blocking.values(), default=now + 1)
        self._bound = first
        if at < first or (at == first and not inclusive):
            return True
        self._lose_patience(
            {name for name, due in blocking.items() if due < at or (inclusive and due == at)}
        )
        return False

    def before(self, call: Call, instant: int) -> set[str]:
        """Return the runs, and the firings still to come, whose turn comes before a call's.

        Sleepers, and what was waited for long enough, are left out.
        """
        own = (call.task.priority, call.task.name, call.claim.id)
        # Firings before runs: what fires in between is then seen at least once.
        names = {
            f"schedule {name}"
            for name, task, _ in self._active.firings_until(instant)
            if self._trades(task)
        }
        due = [rank for rank in self._active.runs_at(instant) if self._trades(rank[1])]
        # Its own priority may have been raised where it was submitted.
        own = next((rank for rank in due if rank[2] == own[2]), own)
        with self._lock:
            names |= {
                f"run {rank[2]}"
                for rank in due
                if rank < own and self._asleep.get(rank[2], instant) <= instant
            }
            return names - self._slow

    def give_up(self, names: set[str]) -> None:
        """Wait for these no more."""
        for name in names:
            self._slow.add(name)
            _log.warning("tasks of the same instant no longer wait for %s", name)

    def _blocking(self, now: int) -> dict[str, int]:
        """Return when what has not ended was due, by schedule or run."""
        # Firings before runs: what fires in between is then seen at least once.
        blocking = {
            f"schedule {name}": due
            for name, task, due in self._active.firings_until(now)
            if self._knows(task)
        }
        found = self._active.runs_until(now)
        with self._lock:
            known = {name for name, _, _ in found}
            self._asleep = {name: at for name, at in self._asleep.items() if name in known}
            for name, due, _ in found:
                resumes = max(self._asleep.get(name, due), due)
                if resumes <= now:
                    blocking[f"run {name}"] = resumes
        self._running = {f"run {name}" for name, _, runs in found if runs}
        self._slow &= blocking.keys()
        self._waited_for = {n: at for n, at in self._waited_for.items() if n in blocking}
        return {name: due for name, due in blocking.items() if name not in self._slow}

    def _lose_patience(self, blocking: set[str]) -> None:
        now = self._clock.monotonic()
        for name in blocking:
            if name in self._running and name in self._queued:
                # Now it can end: the wait for it begins anew.
                self._waited_for[name] = now
            since = self._waited_for.setdefault(name, now)
            patience_s = self._patience_s if name in self._running else 4 * self._patience_s
            if now - since >= patience_s:
                self._slow.add(name)
                _log.warning("market data no longer waits for %s", name)
        self._queued = blocking - self._running
