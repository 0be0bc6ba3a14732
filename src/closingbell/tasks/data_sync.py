"""DataSync: brings market data from a provider into the store."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol, Unpack, runtime_checkable

from closingbell.core.error import (
    LookAhead,
    MarketDataError,
    TaskDefinitionError,
    UnknownSymbol,
)
from closingbell.task import TaskOptions
from closingbell.tasks.ready_task import ReadyTask

if TYPE_CHECKING:
    from closingbell.trading.algorithm import Algorithm
    from closingbell.trading.market.protocol import StoreResult


class LatestProvider(Protocol):
    """A provider that knows what is newest."""

    def get_latest_data(self, symbol: str) -> Any:
        """Return bars, rows, a table, or a price: whatever `store_market_data` takes."""
        ...


@runtime_checkable
class BarProvider(Protocol):
    """A provider that can also be asked for what is missing."""

    def get_bars(self, symbol: str, timeframe: str, since: datetime | None) -> Any:
        """Return bars that start at `since` (naive local time) or later; None = all of them."""
        ...


#: Mistakes in the data or the call: asking again gives the same.
_FINAL = (MarketDataError, LookAhead)


class DataSync(ReadyTask):
    """Fetch and store the data of several symbols, each by itself.

    A symbol that fails holds up no other one. What cannot be fetched is asked for again, with
    longer and longer waits; data that is wrong is refused by the store and not asked for again.
    For each symbol that fails there is one alert, until it works again. When none works the run
    fails, and the task's retry policy takes over.
    """

    def __init__(
        self,
        symbols: Collection[str],
        provider: LatestProvider | BarProvider,
        *,
        timeframe: str | None = None,
        tries: int = 3,
        wait_s: float = 1.0,
        name: str = "data_sync",
        **options: Unpack[TaskOptions],
    ) -> None:
        """Declare the task; it runs every minute unless `options` say when.

        Args:
            symbols: which.
            provider: with a method `get_bars(symbol, timeframe, since)`, which is asked from the
                newest stored bar on, or `get_latest_data(symbol)`.
            timeframe: of the bars; None = as the data say, which `get_bars` does not allow.
            tries: how often a symbol is asked for in one run.
            wait_s: seconds before the second try; each further wait is twice as long.
            name: unique in its app.
            options: see `TaskOptions`.

        Raises:
            DefinitionError: an argument is impossible, or an option cannot be read.
        """
        super().__init__(name, {"interval": "1m", "overlap": "skip", "tags": ["data"]}, options)
        if isinstance(symbols, str):
            raise TaskDefinitionError(name, f"symbols is a list, found the text {symbols!r}")
        if tries < 1 or wait_s < 0:
            problem = f"expected 1 try or more, and a wait of 0 or more: {tries}, {wait_s}"
            raise TaskDefinitionError(name, problem)
        if isinstance(provider, BarProvider) and timeframe is None:
            problem = "a provider with get_bars needs a timeframe, such as '1d'"
            raise TaskDefinitionError(name, problem)
        self.symbols = list(symbols)
        self.provider = provider
        self.timeframe = timeframe
        self.tries = tries
        self.wait_s = wait_s

    def run(self, algorithm: Algorithm, source: str | None = None) -> dict[str, Any]:
        """Fetch and store each symbol.

        Args:
            algorithm: of the run.
            source: what asked for it; kept with the result.

        Returns:
            `added`, `changed` and `unchanged` bars over all symbols, and `failed` ones with why.

        Raises:
            Exception: the last symbol's, when none worked.
        """
        counts = {"added": 0, "changed": 0, "unchanged": 0}
        failed: dict[str, str] = {}
        problem: Exception | None = None
        for symbol in self.symbols:
            try:
                stored = self._sync(algorithm, symbol)
            except Exception as error:
                problem = error
                failed[symbol] = f"{type(error).__name__}: {error}"
                algorithm.log("%s: %s", symbol, failed[symbol])
            else:
                counts["added"] += stored.added
                counts["changed"] += stored.changed
                counts["unchanged"] += stored.bars - stored.added - stored.changed
            self.alert_once(
                algorithm,
                f"failed:{symbol}",
                symbol in failed,
                f"no data for {symbol}: {failed.get(symbol)}",
                symbol=symbol,
            )
        if problem is not None and len(failed) == len(self.symbols):
            raise problem
        return {**counts, "failed": failed, **({} if source is None else {"source": source})}

    def _sync(self, algorithm: Algorithm, symbol: str) -> StoreResult:
        count = 0
        while True:
            count += 1
            try:
                data = self._fetch(algorithm, symbol)
                return algorithm.store_market_data(symbol, data, timeframe=self.timeframe)
            except _FINAL:
                raise
            except Exception as error:
                if count == self.tries:
                    raise
                algorithm.log("%s, try %d: %s", symbol, count, error)
                algorithm.sleep(self.wait_s * 2 ** (count - 1))

    def _fetch(self, algorithm: Algorithm, symbol: str) -> Any:
        provider = self.provider
        if isinstance(provider, BarProvider) and self.timeframe is not None:
            since = _newest(algorithm, symbol, self.timeframe)
            return provider.get_bars(symbol, self.timeframe, since)
        latest: LatestProvider = provider  # type: ignore[assignment]
        return latest.get_latest_data(symbol)


def _newest(algorithm: Algorithm, symbol: str, timeframe: str) -> datetime | None:
    """Return when the newest stored bar starts; it is asked for again, as it may have changed."""
    try:
        bars = algorithm.get_market_data(symbol, timeframe, limit=1)
    except UnknownSymbol:
        return None
    return bars[-1].start if bars else None
