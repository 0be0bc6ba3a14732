"""Trading calendars of a service."""

from __future__ import annotations

from datetime import date

from closingbell.client.asynchronous.transport import AsyncTransport
from closingbell.wire.calendar import CalendarInfo, VenueList


class AsyncCalendars:
    """When venues trade."""

    def __init__(self, transport: AsyncTransport) -> None:
        """Make it; use `client.calendars`."""
        self._transport = transport

    async def venues(self) -> VenueList:
        """Return the venues that are known."""
        return await self._transport.get(("calendars",), VenueList)

    async def get(
        self, venue: str, first: date | None = None, last: date | None = None
    ) -> CalendarInfo:
        """Return a venue's sessions and holidays between two dates, both included."""
        values = {"from": first, "to": last}
        return await self._transport.get(("calendars", venue), CalendarInfo, values)
