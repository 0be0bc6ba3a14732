"""Backtests that a service keeps."""

from __future__ import annotations

from collections.abc import Iterator

from closingbell.client.request import Request, path
from closingbell.client.synchronous.transport import Transport
from closingbell.wire.backtest import BacktestInfo, BacktestReport


class Backtests:
    """What strategies would have done."""

    def __init__(self, transport: Transport) -> None:
        """Make it; use `client.backtests`."""
        self._transport = transport

    def all(self) -> Iterator[BacktestInfo]:
        """Yield backtests, the newest first."""
        return self._transport.walk(("backtests",), BacktestInfo)

    def get(self, backtest_id: str) -> BacktestReport:
        """Return one backtest with its report."""
        return self._transport.get(("backtests", backtest_id), BacktestReport)

    def page(self, backtest_id: str) -> str:
        """Return a backtest's report as a page, HTML."""
        response = self._transport.send(
            Request("GET", path("backtests", backtest_id, "page"), headers={"Accept": "text/html"})
        )
        return response.text
