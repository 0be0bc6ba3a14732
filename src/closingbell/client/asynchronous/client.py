"""AsyncClient: one service, by noun."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, Self

from closingbell.client.address import find_address
from closingbell.client.asynchronous.alerts import AsyncAlerts
from closingbell.client.asynchronous.approvals import AsyncApprovals
from closingbell.client.asynchronous.audit import AsyncAudit
from closingbell.client.asynchronous.backtests import AsyncBacktests
from closingbell.client.asynchronous.batches import AsyncBatches
from closingbell.client.asynchronous.calendars import AsyncCalendars
from closingbell.client.asynchronous.desk import AsyncDesk
from closingbell.client.asynchronous.events import AsyncEvents
from closingbell.client.asynchronous.figures import AsyncFigures
from closingbell.client.asynchronous.runs import AsyncRuns
from closingbell.client.asynchronous.schedules import AsyncSchedules
from closingbell.client.asynchronous.tasks import AsyncTasks
from closingbell.client.asynchronous.tokens import AsyncTokens
from closingbell.client.asynchronous.transport import AsyncTransport
from closingbell.client.change import Told, read_change
from closingbell.client.event_stream import EventReader
from closingbell.client.request import Request, path, query


class AsyncClient:
    """A client of one service; use it as a context, or `close` it.

    Attributes:
        runs: what ran, runs, and will run.
        batches: runs that are submitted together.
        approvals: runs that wait for people.
        tasks: what can be run.
        schedules: when tasks run by themselves.
        events: named facts that start runs.
        calendars: when venues trade.
        desk: accounts, orders and journals.
        backtests: what strategies would have done.
        figures: how it does, and who works.
        alerts: what a person must see, and who is told.
        audit: who did what.
        tokens: who may come in.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        token: str | None = None,
        token_file: str | Path | None = None,
        timeout_s: float = 30.0,
        tries: int = 4,
        insecure: bool = False,
        http: Any = None,
    ) -> None:
        """Make a client; nothing is sent before the first call.

        Args:
            url: of the service; default CLOSINGBELL_URL, else this machine's.
            token: an API token; default that of `token_file`, else CLOSINGBELL_TOKEN.
            token_file: a file with the token in its first line.
            timeout_s: how long an answer may take, in seconds.
            tries: how often a request is sent at most, where sending it again is safe.
            insecure: send the token over plain http to another machine, too.
            http: an `httpx.AsyncClient` of your own, for proxies and certificates; its
                `base_url` is that of the service.

        Raises:
            SettingError: the address or the token is none.
        """
        address = find_address(url, token, token_file, insecure=insecure)
        self._transport = transport = AsyncTransport(address, timeout_s, tries, http)
        self.runs = AsyncRuns(transport)
        self.batches = AsyncBatches(transport)
        self.approvals = AsyncApprovals(transport)
        self.tasks = AsyncTasks(transport)
        self.schedules = AsyncSchedules(transport)
        self.events = AsyncEvents(transport)
        self.calendars = AsyncCalendars(transport)
        self.desk = AsyncDesk(transport)
        self.backtests = AsyncBacktests(transport)
        self.figures = AsyncFigures(transport)
        self.alerts = AsyncAlerts(transport)
        self.audit = AsyncAudit(transport)
        self.tokens = AsyncTokens(transport)

    @property
    def url(self) -> str:
        """Where the service is."""
        return self._transport.address.url

    async def follow(
        self, topics: Sequence[str] = (), *, last_id: str | None = None
    ) -> AsyncIterator[Told]:
        """Yield what changes, for ever; a lost connection is made anew where it broke.

        Args:
            topics: "runs", "alerts", "schedules", ...; default all.
            last_id: resume after this place: the `id` of what was told before.

        Raises:
            NotSignedIn: the token is refused, or is no longer good.
            ServiceUnreachable: it could not be reached in the first place.
        """
        request = Request("GET", path("stream"), query({"topics": ",".join(topics) or None}))
        reader = EventReader(last_id)
        async for event in self._transport.follow(request, reader, "never"):
            told = read_change(event)
            if told is not None:
                yield told

    async def close(self) -> None:
        """Close the connections."""
        await self._transport.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
