"""A live desk whose days go by when a test says so; bars are the shipped history's."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from closingbell.app import App
from closingbell.core.clock import to_micros
from closingbell.store.active import StoredActive
from tests.acceptance.desk import PATIENCE_S, StandingClock, eventually, make_app

#: Monday of Thanksgiving week, an hour before New York opens.
MONDAY = datetime(2012, 11, 19, 13, 30, tzinfo=UTC)
#: Its sessions in UTC; Thursday is a holiday, Friday ends early.
OPENS = ["19 14:30", "20 14:30", "21 14:30", "23 14:30"]
CLOSES = ["19 21:00", "20 21:00", "21 21:00", "23 18:00"]


class TradingDays:
    """An app on a clock that stands still between the instants that a test names."""

    def __init__(
        self,
        address: str,
        start: datetime = MONDAY,
        clock: StandingClock | None = None,
        **more: Any,
    ) -> None:
        self.clock = clock or StandingClock(start)
        self.app: App = make_app(address, self.clock, **{"timezone": "America/New_York", **more})
        self.seen: list[Any] = []

    def at(self, text: str) -> datetime:
        """Return an instant of November 2012, in UTC, such as "20 14:30"."""
        return datetime.fromisoformat(f"2012-11-{text}").replace(tzinfo=UTC)

    def go(self, text: str) -> None:
        """Move to an instant, and wait until all that is due by then is done."""
        self.clock.advance(self.at(text))
        self.settle()

    def settle(self) -> None:
        """Wait until nothing that is due is left, in the market or among the tasks."""
        active, floor, now = StoredActive(self.app.store.database), self.app.machinery.floor, None
        now = self.clock.micros()

        def is_done() -> bool:
            pump = floor._pump
            if active.firings_until(now) or active.runs_until(now):
                return False
            # Openings of this very instant come last.
            return pump is None or (pump.wait_for(now, 0.05) and _is_past(pump, now))

        eventually(is_done, "all that is due is done")

    def days(self, *numbers: int) -> None:
        """Let sessions of the week pass, by number from 0, step by step."""
        for number in numbers:
            self.go(OPENS[number])
            self.go(CLOSES[number])

    def fills(self, account: str = "main") -> list[Any]:
        """Return (symbol, signed quantity, price, when in UTC) of the account's trades."""
        return [
            (e.symbol, e.quantity, e.price, f"{_utc(e.at):%d %H:%M}")
            for e in self.app.store.ledger.entries(account, kind="fill")
        ]


def _is_past(pump: Any, now: int) -> bool:
    with pump._changed:
        following = pump._next
    return following is None or following[0] > now


def _utc(micros: int) -> datetime:
    from closingbell.core.clock import from_micros

    return from_micros(micros)


def micros(text: str) -> int:
    return to_micros(datetime.fromisoformat(f"2012-11-{text}").replace(tzinfo=UTC))


#: How long a test waits for a replay.
REPLAY_S = PATIENCE_S * 4
