"""The trades that an exchange tells: of one order, or of everything since an instant."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from closingbell.core.amount import ZERO
from closingbell.trading.broker.ccxt_answer import CcxtAnswers, text
from closingbell.trading.broker.ccxt_client import CcxtClient
from closingbell.trading.broker.protocol import Execution, OrderReport

#: Lines of one answer: what every exchange gives at once.
PAGE = 500

#: Trades by their name: a line that is told twice is one trade.
Told = dict[str | None, Execution]


class CcxtTrades:
    """Asks one exchange for trades."""

    def __init__(self, client: CcxtClient, answers: CcxtAnswers) -> None:
        self._client = client
        self._answers = answers

    def of_order(self, symbol: str, report: OrderReport, start_ms: int) -> list[Execution]:
        """Return all trades of an order that can be seen.

        Args:
            symbol: of the order.
            report: where the order stands.
            start_ms: before its first trade.

        Raises:
            BrokerError: it could not be asked, or its answer cannot be read.
        """
        told: Told = {}
        if self._client.api.has.get("fetchOrderTrades") is True:
            told = self._read(lambda api: api.fetch_order_trades(report.broker_id, symbol), report)
        if sum((trade.quantity for trade in told.values()), ZERO) < report.filled:
            told |= self._pages(symbol, start_ms, report)
        return list(told.values())

    def since(self, symbols: Sequence[str], start_ms: int) -> list[Execution]:
        """Return all trades in symbols since an instant, oldest first; other people's too.

        Raises:
            BrokerError: it could not be asked, or its answer cannot be read.
        """
        told: Told = {}
        for symbol in sorted(set(symbols)):
            told |= self._pages(symbol, start_ms, None)
        return sorted(told.values(), key=lambda trade: (trade.at, trade.external_id or ""))

    def _pages(self, symbol: str, start_ms: int, report: OrderReport | None) -> Told:
        told: Told = {}
        while True:
            start, lines, newest = start_ms, 0, start_ms

            def page(api: Any, start: int = start) -> Any:
                nonlocal lines, newest
                answer = api.fetch_my_trades(symbol, start, PAGE)
                lines = len(answer)
                newest = max([start, *(int(line["timestamp"]) for line in answer)])
                return answer

            told |= self._read(page, report)
            if lines < PAGE or newest == start:
                return told
            start_ms = newest

    def _read(self, request: Callable[[Any], Any], report: OrderReport | None) -> Told:
        """Return trades; only those of one order where it is given."""
        order_id = (report.order_id if report is not None else None) or ""

        def ask(api: Any) -> Told:
            read = [
                self._answers.execution(line, order_id)
                for line in request(api)
                if report is None or text(line, "order") == report.broker_id
            ]
            return {trade.external_id: trade for trade in read}

        return self._client.call(ask)
