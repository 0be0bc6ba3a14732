"""The calls of an algorithm about what stands behind its market data: gaps, splits, dividends."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime

from closingbell.core.bar import CorporateAction, SessionHours
from closingbell.trading.account import Account
from closingbell.trading.local_time import LocalTime
from closingbell.trading.market.gap import find_gaps
from closingbell.trading.market.memory import MemoryBars
from closingbell.trading.market.protocol import Gap
from closingbell.trading.seat import Seat


class MarketCalls:
    """What stands behind the market data."""

    __slots__ = ()
    _seat: Seat
    _local: LocalTime
    _account_and: Callable[[str], tuple[Account, str]]

    def get_corporate_actions(self, symbol: str) -> list[CorporateAction]:
        """Return the splits and dividends of a symbol that are effective by now, oldest first.

        They are given as they are stored: `at` is in microseconds since the epoch.
        """
        _, name = self._account_and(symbol)
        return self._seat.market.actions(name)

    def get_market_data_gaps(
        self,
        symbol: str,
        timeframe: str | None = None,
        start: datetime | date | str | None = None,
        hours: SessionHours | None = None,
    ) -> list[Gap]:
        """Return where bars are missing between the first and the last one, oldest first.

        They are given as they are stored: times are in microseconds since the epoch.

        Args:
            symbol: whose.
            timeframe: of the bars; default the account's.
            start: only gaps between bars that start at or after it.
            hours: bars are expected in these sessions only, such as
                `closingbell.session_hours.session_hours("XNYS")` returns; None = always.

        Raises:
            UnknownSymbol: nothing of it is stored.
            CalendarError: the sessions are not known for all of it.
        """
        account, name = self._account_and(symbol)
        frame = timeframe or account.terms.timeframe
        since = None if start is None else self._local.read(start, "start")
        bars = self._seat.market.get(name, frame, since)
        return find_gaps(MemoryBars(bars, timeframe=frame), name, frame, hours)
