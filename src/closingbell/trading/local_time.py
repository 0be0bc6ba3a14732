"""Local time: instants at the `algorithm` door, naive in the app's zone.

Trading scripts compare what they get with times of their own that name no zone. Here those
are times of the app's zone, wherever the machine stands; aware ones are taken as they are. Of an
hour that a clock change repeats, `fold` tells the second.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from closingbell.core.clock import from_micros, to_micros
from closingbell.core.error import ArgumentRefused


class LocalTime:
    """Reads and writes the local times of one zone."""

    __slots__ = ("zone",)

    def __init__(self, zone: ZoneInfo) -> None:
        self.zone = zone

    def show(self, micros: int) -> datetime:
        """Return an instant as a naive local time; `fold` is 1 in a repeated hour's second run."""
        return from_micros(micros).astimezone(self.zone).replace(tzinfo=None)

    def show_aware(self, instant: datetime) -> datetime:
        """Return an aware instant as a naive local time."""
        return instant.astimezone(self.zone).replace(tzinfo=None)

    def read(self, given: Any, argument: str) -> int:
        """Return a local time, a date (its first instant), or their ISO text, as microseconds.

        A time that a clock change skips counts as the instant that the clock would have shown
        without the change.

        Raises:
            ArgumentRefused: it is none of these.
        """
        instant = given
        if isinstance(instant, str):
            try:
                instant = datetime.fromisoformat(instant)
            except ValueError:
                instant = None
        elif isinstance(instant, date) and not isinstance(instant, datetime):
            instant = datetime.combine(instant, time())
        if not isinstance(instant, datetime):
            raise ArgumentRefused(
                argument, given, "a datetime, a date, or ISO text such as '2012-11-21'"
            )
        if instant.tzinfo is None:
            instant = instant.replace(tzinfo=self.zone)
        return to_micros(instant.astimezone(UTC))
