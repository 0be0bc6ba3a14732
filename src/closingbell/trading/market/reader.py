"""MarketReader: what an algorithm may know of the market now, and nothing later."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from closingbell.core.bar import BarSource, CorporateAction
from closingbell.core.clock import from_micros
from closingbell.core.error import LookAhead, MarketDataError, UnknownSymbol
from closingbell.trading.market.action import adjusted as adjusted_bars
from closingbell.trading.market.bars import Bars
from closingbell.trading.market.soundness import require_timeframe

_EVER = -(1 << 62)


class MarketReader:
    """Point-in-time reads: a bar is known from its end on, an action from its instant on.

    A bar that was stored again with other values is read with the new ones.

    Args:
        source: of what.
        known_until: returns the present instant in microseconds.
    """

    __slots__ = ("_known_until", "_source")

    def __init__(self, source: BarSource, known_until: Callable[[], int]) -> None:
        self._source = source
        self._known_until = known_until

    @property
    def known_until(self) -> int:
        """The present instant: nothing later is read."""
        return self._known_until()

    def symbols(self) -> Sequence[str]:
        """Return the symbols that have bars, sorted."""
        return self._source.symbols()

    def get(
        self,
        symbol: str,
        timeframe: str = "1d",
        start: int | None = None,
        end: int | None = None,
        limit: int | None = None,
        *,
        adjusted: bool = False,
        dividends: bool = False,
    ) -> Bars:
        """Return bars that are over, oldest first.

        Args:
            symbol: whose, by its full name.
            timeframe: which; "quote" for single prices.
            start: only bars that start at or after it, in microseconds.
            end: only bars that end at or before it; None = now.
            limit: only the newest so many.
            adjusted: as if the splits that are effective by now had always been, so that levels
                before and after compare.
            dividends: with `adjusted`, for dividends too.

        Raises:
            LookAhead: `end` or `start` is later than now.
            UnknownSymbol: nothing of it is stored.
            MarketDataError: the timeframe cannot be read, or `limit` is negative.
        """
        require_timeframe(timeframe)
        now = self._known_until()
        latest = max(moment for moment in (start, end, now) if moment is not None)
        if latest > now:
            raise LookAhead(symbol, from_micros(latest), from_micros(now))
        if limit is not None and limit < 0:
            raise MarketDataError(symbol, f"limit is {limit}", "expected 0 or more")
        found = self._source.bars(
            symbol, timeframe, _EVER if start is None else start, now if end is None else end, limit
        )
        if not found:
            known = self._source.symbols()
            if symbol not in known:
                raise UnknownSymbol(symbol, known)
        if adjusted and found:
            return Bars(adjusted_bars(found, self.actions(symbol), dividends=dividends))
        return Bars(found)

    def actions(self, symbol: str) -> list[CorporateAction]:
        """Return the symbol's corporate actions that are effective by now, oldest first."""
        effective = self._source.actions(_EVER, self._known_until() + 1)
        return [action for action in effective if action.symbol == symbol]
