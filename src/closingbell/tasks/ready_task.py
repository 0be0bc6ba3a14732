"""ReadyTask: what the ready tasks share."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from closingbell.task import Task, TaskOptions

if TYPE_CHECKING:
    from closingbell.trading.algorithm import Algorithm

#: What was above its limit is within it again below this share of the limit, so that a figure
#: that flutters around its limit is told once.
RELEASE = Decimal("0.9")

#: Options that say when a task runs; one of them replaces the default of all.
_WHEN = ("trigger", "interval", "time", "day", "cron", "session", "at", "on_event", "after")


def exceeds(value: Decimal, limit: Decimal, release: Decimal = RELEASE) -> bool | None:
    """Say whether a figure is above its limit: yes, no, or (None) between release and limit.

    Args:
        value: 0 or more.
        limit: above 0.
        release: a share of the limit; at it or below, the figure is within its limit again.
    """
    if value > limit:
        return True
    return False if value <= limit * release else None


class ReadyTask(Task):
    """A task with a schedule of its own, which the caller's replaces.

    It uses its `algorithm` alone, so it works live, on paper and in a backtest.
    """

    name: str

    def __init__(self, name: str, default: TaskOptions, options: TaskOptions) -> None:
        """Declare a ready task.

        Args:
            name: unique in its app.
            default: its own options. What says when it runs counts only where `options` say
                nothing of that; `interval=None` among them is none at all.
            options: as the caller gives them.

        Raises:
            DefinitionError: an option cannot be read.
        """
        own: dict[str, Any] = dict(default)
        if any(word in options for word in _WHEN):
            own = {word: value for word, value in own.items() if word not in _WHEN}
        super().__init__(name, **{**own, **options})

    def alert_once(
        self,
        algorithm: Algorithm,
        about: str,
        holds: bool | None,
        message: str,
        severity: str = "WARNING",
        **data: Any,
    ) -> bool:
        """Raise an alert when a condition comes true; again only after it was not.

        Args:
            algorithm: of the run.
            about: names the condition, within this task.
            holds: whether it is true now; None leaves it as it was. Say so each time, or its
                end is never noticed.
            message: one sentence for a person.
            severity: "INFO", "WARNING", "ERROR" or "CRITICAL".
            data: what else a person needs to know, as JSON values.

        Returns:
            Whether the alert was raised.
        """
        if holds is None or not algorithm.latch(f"{self.name}:{about}", holds):
            return False
        algorithm.send_alert(message, severity, **data)
        return True
