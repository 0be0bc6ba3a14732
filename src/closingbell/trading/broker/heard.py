"""HeardBroker: a broker as the desk hears it, be it an exchange's or a user's own.

Whatever it raises is a `BrokerError`, and an answer that cannot be is `BrokerNonsense`:
nobody behind it meets a foreign exception or an amount that is none. The two that match by
our own rules are not listened to: they are asked for every bar.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, TypeVar

from closingbell.core.bar import Bar, Quote
from closingbell.core.order import Order
from closingbell.trading.broker.paper import PaperBroker
from closingbell.trading.broker.protocol import (
    Activity,
    Broker,
    Execution,
    Match,
    Means,
    OrderReport,
)
from closingbell.trading.broker.simulated import SimulatedBroker
from closingbell.trading.broker.soundness import (
    as_broker_error,
    sound_activity,
    sound_balances,
    sound_execution,
    sound_fit,
    sound_list,
    sound_match,
    sound_quote,
    sound_report,
)

_Told = TypeVar("_Told")


class HeardBroker(Broker):
    """Asks another broker, and checks what it answers; the contract is the protocol's."""

    def __init__(self, broker: Broker) -> None:
        """Listen to a broker."""
        self._broker = broker
        self.kind = broker.kind
        self.mode = broker.mode
        self.matches = broker.matches

    @contextmanager
    def _hearing(self) -> Iterator[Broker]:
        try:
            yield self._broker
        except Exception as problem:
            error = as_broker_error(self.kind, problem)
            if error is problem:
                raise
            raise error from problem

    def fit(self, order: Order) -> Order:
        with self._hearing() as broker:
            return sound_fit(self.kind, order, broker.fit(order))

    def submit(self, order: Order) -> OrderReport:
        with self._hearing() as broker:
            return sound_report(self.kind, broker.submit(order), order)

    def cancel(self, order: Order) -> OrderReport:
        with self._hearing() as broker:
            return sound_report(self.kind, broker.cancel(order), order)

    def find(self, order: Order) -> OrderReport | None:
        with self._hearing() as broker:
            answer = broker.find(order)
            return None if answer is None else sound_report(self.kind, answer, order)

    def open_orders(self) -> Sequence[OrderReport]:
        with self._hearing() as broker:
            return self._each(broker.open_orders(), sound_report)

    def activity(self, orders: Sequence[Order], sync: Mapping[str, Any]) -> Activity:
        with self._hearing() as broker:
            return sound_activity(self.kind, broker.activity(orders, sync))

    def trades(self, symbols: Sequence[str], since: int) -> Sequence[Execution] | None:
        with self._hearing() as broker:
            answer = broker.trades(symbols, since)
            return None if answer is None else self._each(answer, sound_execution)

    def balances(self) -> Mapping[str, Decimal] | None:
        with self._hearing() as broker:
            answer = broker.balances()
            return None if answer is None else sound_balances(self.kind, answer)

    def quote(self, symbol: str) -> Quote | None:
        with self._hearing() as broker:
            answer = broker.quote(symbol)
            return None if answer is None else sound_quote(self.kind, symbol, answer)

    # --- matching brokers ----------------------------------------------------------------

    @property
    def counts_volumes(self) -> bool:
        return self._broker.counts_volumes

    def on_order(
        self, order: Order, last: Quote, means: Means, *, closed: bool, ended: bool
    ) -> Match:
        with self._hearing() as broker:
            told = broker.on_order(order, last, means, closed=closed, ended=ended)
            return sound_match(self.kind, told)

    def on_bar(self, bar: Bar, order: Order, means: Means) -> Match:
        with self._hearing() as broker:
            return sound_match(self.kind, broker.on_bar(bar, order, means))

    def on_open(self, quote: Quote, order: Order, means: Means) -> Match:
        with self._hearing() as broker:
            return sound_match(self.kind, broker.on_open(quote, order, means))

    def on_quote(self, quote: Quote, order: Order, means: Means) -> Match:
        with self._hearing() as broker:
            return sound_match(self.kind, broker.on_quote(quote, order, means))

    def _each(self, answer: Any, sound: Callable[[str, Any], _Told]) -> list[_Told]:
        return [sound(self.kind, one) for one in sound_list(self.kind, answer)]


def heard(broker: Broker) -> Broker:
    """Return a broker whose answers can be trusted."""
    if type(broker) in (SimulatedBroker, PaperBroker, HeardBroker):
        return broker
    return HeardBroker(broker)
