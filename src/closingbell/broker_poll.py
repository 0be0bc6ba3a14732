"""BrokerPoll: the thread that asks a remote broker what happened, and what prices are."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from closingbell.core.bar import Quote
from closingbell.core.clock import Clock
from closingbell.core.error import StoreError
from closingbell.core.order import OrderState
from closingbell.trading.desk import Desk

_log = logging.getLogger("closingbell.desk")

#: Machine seconds from one question to the next; after failures longer, up to the last.
_POLL_S = 5.0
_LONGEST_S = 60.0


class BrokerPoll:
    """Keeps one account in step with its broker."""

    def __init__(
        self,
        desk: Desk,
        account: str,
        clock: Clock,
        on_trouble: Callable[[str, Exception], None],
        poll_s: float = _POLL_S,
    ) -> None:
        """Make it ready to start.

        Args:
            desk: of the account.
            account: its name.
            clock: the desk's time.
            on_trouble: told of the first of several failures.
            poll_s: machine seconds from one question to the next.
        """
        self._desk = desk
        self._name = account
        self._clock = clock
        self._on_trouble = on_trouble
        self._poll_s = poll_s
        self._stopped = threading.Event()
        self._failures = 0
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin: first with the orders of which nobody knows whether they were sent."""
        self._thread = threading.Thread(
            target=self._run, name=f"closingbell-broker-{self._name}", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """End after the question in hand, and wait for it."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join(timeout=10)

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                self.ask()
            except Exception as problem:
                self._fail(problem)
            else:
                if self._failures:
                    _log.warning("the broker of account %r answers again", self._name)
                self._failures = 0
            pause_s = min(self._poll_s * 2 ** min(self._failures, 6), _LONGEST_S)
            self._stopped.wait(pause_s if self._failures else self._poll_s)

    def ask(self) -> None:
        """Settle doubtful orders, book what happened, and take the prices that are needed.

        Raises:
            BrokerError: the broker could not be asked.
        """
        desk, name = self._desk, self._name
        account = desk.account(name)
        if any(order.state is OrderState.NEW for order in account.orders.values()):
            desk.recover(name)
        desk.sync(name)
        quotes: list[Quote] = []
        for symbol in account.watched():
            quote = account.broker.quote(symbol)
            if quote is not None:
                quotes.append(quote)
        if quotes:
            desk.quotes(name, quotes)

    def _fail(self, problem: Exception) -> None:
        if not self._failures:
            _log.error("account %r is not in step with its broker: %s", self._name, problem)
            try:
                self._on_trouble(f"account {self._name!r} is not in step with its broker", problem)
            except StoreError as second:
                _log.error("no alert could be stored: %s", second)
        self._failures += 1
