"""ReadyTask: what the ready tasks share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from closingbell.task import Task, TaskOptions

if TYPE_CHECKING:
    from closingbell.trading.algorithm import Algorithm

#: Options that say when a task runs; one of them replaces the default of all.
_WHEN = ("trigger", "interval", "time", "day", "cron", "session", "at", "on_event", "after")


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
        holds: bool,
        message: str,
        severity: str = "WARNING",
        **data: Any,
    ) -> bool:
        """Raise an alert when a condition comes true; again only after it was not.

        Args:
            algorithm: of the run.
            about: names the condition, within this task.
            holds: whether it is true now. Say so each time, or its end is never noticed.
            message: one sentence for a person.
            severity: "INFO", "WARNING", "ERROR" or "CRITICAL".
            data: what else a person needs to know, as JSON values.

        Returns:
            Whether the alert was raised.
        """
        if not algorithm.latch(f"{self.name}:{about}", holds):
            return False
        algorithm.send_alert(message, severity, **data)
        return True
