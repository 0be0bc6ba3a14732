"""Reconciliation: the ledger beside the broker's books, and an alert for what differs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Unpack

from closingbell.option import Duration, read_positive
from closingbell.task import TaskOptions
from closingbell.tasks.ready_task import ReadyTask

if TYPE_CHECKING:
    from closingbell.trading.algorithm import Algorithm


class Reconciliation(ReadyTask):
    """Compare balances, orders and trades with the broker.

    Each difference is one alert, until it is gone. Nothing is ever mended: a person decides. A
    paper or simulated account has no broker beside the ledger, and nothing differs there.
    """

    def __init__(
        self,
        *,
        look_back: Duration = "7d",
        tolerance: Mapping[str, Any] | None = None,
        foreign: bool = False,
        name: str = "reconciliation",
        **options: Unpack[TaskOptions],
    ) -> None:
        """Declare the task; it runs every 15 minutes unless `options` say when.

        Args:
            look_back: trades of this time are compared.
            tolerance: by asset, how far balances may be apart.
            foreign: whether assets count that the ledger never had.
            name: unique in its app.
            options: see `TaskOptions`.

        Raises:
            DefinitionError: an option cannot be read.
        """
        super().__init__(
            name,
            {"interval": "15m", "overlap": "skip", "max_concurrent": 1, "tags": ["account"]},
            options,
        )
        self.look_back = read_positive(name, "look_back", look_back)
        self.tolerance = dict(tolerance or {})
        self.foreign = foreign

    def run(self, algorithm: Algorithm) -> dict[str, Any]:
        """Compare once; return the `differences`, and the messages of those that are `gone`."""
        from closingbell.trading.reconciliation import Difference, news

        before = algorithm.get_last_result(self.name) or {"differences": []}
        earlier = [Difference.from_json(data) for data in before["differences"]]
        found = algorithm.reconcile(
            after_date=algorithm.now() - self.look_back,
            tolerance=self.tolerance,
            foreign=self.foreign,
            earlier=earlier,
        )
        _, gone = news(earlier, found)
        for difference in found:
            self.alert_once(
                algorithm, difference.key, True, difference.message, "ERROR", **difference.to_json()
            )
        for difference in gone:
            self.alert_once(algorithm, difference.key, False, difference.message)
            algorithm.log("gone: %s", difference.message)
        return {
            "differences": [difference.to_json() for difference in found],
            "gone": [difference.message for difference in gone],
        }
