"""Client: one service, by noun."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self

from closingbell.client.address import find_address
from closingbell.client.change import Told, read_change
from closingbell.client.event_stream import EventReader
from closingbell.client.request import Request, path, query
from closingbell.client.synchronous.alerts import Alerts
from closingbell.client.synchronous.approvals import Approvals
from closingbell.client.synchronous.audit import Audit
from closingbell.client.synchronous.backtests import Backtests
from closingbell.client.synchronous.batches import Batches
from closingbell.client.synchronous.calendars import Calendars
from closingbell.client.synchronous.desk import Desk
from closingbell.client.synchronous.events import Events
from closingbell.client.synchronous.figures import Figures
from closingbell.client.synchronous.runs import Runs
from closingbell.client.synchronous.schedules import Schedules
from closingbell.client.synchronous.tasks import Tasks
from closingbell.client.synchronous.tokens import Tokens
from closingbell.client.synchronous.transport import Transport


class Client:
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
            http: an `httpx.Client` of your own, for proxies and certificates; its
                `base_url` is that of the service.

        Raises:
            SettingError: the address or the token is none.
        """
        address = find_address(url, token, token_file, insecure=insecure)
        self._transport = transport = Transport(address, timeout_s, tries, http)
        self.runs = Runs(transport)
        self.batches = Batches(transport)
        self.approvals = Approvals(transport)
        self.tasks = Tasks(transport)
        self.schedules = Schedules(transport)
        self.events = Events(transport)
        self.calendars = Calendars(transport)
        self.desk = Desk(transport)
        self.backtests = Backtests(transport)
        self.figures = Figures(transport)
        self.alerts = Alerts(transport)
        self.audit = Audit(transport)
        self.tokens = Tokens(transport)

    @property
    def url(self) -> str:
        """Where the service is."""
        return self._transport.address.url

    def follow(self, topics: Sequence[str] = (), *, last_id: str | None = None) -> Iterator[Told]:
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
        for event in self._transport.follow(request, reader, "never"):
            told = read_change(event)
            if told is not None:
                yield told

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
