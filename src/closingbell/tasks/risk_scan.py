"""RiskScan: reads an account's risk figures, and tells a person what is above its limit."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple, Unpack

from closingbell.core.amount import ZERO, fraction
from closingbell.core.error import TaskDefinitionError, TradingError
from closingbell.task import TaskOptions
from closingbell.tasks import risk_figures as figures
from closingbell.tasks.ready_task import RELEASE, ReadyTask, exceeds

if TYPE_CHECKING:
    from datetime import datetime

    from closingbell.trading.algorithm import Algorithm

_HALF = Decimal("0.5")


class Finding(NamedTuple):
    """One figure beside its limit; `value` is None where it cannot be told."""

    figure: str
    value: Decimal | None
    limit: Decimal | None
    about: str

    @property
    def is_above(self) -> bool | None:
        """Whether the figure is above its limit; None where what was told before still stands."""
        if self.value is None or self.limit is None:
            return None
        release = _HALF if self.figure == "drawdown" else RELEASE
        return exceeds(self.value, self.limit, release)


class RiskScan(ReadyTask):
    """Look at drawdown, concentration, exposure, correlation and value at risk.

    It trades nothing. A figure that goes above its limit raises one alert, until it is at nine
    tenths of it again (a drawdown: until half of the way is made good); every run returns all
    figures.

    `value_at_risk` is historical: today's positions on the closes of the last `days` bars that
    all of them have, splits taken out. Shares are fractions of the account's value.
    """

    def __init__(
        self,
        *,
        max_drawdown: Any = 0.15,
        max_weight: Any = 0.25,
        max_correlated: Any = 0.5,
        correlation: float = 0.8,
        max_value_at_risk: Any = 0.05,
        confidence: float = 0.95,
        days: int = 250,
        least_days: int = 60,
        timeframe: str = "1d",
        name: str = "risk_scan",
        **options: Unpack[TaskOptions],
    ) -> None:
        """Declare the task; it runs every hour unless `options` say when.

        Args:
            max_drawdown: fraction of the peak; None = no limit, as for the other limits.
            max_weight: share of the largest position.
            max_correlated: share of the largest group of positions that move together.
            correlation: positions whose gains correlate so much move together.
            max_value_at_risk: share that is lost on a bad day.
            confidence: on a fraction `confidence` of the days less is lost.
            days: bars that are looked back on.
            least_days: with fewer, correlation and value at risk cannot be told.
            timeframe: of these bars.
            name: unique in its app.
            options: see `TaskOptions`.

        Raises:
            OrderRefused: a limit is no fraction above 0 and at most 1.
            DefinitionError: another argument is impossible, or an option cannot be read.
        """
        super().__init__(name, {"interval": "1h", "priority": 2, "tags": ["risk"]}, options)
        self.limits = {
            "drawdown": _limit(max_drawdown, "max_drawdown"),
            "weight": _limit(max_weight, "max_weight"),
            "correlated": _limit(max_correlated, "max_correlated"),
            "value_at_risk": _limit(max_value_at_risk, "max_value_at_risk"),
        }
        if not (0 < correlation <= 1 and 0.5 <= confidence < 1):
            raise TaskDefinitionError(
                name,
                "expected a correlation above 0 and at most 1, and a confidence from 0.5 to below "
                f"1, found {correlation} and {confidence}",
            )
        if not 2 <= least_days <= days:
            problem = f"expected 2 <= least_days <= days, found {least_days} and {days}"
            raise TaskDefinitionError(name, problem)
        self.correlation, self.confidence = correlation, confidence
        self.days, self.least_days, self.timeframe = days, least_days, timeframe
        #: By symbol: when its newest bar ended, and closes until then.
        self._closes: dict[str, tuple[datetime, dict[datetime, Decimal]]] = {}

    def run(self, algorithm: Algorithm, threshold: Decimal | None = None) -> dict[str, Any]:
        """Read all figures.

        Args:
            algorithm: of the run.
            threshold: an amount of the account's currency that the exposure may have.

        Returns:
            Each figure as decimal text, None where it cannot be told, and the `breaches`.
        """
        found = self._findings(algorithm, threshold)
        for finding in found:
            self.alert_once(
                algorithm,
                finding.figure,
                finding.is_above,
                f"{finding.about} is above its limit of {finding.limit}",
                "ERROR",
                figure=finding.figure,
                value=str(finding.value),
                limit=str(finding.limit),
            )
        values = {f.figure: None if f.value is None else str(f.value) for f in found}
        return {**values, "breaches": [f.figure for f in found if f.is_above]}

    def _findings(self, algorithm: Algorithm, threshold: Decimal | None) -> list[Finding]:
        portfolio = algorithm.get_portfolio()
        equity = Decimal(portfolio.total_value)
        positions = {p.symbol: Decimal(p.current_value) for p in portfolio.positions}
        shares = figures.weights(positions, equity)
        largest = max(shares, key=lambda symbol: (shares[symbol], symbol), default=None)
        returns = self._returns(algorithm, list(positions))
        return [
            self._finding("drawdown", Decimal(portfolio.drawdown), "the drawdown"),
            self._finding(
                "weight", shares[largest] if largest else ZERO, f"the share of {largest}"
            ),
            self._finding("herfindahl", figures.herfindahl(positions), "the concentration"),
            Finding("exposure", figures.gross_exposure(positions), threshold, "the exposure"),
            self._correlated(positions, equity, returns),
            *self._losses(positions, equity, returns),
        ]

    def _finding(self, figure: str, value: Decimal | None, what: str) -> Finding:
        said = what if value is None else f"{what}, {value:.4f},"
        return Finding(figure, value, self.limits.get(figure), said)

    def _correlated(
        self,
        positions: Mapping[str, Decimal],
        equity: Decimal,
        returns: Mapping[str, list[float]] | None,
    ) -> Finding:
        if len(positions) < 2:
            return self._finding("correlated", ZERO, "the share of positions that move together")
        if returns is None:
            return self._finding("correlated", None, "the share of positions that move together")
        groups = figures.correlated_groups(positions, returns, self.correlation)
        group = groups[0] if groups else ()
        share = figures.correlated_weight(positions, group, equity)
        return self._finding("correlated", share, f"the share of {', '.join(group)} together")

    def _losses(
        self,
        positions: Mapping[str, Decimal],
        equity: Decimal,
        returns: Mapping[str, list[float]] | None,
    ) -> list[Finding]:
        names = ("value_at_risk", "expected_shortfall")
        whats = ("the share that a bad day costs", "the share that bad days cost on average")
        shares: list[Decimal | None]
        if not positions:
            shares = [ZERO, ZERO]
        elif returns is None:
            shares = [None, None]
        else:
            earned = figures.profits(positions, returns)
            losses = (
                figures.value_at_risk(earned, self.confidence),
                figures.expected_shortfall(earned, self.confidence),
            )
            shares = [None if loss is None else _share(loss, equity) for loss in losses]
        return [self._finding(*part) for part in zip(names, shares, whats, strict=True)]

    def _returns(self, algorithm: Algorithm, symbols: list[str]) -> dict[str, list[float]] | None:
        """Return the positions' returns of the bars that all have, or None for too few."""
        closes: dict[str, dict[datetime, Decimal]] = {}
        for symbol in symbols:
            try:
                closes[symbol] = self._history(algorithm, symbol)
            except TradingError as problem:
                algorithm.log("no history of %s: %s", symbol, problem)
                return None
        shared = sorted(set.intersection(*map(set, closes.values()))) if closes else []
        if len(shared) <= self.least_days:
            return None
        return {
            symbol: figures.simple_returns([prices[end] for end in shared])
            for symbol, prices in closes.items()
        }

    def _history(self, algorithm: Algorithm, symbol: str) -> dict[datetime, Decimal]:
        """Return closes by the end of their bars; read again only when there is a newer bar."""
        newest = algorithm.get_market_data(symbol, self.timeframe, limit=1)
        if not newest:
            return {}
        known = self._closes.get(symbol)
        if known is None or known[0] != newest[-1].end:
            bars = algorithm.get_market_data(
                symbol, self.timeframe, limit=self.days + 1, adjusted=True
            )
            known = newest[-1].end, {bar.end: Decimal(bar.close) for bar in bars}
            self._closes[symbol] = known
        return known[1]


def _share(loss: float, equity: Decimal) -> Decimal:
    """Return a loss as a share of the equity; any loss is too much for an account worth nothing."""
    if equity > 0:
        return Decimal(repr(loss)) / equity
    return figures.INFINITE if loss else ZERO


def _limit(given: Any, name: str) -> Decimal | None:
    return None if given is None else fraction(given, name)
