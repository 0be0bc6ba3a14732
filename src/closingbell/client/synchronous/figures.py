"""Figures of a service: how it does now, and how runs went."""

from __future__ import annotations

from closingbell.client.request import Request
from closingbell.client.synchronous.transport import Transport
from closingbell.wire.figure import Overview, Performance, Throughput
from closingbell.wire.health import Readiness
from closingbell.wire.worker import WorkerDetail, WorkerInfo


class Figures:
    """How it does."""

    def __init__(self, transport: Transport) -> None:
        """Make it; use `client.figures`."""
        self._transport = transport

    def overview(self) -> Overview:
        """Return what runs, waits, is late and has failed, what fires next, and who works."""
        return self._transport.get(("overview",), Overview)

    def performance(self, task: str | None = None, window: str = "24h") -> Performance:
        """Return durations, lateness and failures by task.

        Args:
            task: only this one.
            window: such as "15m", "24h", "7d", or "all".
        """
        return self._transport.get(("performance",), Performance, {"task": task, "window": window})

    def throughput(self, task: str | None = None, window: str = "1h") -> Throughput:
        """Return how many runs ended, as a time series."""
        return self._transport.get(("throughput",), Throughput, {"task": task, "window": window})

    def workers(self) -> list[WorkerInfo]:
        """Return who works, with what they have in hand."""
        return self._transport.get(("workers",), list[WorkerInfo])

    def worker(self, worker_id: str) -> WorkerDetail:
        """Return one worker."""
        return self._transport.get(("workers", worker_id), WorkerDetail)

    def is_ready(self) -> Readiness:
        """Return whether the service can do its work, and why not.

        Raises:
            ServiceUnreachable: it does not even say so.
        """
        return self._transport.ask_either(Request("GET", "/readyz"), Readiness, 503)

    def metrics(self) -> str:
        """Return the metrics as Prometheus reads them."""
        response = self._transport.send(Request("GET", "/metrics"))
        return response.text
