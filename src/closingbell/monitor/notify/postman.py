"""Postman: takes what is due out of the outbox, sends it, and says what became of it.

A message is claimed before it is sent and settled after. A process that dies in between leaves a
claim that ends, and another postman sends the message again, under the same id: at least once,
never lost.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import Protocol

from closingbell.core.clock import Clock
from closingbell.core.error import DeliveryFailed, StoreError
from closingbell.core.notification import Notification, wait_after
from closingbell.monitor.notify.channels import Channels

_log = logging.getLogger("closingbell.alerts")

#: How long one sender has a message for itself, in machine seconds.
CLAIM_S = 120.0
#: Messages that are taken at once, and how many channels are spoken to at once.
_AT_ONCE, _LINES = 16, 4
_DAY_US = 86_400_000_000
_SECOND = 1_000_000


class Outbox(Protocol):
    """Where messages are kept; see `closingbell.store.notifications`."""

    def next_due(self, channels: Sequence[str]) -> int | None: ...
    def claim(
        self, channels: Sequence[str], now: int, until: int, limit: int
    ) -> list[Notification]: ...
    def sent(self, one: Notification, now: int) -> bool: ...
    def put_off(self, one: Notification, until: int, error: str) -> bool: ...
    def give_up(self, one: Notification, now: int, error: str) -> bool: ...
    def forsaken(self, before: int, limit: int = 100) -> list[Notification]: ...


class Postman:
    """Sends the messages of the channels that are declared in this process."""

    def __init__(
        self,
        outbox: Outbox,
        channels: Channels,
        clock: Clock,
        rng: Random,
        not_before: Callable[[Notification, int], int],
    ) -> None:
        """Make a postman.

        Args:
            outbox: where messages are kept.
            channels: that this process can speak to.
            clock: the desk's time.
            rng: chance, for the jitter of waits.
            not_before: returns when a message that is put off to an instant may go out, as
                quiet hours may have begun meanwhile.
        """
        self._outbox = outbox
        self._channels = channels
        self._clock = clock
        self._rng = rng
        self._not_before = not_before

    def round(self) -> int:
        """Send what is due; return how many messages were taken out of the outbox."""
        now = self._clock.micros()
        self._bury(now)
        names = self._channels.names
        if not names:
            return 0
        taken = self._outbox.claim(names, now, now + self._micros(CLAIM_S), _AT_ONCE)
        lines: dict[str, list[Notification]] = {}
        for one in taken:
            lines.setdefault(one.channel, []).append(one)
        if len(lines) == 1:
            self._send_all(taken)
        elif lines:
            # A channel that hangs holds up nobody else's messages.
            with ThreadPoolExecutor(_LINES, "closingbell-notify") as pool:
                list(pool.map(self._send_all, lines.values()))
        return len(taken)

    def next_due(self) -> int | None:
        """Return when a message is due next; None = there is none."""
        return self._outbox.next_due(self._channels.names)

    def _send_all(self, messages: Sequence[Notification]) -> None:
        for one in messages:
            try:
                self.send(one)
            except StoreError as problem:
                # It was sent, perhaps; its claim ends, and it is sent again.
                _log.warning("what became of message %s is not stored: %s", one.id, problem)

    def send(self, one: Notification) -> bool:
        """Send a message that was claimed, and store what became of it; whether it was taken."""
        try:
            self._channels.get(one.channel).send(one, self._clock.now())
        except DeliveryFailed as problem:
            self._failed(one, problem)
            return False
        except Exception as problem:
            _log.exception("channel %r failed", one.channel)
            told = DeliveryFailed(one.channel, type(problem).__name__, retryable=True)
            self._failed(one, told)
            return False
        self._outbox.sent(one, self._clock.micros())
        return True

    def _failed(self, one: Notification, problem: DeliveryFailed) -> None:
        now = self._clock.micros()
        wait_s = wait_after(one.attempts, self._rng) if problem.retryable else None
        if wait_s is None:
            self._outbox.give_up(one, now, problem.problem)
            return
        until = now + self._micros(max(wait_s, problem.retry_after_s or 0.0))
        self._outbox.put_off(one, self._not_before(one, until), problem.problem)

    def _bury(self, now: int) -> None:
        """Give up what nobody has taken for a day: no process declares its channel."""
        for one in self._outbox.forsaken(now - self._micros(_DAY_US / _SECOND)):
            self._outbox.give_up(one, now, "no process that runs declares this channel")

    def _micros(self, seconds: float) -> int:
        # On a clock that runs fast a receiver still answers in the machine's time.
        return round(seconds * max(self._clock.speed, 1.0) * _SECOND)
