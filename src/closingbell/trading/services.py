"""Services: what an algorithm asks of its surroundings beside the desk; live, or of a backtest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from closingbell.core.call import Call
from closingbell.core.ledger import Ledger, Maintenance
from closingbell.trading.market.protocol import MarketStore


class Services(Protocol):
    """The surroundings of a run."""

    @property
    def ledger(self) -> Ledger:
        """Accounts, orders and entries."""
        ...

    @property
    def catalogue(self) -> MarketStore:
        """Where market data is stored."""
        ...

    @property
    def maintenance(self) -> Maintenance:
        """Care for the database."""
        ...

    def task_status(self) -> Mapping[str, Mapping[str, Any]]:
        """Return how each task stands, by name; datetimes are aware."""
        ...

    def last_result(self, task: str) -> Any:
        """Return what a task's latest successful run returned, as JSON values; None without one."""
        ...

    def trigger_event(self, event_type: str, data: Mapping[str, Any]) -> list[str]:
        """Store an event and the runs that it starts; return their ids."""
        ...

    def event_of(self, call: Call) -> str | None:
        """Return the type of the event that started a run, or None when none did."""
        ...

    def send_alert(
        self, message: str, severity: str, call: Call | None, data: Mapping[str, Any]
    ) -> None:
        """Raise an alert that a person must see."""
        ...
