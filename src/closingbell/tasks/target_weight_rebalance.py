"""TargetWeightRebalance: brings positions back to their target weights."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Unpack

from closingbell.core.amount import ZERO, to_decimal
from closingbell.task import TaskOptions
from closingbell.tasks.ready_task import ReadyTask
from closingbell.tasks.rebalance_plan import check_targets, drifts, plan_moves

if TYPE_CHECKING:
    from closingbell.trading.algorithm import Algorithm


class TargetWeightRebalance(ReadyTask):
    """Trade when a weight has drifted out of its band, and then bring all to their targets.

    Sales are placed before purchases, which may spend what those will bring. What market orders
    will still trade counts as traded: a run before the fills places nothing twice.
    """

    def __init__(
        self,
        weights: Mapping[str, Any],
        *,
        band: Any = 0.05,
        min_trade: Any = 0,
        name: str = "target_weight_rebalance",
        **options: Unpack[TaskOptions],
    ) -> None:
        """Declare the task; it runs every hour unless `options` say when.

        Args:
            weights: by symbol, fractions of the account's value that add up to at most 1; the
                rest is cash. Positions that are not named are left alone.
            band: nothing is traded while every weight is off by no more than this fraction.
            min_trade: an amount of the account's currency; smaller trades are left out.
            name: unique in its app.
            options: see `TaskOptions`.

        Raises:
            OrderRefused: the weights cannot be reached without a loan, or an argument is no number.
            DefinitionError: an option cannot be read.
        """
        super().__init__(name, {"interval": "1h", "overlap": "skip", "tags": ["trading"]}, options)
        self.weights = {s: to_decimal(w, f"the weight of {s}") for s, w in weights.items()}
        self.band = to_decimal(band, "band")
        self.min_trade = to_decimal(min_trade, "min_trade")
        check_targets(self.weights)

    def run(self, algorithm: Algorithm) -> dict[str, Any]:
        """Compare and trade; return each weight's `drift` and the ids of the `orders`."""
        value = Decimal(algorithm.get_portfolio().total_value)
        if value <= 0:
            return {"drift": {}, "orders": []}
        worth = {}
        for symbol in self.weights:
            position = algorithm.get_position(symbol)
            worth[symbol] = ZERO if position is None else Decimal(position.current_value)
        moves = plan_moves(self.weights, worth, value, band=self.band, min_trade=self.min_trade)
        wanted = {move.symbol: self.weights[move.symbol] for move in moves}
        orders = algorithm.set_target_weights(wanted) if wanted else []
        drift = drifts(self.weights, worth, value)
        return {
            "drift": {symbol: f"{off:.6f}" for symbol, off in drift.items()},
            "orders": [order.id for order in orders],
        }
