"""DeskPump: the thread that lets market data pass a live desk, on the app's clock."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Hashable

from closingbell.core.bar import BarSource
from closingbell.core.clock import Clock
from closingbell.core.error import StoreError
from closingbell.desk_agenda import DAILY_CLOSE, SNAPSHOT, DeskAgenda
from closingbell.lockstep import Lockstep
from closingbell.trading.desk import Desk

_log = logging.getLogger("closingbell.desk")

#: While it waits for tasks it looks again after so many machine seconds, longer each time.
_LOOKS_S = (0.002, 0.005, 0.01, 0.02, 0.05)
#: After a failure it tries again after so many machine seconds, longer each time.
_PAUSES_S = (0.1, 0.5, 1.0, 5.0)
#: Ends of days that were missed for longer than this are left out, in desk microseconds.
_MISSED = 7 * 86_400 * 1_000_000


class DeskPump:
    """Walks the accounts of a desk through market data, moment by moment."""

    def __init__(
        self,
        desk: Desk,
        source: BarSource,
        clock: Clock,
        lockstep: Lockstep,
        *,
        state: Callable[[], Hashable],
        on_trouble: Callable[[Exception], None],
        look_s: float = 1.0,
    ) -> None:
        """Make it ready to start.

        Args:
            desk: whose accounts.
            source: of the bars.
            clock: the desk's time.
            lockstep: says which moments may pass.
            state: changes when the source has other bars than before.
            on_trouble: told of the first of several failures.
            look_s: how often to ask for that, in machine seconds.
        """
        self._desk = desk
        self._source = source
        self._clock = clock
        self._lockstep = lockstep
        self._state = state
        self._on_trouble = on_trouble
        self._look_s = look_s
        self._agenda: DeskAgenda | None = None
        self._seen: Hashable = None
        self._looked_at: float | None = None
        self._changed = threading.Condition()
        #: What comes next; None = nothing. It is not known before `_built`.
        self._next: tuple[int, int] | None = None
        self._built = False
        self._woken = False
        self._stale = True
        self._stopped = False
        self._trouble = 0
        self._thread: threading.Thread | None = None

    # --- life ----------------------------------------------------------------------------

    def start(self) -> None:
        """Begin."""
        self._thread = threading.Thread(target=self._run, name="closingbell-desk", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End after the step in hand, and wait for it."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(timeout=10)

    @property
    def is_failing(self) -> bool:
        """Whether its last try failed."""
        return self._trouble > 0

    def wake(self) -> None:
        """Say that something may be due, or that a run has ended."""
        with self._changed:
            self._woken = True
            self._changed.notify_all()

    def look(self) -> None:
        """Say that the source may have other bars."""
        with self._changed:
            self._looked_at, self._built, self._woken = None, False, True
            self._changed.notify_all()

    def rebuild(self) -> None:
        """Say that accounts were added, or that the source has other bars."""
        with self._changed:
            self._stale, self._built, self._woken = True, False, True
            self._changed.notify_all()

    def wait_for(self, instant: int, patience_s: float) -> bool:
        """Wait until bars and days that end by an instant have passed the desk.

        Args:
            instant: desk microseconds.
            patience_s: the longest wait, in machine seconds.

        Returns:
            Whether they have.
        """
        last = (instant, DAILY_CLOSE)
        left = patience_s
        with self._changed:
            while not self._built or (self._next is not None and self._next <= last):
                if left <= 0:
                    return False
                self._woken = True
                self._changed.notify_all()
                # Counted by itself: the machine's time of a standing clock stands still, too.
                before = self._clock.monotonic()
                self._changed.wait(min(left, 0.05))
                passed = self._clock.monotonic() - before
                left -= passed if self._clock.speed else 0.05
        return True

    # --- the thread ----------------------------------------------------------------------

    def _run(self) -> None:
        waits = 0
        while not self._stopped:
            try:
                done = self._step()
            except Exception as problem:
                self._fail(problem)
                continue
            if self._trouble:
                _log.warning("market data passes the desk again")
                self._trouble = 0
            if done:
                waits = 0
                continue
            with self._changed:
                if not (self._woken or self._stopped):
                    if done is None:
                        waits = 0
                        self._wait_for_next()
                    else:
                        self._changed.wait(_LOOKS_S[min(waits, len(_LOOKS_S) - 1)])
                        waits += 1
                self._woken = False

    def _step(self) -> bool | None:
        """Do what may be done.

        Returns:
            True when something was done, False when tasks must end first, None when nothing is due.
        """
        agenda = self._present()
        following = agenda.peek()
        if following is None or following[0] > self._clock.micros():
            agenda.tell_ends()
            return None
        at, step = following
        if not self._lockstep.is_clear(at, inclusive=step >= SNAPSHOT):
            return False
        agenda.perform()
        self._publish(agenda)
        return True

    def _present(self) -> DeskAgenda:
        """Return the agenda, made anew when accounts or bars have changed."""
        looked_at, now_s = self._looked_at, self._clock.monotonic()
        if looked_at is None or abs(now_s - looked_at) >= self._look_s:
            self._looked_at = now_s
            if self._state() != self._seen:
                self._stale = True
            elif self._agenda is not None:
                self._publish(self._agenda)
        if self._agenda is None or self._stale:
            with self._changed:
                self._stale = False
            self._seen = self._state()
            self._agenda = self._made()
            self._agenda.tell_ends()
            self._publish(self._agenda)
        return self._agenda

    def _made(self) -> DeskAgenda:
        accounts = list(self._desk.accounts.values())
        now = self._clock.micros()
        walked = [account.cursor for account in accounts if account.broker.matches]
        closed = [int(account.memory.get("daily_close", account.cursor)) for account in accounts]
        told = min(closed, default=now)
        if self._agenda is None:
            told = max(told, now - _MISSED)
        else:
            told = max(told, self._agenda.closed_until)
        return DeskAgenda(self._desk, self._source, min(walked, default=now), told, self._agenda)

    def _publish(self, agenda: DeskAgenda) -> None:
        with self._changed:
            self._next = agenda.peek()
            self._built = not self._stale and self._looked_at is not None
            self._changed.notify_all()

    def _wait_for_next(self) -> None:
        """Wait until the next moment, or until it is time to look for new bars."""
        until = None if self._next is None else self._next[0]
        if not self._clock.speed:
            # The test's or the rehearsal's clock wakes who waits for it.
            self._clock.wait(self._changed, until)
            return
        look_at = self._clock.micros() + round(self._look_s * self._clock.speed * 1_000_000)
        self._clock.wait(self._changed, look_at if until is None else min(until, look_at))

    def _fail(self, problem: Exception) -> None:
        if not self._trouble:
            _log.exception("market data does not pass the desk; it will be tried again")
            try:
                self._on_trouble(problem)
            except StoreError as second:
                _log.error("no alert could be stored: %s", second)
        pause_s = _PAUSES_S[min(self._trouble, len(_PAUSES_S) - 1)]
        self._trouble += 1
        with self._changed:
            if not self._stopped:
                self._changed.wait(pause_s)
