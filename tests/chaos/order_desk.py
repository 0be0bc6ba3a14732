"""A desk whose one task buys at the local exchange, and that dies at the step it is told.

    python -m tests.chaos.order_desk

ORDER_STORE and ORDER_EXCHANGE are addresses; ORDER_STEP is where to die ("" = nowhere), or
where to stop for a while (a step that begins with "stop "). It says "ready" when it could
start, and starts at the first line of its input.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from datetime import timedelta
from typing import Any

from closingbell import App, RetryPolicy, create_app
from closingbell.core.ledger import Change, Ledger
from closingbell.core.order import Order
from closingbell.trading.algorithm import Algorithm
from closingbell.trading.broker.ccxt_broker import CcxtBroker
from closingbell.trading.broker.protocol import OrderReport
from tests.exchange.server import KEY, SECRET

PATIENT = RetryPolicy(
    retries=20, initial_delay=timedelta(milliseconds=20), max_delay=timedelta(milliseconds=200)
)
WINDOW_S, SETTLE_S = 1.0, 0.5


class Stage:
    """Where this process dies, or stops until somebody lets it go on."""

    def __init__(self, step: str) -> None:
        self._step = step
        self._woken = threading.Event()
        signal.signal(signal.SIGCONT, lambda _number, _frame: self._woken.set())

    def reach(self, step: str) -> None:
        """Pass a step, or not."""
        if self._step == step:
            os.kill(os.getpid(), signal.SIGKILL)
        if self._step == f"stop {step}":
            self._step = ""
            os.kill(os.getpid(), signal.SIGSTOP)
            # The signal stops the whole process, and perhaps this thread not at once.
            self._woken.wait()


class StagedLedger:
    """The store's ledger, with steps around what an order writes; the rest is the store's."""

    def __init__(self, ledger: Ledger, stage: Stage) -> None:
        self._ledger = ledger
        self._stage = stage

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)

    def record(self, change: Change) -> int:
        """Write, with a step before and a step after."""
        what = _name_of(change)
        self._stage.reach(f"before {what}")
        version = self._ledger.record(change)
        self._stage.reach(f"after {what}")
        return version


def _name_of(change: Change) -> str:
    if change.orders:
        return "the order is stored"
    if change.entries:
        return "the trades are stored"
    return "the answer is stored" if change.order_changes else "anything else"


class StagedBroker(CcxtBroker):
    """The real broker, with steps around the sending of an order."""

    stage: Stage

    def submit(self, order: Order) -> OrderReport:
        """Send, with a step before, one when it is signed, and one after."""
        self.stage.reach("before the order is sent")
        session = self._client.api.session
        request = session.request

        def sign_and_send(method: str, *more: Any, **options: Any) -> Any:
            if method == "POST":
                self.stage.reach("before the signed order is sent")
            return request(method, *more, **options)

        session.request = sign_and_send
        try:
            report = super().submit(order)
        finally:
            session.request = request
        self.stage.reach("after the answer")
        return report


def make_app(store: str, exchange: str, broker_class: type[CcxtBroker] = CcxtBroker) -> App:
    """Return an app with an account at the local exchange and a task that buys there."""
    app = create_app(store, lease_s=1.0, poison_after=100, grace_s=1.0, thread_slots=2)
    broker = broker_class(
        "binance",
        key=KEY,
        secret=SECRET,
        base_url=exchange,
        rate=f"60000/1m@{exchange}",
        timeout_s=1.0,
        window_s=WINDOW_S,
        settle_s=SETTLE_S,
    )
    app.add_account(cash=10_000, currency="USDT", broker=broker)

    @app.task(retries=PATIENT)
    def buy(algorithm: Algorithm, quantity: str) -> dict[str, Any]:
        """Buy once."""
        order = algorithm.create_buy_order("BTC/USDT", quantity=quantity, order_type="MARKET")
        return {"order": order.id, "fence": algorithm.context.fence}

    return app


def main() -> None:
    """Be ready, then work until told to end."""
    StagedBroker.stage = stage = Stage(os.environ["ORDER_STEP"])
    app = make_app(os.environ["ORDER_STORE"], os.environ["ORDER_EXCHANGE"], StagedBroker)
    app.store.prepare()
    staged: Any = StagedLedger(app.store.ledger, stage)
    app.store.ledger = staged
    # The markets are known before the order is placed, as in a desk that has run for a while.
    app.desk.account("main").broker.quote("BTC/USDT")
    print("ready", flush=True)
    if not sys.stdin.readline():
        return
    app.start(block=False)
    # The end of its input is its end.
    sys.stdin.read()
    app.stop()


if __name__ == "__main__":
    main()
