"""The PostgreSQL server's time, which all workers on it share."""

from __future__ import annotations

from closingbell.core.clock import Clock
from closingbell.core.error import StoreError
from closingbell.store.postgres_link import Links
from closingbell.store.postgres_sql import SERVER_MICROS

#: How often the server is asked, in machine seconds.
_EVERY_S = 30.0


class ServerClock:
    """Asked for now and then, and carried on by the machine's monotonic clock in between.

    A step of this machine's wall clock does not move it.
    """

    def __init__(self, links: Links, clock: Clock) -> None:
        self._links = links
        self._clock = clock
        self._asked_at = 0.0
        self._offset: int | None = None

    def micros(self) -> int:
        """Return microseconds since the Unix epoch.

        Raises:
            StoreError: the server was never asked, and does not answer.
        """
        now = self._clock.monotonic()
        if self._offset is None or now - self._asked_at > _EVERY_S:
            try:
                self._offset, self._asked_at = self._ask(), now
            except StoreError:
                if self._offset is None:
                    raise
        return self._offset + round(self._clock.monotonic() * 1_000_000)

    def _ask(self) -> int:
        with self._links.open() as link:
            before = self._clock.monotonic()
            row = link.execute(SERVER_MICROS).fetchone()
            after = self._clock.monotonic()
        micros = int(row[0]) if row else 0
        return micros - round((before + after) / 2 * 1_000_000)
