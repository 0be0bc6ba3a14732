"""BacktestTask: runs backtests of an app, as a run like any other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Unpack

from closingbell.core.outcome import Skip
from closingbell.option import read_positive
from closingbell.task import TaskOptions
from closingbell.tasks.backtest_child import run_backtests
from closingbell.tasks.child_call import call_in_child
from closingbell.tasks.ready_task import ReadyTask

if TYPE_CHECKING:
    from closingbell.trading.algorithm import Algorithm


class BacktestTask(ReadyTask):
    """Backtest an app with one or several sets of parameters, in a child process.

    The reports are stored beside the runs; the run's result lists their ids and metrics. The child
    ends with the run: at its timeout, when it is cancelled, and with its worker. Submit several
    runs with one set each, and workers share them. In a backtest it is skipped.
    """

    def __init__(
        self,
        app: str,
        window: tuple[str | None, str | None] = (None, None),
        *,
        parameters: Mapping[str, Any] | Sequence[Mapping[str, Any]] = (),
        tasks: Sequence[str] | None = None,
        name: str = "backtest",
        backtest: Mapping[str, Any] | None = None,
        **options: Unpack[TaskOptions],
    ) -> None:
        """Declare the task; it runs on demand unless `options` say when.

        Args:
            app: "module:name" of an app, or of a function that returns one.
            window: its start and end, as ISO text; None = as far as the data goes.
            parameters: what the function is called with: one set, or several.
            tasks: which of the app's tasks take part; None = all but backtest tasks.
            name: unique in its app, and the first words of the reports' names.
            backtest: further arguments of `App.backtest`, as JSON values: `cash`, `symbols`, `fee`...
            options: see `TaskOptions`.

        Raises:
            DefinitionError: an option cannot be read.
        """
        super().__init__(name, {"timeout": "1h", "tags": ["backtest"]}, options)
        self._limit_s = read_positive(name, "timeout", options.get("timeout", "1h")).total_seconds()
        self.app = app
        self.window = window
        self.parameters = parameters
        self.tasks = None if tasks is None else list(tasks)
        self.backtest = dict(backtest or {})

    def run(
        self,
        algorithm: Algorithm,
        parameters: Any = None,
        start: str | None = None,
        end: str | None = None,
    ) -> Any:
        """Run the backtests.

        Args:
            algorithm: of the run.
            parameters: instead of the declared ones: one set, or a list of them.
            start: instead of the declared one.
            end: instead of the declared one.

        Returns:
            `runs`: for each set its `parameters`, the report's `id` and `name`, and its `metrics`.
        """
        if algorithm.mode == "backtest":
            return Skip("a backtest runs no backtests")
        chosen = self.parameters if parameters is None else parameters
        window = {"start": start or self.window[0], "end": end or self.window[1]}
        payload = {
            "target": self.app,
            "parameters": [chosen] if isinstance(chosen, Mapping) else list(chosen) or [{}],
            "tasks": self.tasks,
            "name": self.name,
            "options": {**self.backtest, **window},
        }
        context = algorithm.context
        return {"runs": call_in_child(run_backtests, payload, context, timeout_s=self._limit_s)}
