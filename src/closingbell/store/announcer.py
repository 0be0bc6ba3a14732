"""Facts on their way: events, and the runs that they start, in the transaction of the fact."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection

from closingbell.core.clock import Clock
from closingbell.core.error import StoreError
from closingbell.core.ledger import Fact
from closingbell.store.codec import to_json
from closingbell.store.events import StoredEvents


def _nobody_waits() -> None:
    """Leave new runs to those who look for them."""


class Announcer:
    """What becomes of the facts that a change carries.

    A store knows no tasks: by itself it stores each fact as an event that starts nothing.
    Who knows the tasks sets the two attributes, before the first change is recorded.

    Attributes:
        emit: called inside the change's transaction with its connection and its facts, in
            order; stores the events and the runs that they start on that connection, and
            returns whether there are runs. What it raises undoes the whole change.
        on_started: called after the commit when there were runs, from the thread that
            recorded the change.
    """

    def __init__(self, events: StoredEvents, clock: Clock) -> None:
        self._events = events
        self._clock = clock
        self.emit: Callable[[Connection, Sequence[Fact]], bool] = self._store
        self.on_started: Callable[[], None] = _nobody_waits

    def announce(self, connection: Connection, facts: Sequence[Fact]) -> bool:
        """Store facts inside the open transaction; return whether runs were started."""
        return bool(facts) and self.emit(connection, facts)

    def follow_up(self, started: bool) -> None:
        """Do what comes after the commit."""
        if started:
            # The change is true whatever comes now; a worker finds its runs by itself, too.
            with contextlib.suppress(StoreError):
                self.on_started()

    def _store(self, connection: Any, facts: Sequence[Fact]) -> bool:
        now = self._clock.micros()
        for fact in facts:
            data = to_json(fact.data)
            self._events.record(uuid4().hex, fact.type, data, [], now, connection)
        return False
