"""SimulatedBroker: fills orders from bars, for backtests."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from closingbell.core.amount import to_decimal
from closingbell.core.bar import Bar, Quote
from closingbell.core.error import SettingError
from closingbell.core.order import Order, OrderState, OrderType
from closingbell.trading.broker.fee import to_fee
from closingbell.trading.broker.matching import (
    Fill,
    Rules,
    match_bar,
    match_open,
    match_quote,
    trade,
)
from closingbell.trading.broker.protocol import NO_MATCH, Broker, Match, Means, OrderReport
from closingbell.trading.broker.slippage import to_slippage

_FILLS = ("next_open", "close")


class SimulatedBroker(Broker):
    """Fills from the bars that pass the desk; it remembers nothing itself.

    Attributes:
        rules: how it fills; `matching` says what they mean.
    """

    kind = "simulated"
    mode = "backtest"
    matches = True

    def __init__(
        self,
        *,
        fees: Any = None,
        slippage: Any = None,
        fill: Fill = "next_open",
        volume_share: Any = None,
        seed: int = 0,
    ) -> None:
        """Take the rules.

        Args:
            fees: such as "0.1%" or "1 per order"; the forms are in `broker.fee`.
            slippage: such as "0.05%"; the forms are in `broker.slippage`.
            fill: market orders fill at the next open, or at the close of their bar.
            volume_share: a fraction of a bar's volume that one account may take; None = any.
            seed: of random slippage.

        Raises:
            SettingError: one of them cannot be read.
        """
        if fill not in _FILLS:
            raise SettingError("fill", fill, "'next_open' or 'close'")
        share = None if volume_share is None else _share(volume_share)
        self.rules = Rules(to_fee(fees), to_slippage(slippage), fill, share, seed)

    @property
    def counts_volumes(self) -> bool:
        return self.rules.volume_share is not None or self.rules.slippage.needs_volume

    def submit(self, order: Order) -> OrderReport:
        return OrderReport(order.id, None, OrderState.OPEN, symbol=order.symbol)

    def cancel(self, order: Order) -> OrderReport:
        return OrderReport(order.id, None, OrderState.CANCELLED, order.filled, order.symbol)

    def on_order(
        self, order: Order, last: Quote, means: Means, *, closed: bool, ended: bool
    ) -> Match:
        if closed and self.rules.fill == "close" and order.type is OrderType.MARKET:
            return trade(self.rules, order, last.price, last.at, means)
        return NO_MATCH

    def on_bar(self, bar: Bar, order: Order, means: Means) -> Match:
        return match_bar(self.rules, bar, order, means)

    def on_open(self, quote: Quote, order: Order, means: Means) -> Match:
        return match_open(self.rules, quote, order, means)

    def on_quote(self, quote: Quote, order: Order, means: Means) -> Match:
        return match_quote(self.rules, quote, order, means)


def _share(given: Any) -> Decimal:
    try:
        share = to_decimal(given, "volume_share")
    except ValueError:
        share = Decimal(0)
    if not 0 < share <= 1:
        raise SettingError("volume_share", given, "a fraction above 0 and at most 1, or None")
    return share
