"""PortfolioMonitor: tells a person when an account has gained or lost much, or a position is large."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, Unpack

from closingbell.core.amount import ZERO, positive
from closingbell.task import TaskOptions
from closingbell.tasks.ready_task import ReadyTask, exceeds

if TYPE_CHECKING:
    from closingbell.trading.algorithm import Algorithm


class PortfolioMonitor(ReadyTask):
    """Raise an alert when an account is far from what was paid in, or a position is large.

    One alert for each time that a threshold is crossed; it counts as crossed back at nine tenths.
    """

    def __init__(
        self,
        *,
        down: Any = 0.10,
        up: Any = 0.20,
        position_value: Any = None,
        position_weight: Any = None,
        name: str = "portfolio_monitor",
        **options: Unpack[TaskOptions],
    ) -> None:
        """Declare the task; it runs every five minutes unless `options` say when.

        Args:
            down: a loss of this fraction of what was paid in; None = no such threshold, as for
                the others.
            up: a gain of this fraction.
            position_value: an amount of the account's currency.
            position_weight: a fraction of the account's value.
            name: unique in its app.
            options: see `TaskOptions`.

        Raises:
            OrderRefused: a threshold is no number above 0.
            DefinitionError: an option cannot be read.
        """
        super().__init__(name, {"interval": "5m", "tags": ["risk"]}, options)
        self.down = _threshold(down, "down")
        self.up = _threshold(up, "up")
        self.position_value = _threshold(position_value, "position_value")
        self.position_weight = _threshold(position_weight, "position_weight")

    def run(self, algorithm: Algorithm) -> dict[str, Any]:
        """Look at the account; return its `value`, the `gain` as a fraction, and `large` positions."""
        portfolio = algorithm.get_portfolio()
        value, paid_in = Decimal(portfolio.total_value), Decimal(portfolio.net_deposits)
        # An account that nothing was paid into, or that paid out more, has no such fraction.
        gain = (value - paid_in) / paid_in if paid_in > 0 else None
        self._watch_gain(algorithm, gain)
        large = []
        for position in portfolio.positions:
            worth = abs(Decimal(position.current_value))
            too_heavy = self.position_weight is not None and (worth > self.position_weight * value)
            too_large = self.position_value is not None and worth > self.position_value
            if too_heavy or too_large:
                large.append(position.symbol)
            self.alert_once(
                algorithm,
                # A position that is opened again is another one.
                f"position:{position.symbol}:{position.opened_at.isoformat()}",
                too_heavy or too_large,
                f"the position in {position.symbol} is large: {worth:,.2f} {portfolio.currency}",
                symbol=position.symbol,
                value=str(worth),
            )
        return {"value": str(value), "gain": None if gain is None else str(gain), "large": large}

    def _watch_gain(self, algorithm: Algorithm, gain: Decimal | None) -> None:
        figure = "" if gain is None else f"{abs(gain):.2%}"
        self.alert_once(
            algorithm,
            "down",
            None if gain is None or self.down is None else exceeds(max(-gain, ZERO), self.down),
            f"the account is down {figure}",
            "WARNING",
            gain=str(gain),
        )
        self.alert_once(
            algorithm,
            "up",
            None if gain is None or self.up is None else exceeds(max(gain, ZERO), self.up),
            f"the account is up {figure}",
            "INFO",
            gain=str(gain),
        )


def _threshold(given: Any, name: str) -> Decimal | None:
    return None if given is None else positive(given, name)
