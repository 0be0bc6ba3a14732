"""StrategyStage: where the versions of a strategy stand, and what may follow. Pure.

    draft -> backtested -> paper -> live -> retired
                             |        |
                             +--------+--> rolled_back

A version that was rolled back or retired may go to backtested again by a new gate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum
from typing import Any


class Stage(StrEnum):
    """Where a version stands."""

    DRAFT = "draft"
    BACKTESTED = "backtested"
    PAPER = "paper"
    LIVE = "live"
    ROLLED_BACK = "rolled_back"
    RETIRED = "retired"


#: What may follow what.
_NEXT = {
    Stage.DRAFT: {Stage.BACKTESTED, Stage.RETIRED},
    Stage.BACKTESTED: {Stage.PAPER, Stage.DRAFT, Stage.RETIRED},
    Stage.PAPER: {Stage.LIVE, Stage.ROLLED_BACK, Stage.RETIRED},
    Stage.LIVE: {Stage.ROLLED_BACK, Stage.RETIRED},
    Stage.ROLLED_BACK: {Stage.BACKTESTED, Stage.LIVE},
    Stage.RETIRED: {Stage.BACKTESTED, Stage.LIVE},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version of a strategy: its name and its parameters, which never change."""

    name: str
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a version stands.

    Attributes:
        since: when it came there, ISO text of naive local time.
        reason: why.
        value: of its account at the last look; flows: net deposits then. Empty before the first.
        growth: what one unit has become since it came to its stage; peak: the most it was.
        looks: how often it was looked at there.
        account: of a version that was rolled back: where it traded.
    """

    stage: Stage = Stage.DRAFT
    since: str = ""
    reason: str = "declared"
    value: str = ""
    flows: str = ""
    growth: str = "1"
    peak: str = "1"
    looks: int = 0
    account: str = ""

    @property
    def drawdown(self) -> Decimal:
        """How far the growth is below its peak, as a fraction."""
        return 1 - Decimal(self.growth) / Decimal(self.peak)

    def refusal(self, stage: Stage) -> str | None:
        """Return why it cannot go to a stage, or None when it can."""
        allowed = _NEXT[self.stage]
        if stage in allowed:
            return None
        return f"what is {self.stage} cannot be {stage}, only {' or '.join(sorted(allowed))}"

    def looked_at(self, value: Decimal, flows: Decimal) -> Standing:
        """Return the standing after a look at its account.

        What came in or went out since the last look is no gain. An account that is worth nothing,
        or less, has lost all.
        """
        growth = Decimal(self.growth)
        if self.value:
            before = Decimal(self.value)
            gained = value - (flows - Decimal(self.flows))
            growth = growth * gained / before if before > 0 and gained > 0 else Decimal(0)
        peak = max(Decimal(self.peak), growth)
        return replace(
            self,
            value=str(value),
            flows=str(flows),
            growth=str(growth),
            peak=str(peak),
            looks=self.looks + 1,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """What the metrics of a backtest must be.

    Attributes:
        min_sharpe: at least so much; None = any, as for the others.
        max_drawdown: a fraction; it fell no further below its peak.
        min_trades: so many round trips at least.
        min_return: the whole return as a fraction.
    """

    min_sharpe: float | None = None
    max_drawdown: float | None = None
    min_trades: int | None = None
    min_return: float | None = None

    def objections(self, metrics: Mapping[str, Any]) -> list[str]:
        """Return why metrics do not pass; empty when they do.

        A figure that has no meaning (None) does not pass a limit of its own.

        Args:
            metrics: `sharpe`, `max_drawdown` (0 or below), `round_trips` and `total_return`.
        """
        found = []
        sharpe, fall = metrics.get("sharpe"), metrics.get("max_drawdown")
        trips, gain = metrics.get("round_trips"), metrics.get("total_return")
        if self.min_sharpe is not None and (sharpe is None or sharpe < self.min_sharpe):
            found.append(f"its Sharpe ratio is {_shown(sharpe)}, below {self.min_sharpe}")
        if self.max_drawdown is not None and (fall is None or -fall > self.max_drawdown):
            found.append(f"its drawdown is {_shown(fall)}, beyond {self.max_drawdown}")
        if self.min_trades is not None and (trips is None or trips < self.min_trades):
            found.append(f"it closed {trips} positions, fewer than {self.min_trades}")
        if self.min_return is not None and (gain is None or gain < self.min_return):
            found.append(f"its return is {_shown(gain)}, below {self.min_return}")
        return found


def at_stage(standings: Mapping[str, Standing], stage: Stage) -> str | None:
    """Return the version at a stage that only one may have (paper, live), or None."""
    return next((name for name, standing in standings.items() if standing.stage is stage), None)


def metrics_of(rows: Sequence[Mapping[str, Any]], version: Version) -> Mapping[str, Any] | None:
    """Return the metrics of the newest backtest of a version's parameters, or None.

    Args:
        rows: `parameters` and `metrics` of each backtest, the newest last.
        version: which.
    """
    for row in reversed(rows):
        if row["parameters"] == dict(version.parameters):
            metrics: Mapping[str, Any] = row["metrics"]
            return metrics
    return None


def _shown(figure: float | None) -> str:
    return "not known" if figure is None else f"{figure:.4f}"
