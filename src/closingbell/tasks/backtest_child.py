"""What a backtest task runs in its child process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from closingbell.core.error import TargetError
from closingbell.executor.child import own_process
from closingbell.simulation.plain import plain

if TYPE_CHECKING:
    from closingbell.app import App


def run_backtests(
    target: str,
    parameters: Sequence[Mapping[str, Any]],
    tasks: Sequence[str] | None,
    name: str,
    options: Mapping[str, Any],
) -> list[dict[str, Any]]:
    """Backtest an app with each set of parameters in turn, and store the reports.

    Args:
        target: "module:name" of an app, or of a function that returns one.
        parameters: what the function is called with; an app itself takes none.
        tasks: which take part; None = all but backtest tasks.
        name: of the reports, with the parameters behind it.
        options: of `App.backtest`.

    Returns:
        For each set its `parameters`, the stored report's `id` and `name`, and its `metrics`.

    Raises:
        TargetError: there is no such app, or it does not take the parameters.
        BacktestError: a backtest cannot be run as it was asked for.
    """
    own_process()
    return [_backtest(target, given, tasks, name, options) for given in parameters]


def _backtest(
    target: str,
    parameters: Mapping[str, Any],
    tasks: Sequence[str] | None,
    name: str,
    options: Mapping[str, Any],
) -> dict[str, Any]:
    app = make_app(target, parameters)
    title = " ".join([name, *(f"{key}={value}" for key, value in parameters.items())])
    try:
        report = app.backtest(
            **options, tasks=_without_backtests(app) if tasks is None else tasks, name=title
        )
    finally:
        app.stop()
    return {
        "parameters": dict(parameters),
        "id": report.id,
        "name": title,
        "metrics": plain(report.metrics),
    }


def make_app(target: str, parameters: Mapping[str, Any]) -> App:
    """Return the app that a target names, made with parameters.

    Raises:
        TargetError: there is none, or it does not take the parameters.
    """
    from importlib import import_module

    from closingbell.app import App

    module_name, _, attribute = target.partition(":")
    # A module that starts its app at its end must not do so here.
    App.importing, before = True, App.importing
    try:
        found: Any = getattr(import_module(module_name), attribute or "app")
    except (ImportError, AttributeError, ValueError) as problem:
        raise TargetError(target, str(problem)) from problem
    finally:
        App.importing = before
    if isinstance(found, App):
        if parameters:
            said = f"it is an app, which takes no parameters: {dict(parameters)}"
            raise TargetError(target, f"{said}; name a function that returns one")
        return found
    if not callable(found):
        raise TargetError(target, f"it is a {type(found).__name__}, not an app")
    try:
        made = found(**parameters)
    except TypeError as problem:
        raise TargetError(target, f"it does not take {dict(parameters)}: {problem}") from problem
    if not isinstance(made, App):
        raise TargetError(target, f"it returned a {type(made).__name__}, not an app")
    return made


def _without_backtests(app: App) -> list[str]:
    from closingbell.tasks.backtest_task import BacktestTask

    return [
        task.name
        for task in app.registry
        if not isinstance(getattr(task.handler, "__self__", None), BacktestTask)
    ]
