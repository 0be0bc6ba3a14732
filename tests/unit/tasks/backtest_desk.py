"""What the tests of the backtest task backtest: an app, and a function that makes one."""

from __future__ import annotations

import os
import time
from typing import Any

from closingbell import App, Task, create_app
from closingbell.tasks import BacktestTask


class Hold(Task):
    """Buys a share of AAPL once."""

    def __init__(self, share: float) -> None:
        super().__init__("hold", session="XNYS close", retries=0)
        self.share = share

    def run(self, algorithm: Any) -> None:
        if not algorithm.get_positions():
            algorithm.create_buy_order("AAPL", percentage=self.share)


def make(share: float = 0.5) -> App:
    made = create_app(os.environ["TEST_DATABASE"])
    made.add_task(Hold(share))
    # A desk that backtests itself must not do so for ever.
    made.add_task(BacktestTask(f"{__name__}:make", interval="1h"))
    return made


def slow(seconds: float) -> App:
    print("it begins", flush=True)
    time.sleep(seconds)
    return make()


def none() -> str:
    return "no app"


if "TEST_DATABASE" in os.environ:
    app = make()
