"""Backtests that a service keeps."""

from __future__ import annotations

from collections.abc import AsyncIterator

from closingbell.client.asynchronous.transport import AsyncTransport
from closingbell.client.request import Request, path
from closingbell.wire.backtest import BacktestInfo, BacktestReport


class AsyncBacktests:
    """What strategies would have done."""

    def __init__(self, transport: AsyncTransport) -> None:
        """Make it; use `client.backtests`."""
        self._transport = transport

    def all(self) -> AsyncIterator[BacktestInfo]:
        """Yield backtests, the newest first."""
        return self._transport.walk(("backtests",), BacktestInfo)

    async def get(self, backtest_id: str) -> BacktestReport:
        """Return one backtest with its report."""
        return await self._transport.get(("backtests", backtest_id), BacktestReport)

    async def page(self, backtest_id: str) -> str:
        """Return a backtest's report as a page, HTML."""
        response = await self._transport.send(
            Request("GET", path("backtests", backtest_id, "page"), headers={"Accept": "text/html"})
        )
        return response.text
