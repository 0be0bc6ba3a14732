"""RiskManager: holds an account to its limits, by selling."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, Unpack

from closingbell.core.amount import ONE, ZERO, fraction
from closingbell.core.order import OrderType, Side
from closingbell.task import TaskOptions
from closingbell.tasks.ready_task import ReadyTask, exceeds
from closingbell.tasks.risk_figures import excess, weights

if TYPE_CHECKING:
    from closingbell.trading.algorithm import Algorithm
    from closingbell.trading.portfolio import Position

_HALF = Decimal("0.5")


class RiskManager(ReadyTask):
    """Reduce an account in a drawdown, and trim positions that are too large.

    In a drawdown it cancels all open orders and closes a fraction of every position, once for
    each breach: the next minute's run finds the same drawdown, and leaves it at that. The breach
    is over when half of the way is made good (the drawdown is half of its limit), so that an
    account that flutters around the limit is not reduced again and again.

    A position above the largest size is sold down to it, short ones are bought back. Orders that
    are under way count as done, so a run before the fill does not sell twice. An account that is
    worth nothing, or less, has no size that is small enough: all its positions are closed.
    """

    def __init__(
        self,
        max_drawdown: Any = 0.15,
        max_position_size: Any = 0.1,
        *,
        reduce_by: Any = 0.5,
        margin: Any = 0.05,
        name: str = "risk_manager",
        **options: Unpack[TaskOptions],
    ) -> None:
        """Declare the task; it runs every minute unless `options` say when.

        Args:
            max_drawdown: a fraction of the peak; None = none.
            max_position_size: a fraction of the account's value; None = none.
            reduce_by: the fraction of every position that a breach closes.
            margin: a position that is too large is brought this fraction below its limit, so
                that the next rise of its price is not the next breach.
            name: unique in its app.
            options: see `TaskOptions`; `once_per_breach=False` reduces in every run of a breach.

        Raises:
            OrderRefused: a limit is no fraction above 0 and at most 1.
            DefinitionError: an option cannot be read.
        """
        super().__init__(
            name,
            {"interval": "1m", "overlap": "skip", "priority": 1, "tags": ["risk"]},
            options,
        )
        self.max_drawdown = _limit(max_drawdown, "max_drawdown")
        self.max_position_size = _limit(max_position_size, "max_position_size")
        self.reduce_by = fraction(reduce_by, "reduce_by")
        self.margin = fraction(margin, "margin") if margin else ZERO
        self._once = options.get("once_per_breach", True)

    def run(self, algorithm: Algorithm) -> dict[str, Any]:
        """Look at drawdown and sizes, and act.

        Returns:
            `drawdown`, what was `cancelled`, `reduced` and `trimmed`.
        """
        portfolio = algorithm.get_portfolio()
        done: dict[str, Any] = {"drawdown": str(portfolio.drawdown)}
        if self.max_drawdown is not None:
            breached = exceeds(portfolio.drawdown, self.max_drawdown, _HALF)
            latch = f"{self.name}:drawdown"
            first = breached is not None and algorithm.latch(latch, breached)
            if first or (breached and not self._once):
                done |= self._reduce(algorithm)
                algorithm.send_alert(
                    f"the drawdown is {portfolio.drawdown:.2%}, the limit "
                    f"{self.max_drawdown:.2%}: positions were reduced by {self.reduce_by:.0%}",
                    "CRITICAL",
                    **done,
                )
        if self.max_position_size is not None:
            done["trimmed"] = self._trim(algorithm, self.max_position_size)
        return done

    def _reduce(self, algorithm: Algorithm) -> dict[str, Any]:
        cancelled = [order.id for order in algorithm.cancel_all_orders()]
        reduced = {}
        for position in algorithm.get_positions():
            closed = self._close(algorithm, position, self.reduce_by)
            if closed:
                reduced[position.symbol] = closed
        return {"cancelled": cancelled, "reduced": reduced}

    def _trim(self, algorithm: Algorithm, limit: Decimal) -> dict[str, str]:
        portfolio = algorithm.get_portfolio()
        held = {position.symbol: position for position in portfolio.positions}
        worth: dict[str, Decimal] = {symbol: p.current_value for symbol, p in held.items()}
        trimmed = {}
        for symbol, weight in weights(worth, portfolio.total_value).items():
            if weight > limit:
                share = excess(weight, limit * (ONE - self.margin))
                closed = self._close(algorithm, held[symbol], share)
                if closed:
                    trimmed[symbol] = closed
        return trimmed

    def _close(self, algorithm: Algorithm, position: Position, share: Decimal) -> str | None:
        """Close a share of a position at the market, but for what is under way already.

        Resting orders that hold back what must go are cancelled.

        Returns:
            The quantity, or None where nothing (more) is to be closed.
        """
        symbol, size = position.symbol, abs(position.quantity)
        closing = Side.SELL if position.quantity > 0 else Side.BUY
        orders = [o for o in algorithm.get_open_orders(symbol) if o.side is closing]
        resting = [o for o in orders if o.type is not OrderType.MARKET]
        under_way = sum((o.remaining for o in orders if o.type is OrderType.MARKET), ZERO)
        needed = size * share - under_way
        if needed <= 0:
            return None
        if size - under_way - sum((o.remaining for o in resting), ZERO) < needed:
            for order in resting:
                algorithm.cancel_order(order)
        # A target counts the market orders that are under way, and nothing that rests.
        certain = [o for o in algorithm.get_open_orders(symbol) if o.type is OrderType.MARKET]
        coming = position.quantity + sum((o.side.sign * o.remaining for o in certain), ZERO)
        placed = algorithm.order_target_quantity(symbol, coming + closing.sign * needed)
        return None if placed is None else format(placed.quantity.normalize(), "f")


def _limit(given: Any, name: str) -> Decimal | None:
    return None if given is None else fraction(given, name)
