"""DataQuality: tells a person when market data has gaps, is old, or cannot be believed."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Unpack

from closingbell.core.bar import timeframe_seconds
from closingbell.core.clock import from_micros, to_micros
from closingbell.core.error import UnknownSymbol
from closingbell.task import TaskOptions
from closingbell.tasks.bar_quality import outliers
from closingbell.tasks.ready_task import ReadyTask

if TYPE_CHECKING:
    from closingbell.core.bar import SessionHours
    from closingbell.trading.algorithm import Algorithm

_DAY = timedelta(days=1)


class DataQuality(ReadyTask):
    """Look at stored bars for gaps, staleness and moves that are hardly true.

    Prices that contradict each other (a low above a high) never come this far: the store refuses
    them. An alert is raised once for each symbol and trouble, until it is mended.
    """

    def __init__(
        self,
        symbols: Collection[str] | None = None,
        *,
        timeframe: str = "1d",
        venue: str | None = "XNYS",
        days: int = 365,
        late_bars: int = 1,
        times: float = 12.0,
        least_move: float = 0.25,
        name: str = "data_quality",
        **options: Unpack[TaskOptions],
    ) -> None:
        """Declare the task; it runs daily at 06:00 unless `options` say when.

        Args:
            symbols: which; None = all that are stored.
            timeframe: of the bars.
            venue: whose sessions the bars follow; None = the market never closes.
            days: how far it looks back.
            late_bars: so many bars may be missing at the end.
            times: a close-to-close move that is larger than so many times the median one, ...
            least_move: ... and than this fraction, is an outlier. Splits are taken out before.
            name: unique in its app.
            options: see `TaskOptions`.

        Raises:
            CalendarError: the venue is unknown.
            MarketDataError: the timeframe cannot be read.
            DefinitionError: an option cannot be read.
        """
        default: TaskOptions = {"interval": "daily", "time": "06:00", "tags": ["data"]}
        super().__init__(name, default, options)
        self.symbols = None if symbols is None else list(symbols)
        self.timeframe = timeframe
        self.days, self.late_bars = days, late_bars
        self.times, self.least_move = times, least_move
        self._step_us = timeframe_seconds(timeframe) * 1_000_000
        self._hours: SessionHours | None = None
        if venue is not None:
            from closingbell.session_hours import session_hours

            self._hours = session_hours(venue)

    def run(self, algorithm: Algorithm) -> dict[str, dict[str, Any]]:
        """Look at each symbol; return what is wrong by symbol: `gaps`, `late`, `outliers`."""
        found: dict[str, dict[str, Any]] = {}
        for symbol in algorithm.get_symbols() if self.symbols is None else self.symbols:
            troubles = self._troubles(algorithm, symbol)
            for trouble in ("gaps", "late", "outliers"):
                told = troubles.get(trouble)
                self.alert_once(
                    algorithm,
                    f"{trouble}:{symbol}",
                    bool(told),
                    f"{symbol}, bars of {self.timeframe}, {trouble}: {told}",
                    symbol=symbol,
                    found=told,
                )
            if troubles:
                found[symbol] = troubles
        return found

    def _troubles(self, algorithm: Algorithm, symbol: str) -> dict[str, Any]:
        since = algorithm.now() - timedelta(days=self.days)
        try:
            bars = algorithm.get_market_data(symbol, self.timeframe, since, adjusted=True)
        except UnknownSymbol:
            return {"late": "there are none at all"}
        if not bars:
            if self.symbols is None and not algorithm.get_market_data(symbol, self.timeframe):
                # Nothing of it is known yet, or only in another timeframe.
                return {}
            return {"late": f"there are none of the last {self.days} days"}
        gaps = [
            {
                "from": from_micros(gap.start).isoformat(),
                "to": from_micros(gap.end).isoformat(),
                "missing": gap.missing,
            }
            for gap in algorithm.get_market_data_gaps(symbol, self.timeframe, since, self._hours)
        ]
        missing = self._missing_at_end(algorithm, symbol)
        odd = [
            {"at": move.at.isoformat(), "change": round(move.change, 4)}
            for move in outliers(bars, times=self.times, least=self.least_move)
        ]
        late = f"{missing} are missing at the end" if missing > self.late_bars else None
        return {k: v for k, v in {"gaps": gaps, "late": late, "outliers": odd}.items() if v}

    def _missing_at_end(self, algorithm: Algorithm, symbol: str) -> int:
        """Return how many bars should be over by now and are not stored."""
        [newest] = algorithm.get_market_data(symbol, self.timeframe, limit=1).to_arrow()["end"]
        end, now = to_micros(newest.as_py()), to_micros(algorithm.context.as_of)
        if self._hours is None:
            return (now - end) // self._step_us
        sessions = self._hours((from_micros(end) - _DAY).date(), (from_micros(now) + _DAY).date())
        over = 0
        for _, opens, closes in sessions:
            since, until = max(opens, end), min(closes, now)
            if self.timeframe == "1d":
                over += end < closes <= now
            elif until > since:
                over += (until - since) // self._step_us
        return over
