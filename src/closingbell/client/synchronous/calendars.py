"""Trading calendars of a service."""

from __future__ import annotations

from datetime import date

from closingbell.client.synchronous.transport import Transport
from closingbell.wire.calendar import CalendarInfo, VenueList


class Calendars:
    """When venues trade."""

    def __init__(self, transport: Transport) -> None:
        """Make it; use `client.calendars`."""
        self._transport = transport

    def venues(self) -> VenueList:
        """Return the venues that are known."""
        return self._transport.get(("calendars",), VenueList)

    def get(self, venue: str, first: date | None = None, last: date | None = None) -> CalendarInfo:
        """Return a venue's sessions and holidays between two dates, both included."""
        values = {"from": first, "to": last}
        return self._transport.get(("calendars", venue), CalendarInfo, values)
