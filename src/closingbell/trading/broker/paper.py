"""PaperBroker: the simulated broker's rules, on prices that come in live or are replayed."""

from __future__ import annotations

from closingbell.core.bar import Quote
from closingbell.core.order import Order, OrderType
from closingbell.trading.broker.matching import trade
from closingbell.trading.broker.protocol import TRIGGERED, Match, Means
from closingbell.trading.broker.simulated import SimulatedBroker

ENDED = "no later market data: filled at the last price"


class PaperBroker(SimulatedBroker):
    """Fills from bars that are replayed on the app's clock, or from live prices.

    When the bars have ended, what would trade at the next price trades at the last one at
    once, and the trade says so.
    """

    kind = "paper"
    mode = "paper"

    def on_order(
        self, order: Order, last: Quote, means: Means, *, closed: bool, ended: bool
    ) -> Match:
        immediate = order.type in (OrderType.MARKET, OrderType.MARKET_ON_CLOSE)
        if ended and (immediate or (order.type is OrderType.STOP and order.reason == TRIGGERED)):
            at = max(order.effective_at, last.at)
            return trade(self.rules, order, last.price, at, means, shared=False, note=ENDED)
        return super().on_order(order, last, means, closed=closed, ended=ended)
