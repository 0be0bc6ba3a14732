"""The trading desk of a service, to be read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from closingbell.client.synchronous.transport import Transport
from closingbell.wire.desk import (
    AccountInfo,
    EntryInfo,
    EquityCurve,
    OrderDetail,
    OrderInfo,
    PortfolioInfo,
    PositionInfo,
    Trade,
)


class Desk:
    """Accounts, orders and journals. Amounts are `Decimal`."""

    def __init__(self, transport: Transport) -> None:
        """Make it; use `client.desk`."""
        self._transport = transport

    def accounts(self) -> Iterator[AccountInfo]:
        """Yield the accounts of the ledger by name."""
        return self._transport.walk(("accounts",), AccountInfo)

    def portfolio(self, account: str = "main") -> PortfolioInfo:
        """Return what an account is worth, and what it holds."""
        return self._transport.get(("accounts", account), PortfolioInfo)

    def positions(self, account: str = "main") -> list[PositionInfo]:
        """Return what an account holds."""
        return self._transport.get(("accounts", account, "positions"), list[PositionInfo])

    def orders(
        self,
        account: str = "main",
        *,
        states: Sequence[str] = (),
        symbol: str | None = None,
        task: str | None = None,
        run_id: str | None = None,
    ) -> Iterator[OrderInfo]:
        """Yield orders, the newest first.

        Args:
            account: whose.
            states: only in these.
            symbol: only of this one.
            task: only those that this task made.
            run_id: only those that this run made.
        """
        values = {"state": states, "symbol": symbol, "task": task, "run": run_id}
        return self._transport.walk(("accounts", account, "orders"), OrderInfo, values)

    def order(self, order_id: str, account: str = "main") -> OrderDetail:
        """Return one order with its history and its trades."""
        return self._transport.get(("accounts", account, "orders", order_id), OrderDetail)

    def trades(
        self,
        account: str = "main",
        *,
        symbol: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Iterator[Trade]:
        """Yield trades, the newest first."""
        values = {"symbol": symbol, "since": since, "until": until}
        return self._transport.walk(("accounts", account, "trades"), Trade, values)

    def entries(
        self,
        account: str = "main",
        *,
        kinds: Sequence[str] = (),
        symbol: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Iterator[EntryInfo]:
        """Yield the lines of an account's journal, the newest first."""
        values = {"kind": kinds, "symbol": symbol, "since": since, "until": until}
        return self._transport.walk(("accounts", account, "entries"), EntryInfo, values)

    def equity(
        self,
        account: str = "main",
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        points: int = 400,
    ) -> EquityCurve:
        """Return an account's equity curve, thinned to so many points at most."""
        values = {"since": since, "until": until, "points": points}
        return self._transport.get(("accounts", account, "equity"), EquityCurve, values)
