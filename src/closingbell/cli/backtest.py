"""`backtest ...`: run the app's tasks on history, and look at what came of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from closingbell.cli.backtest_group import BacktestGroup
from closingbell.cli.failure import guarded
from closingbell.cli.option import (
    AppTarget,
    AsJson,
    Assignments,
    DatabaseAddress,
    Debug,
    TargetArgument,
)
from closingbell.cli.stored_backtests import (
    HtmlFile,
    compare,
    firings,
    html,
    list_backtests,
    require_place,
    rm,
    show,
    tell_report,
    trades,
)
from closingbell.core.error import SubmitError

backtest_commands = typer.Typer(
    cls=BacktestGroup, help="Run tasks on historical prices; list, show and compare backtests."
)


@backtest_commands.command(BacktestGroup.plain, hidden=True)
@guarded
def run(
    target: TargetArgument = None,
    start: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="WHEN", help="First day, or instant (ISO); default the data's first."
        ),
    ] = None,
    end: Annotated[
        str | None,
        typer.Option(
            "--to", metavar="WHEN", help="Last day, or instant (ISO); default the data's last."
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            metavar="PATH",
            help="Prices: a CSV or Parquet file, or a folder of such files; default the app's own.",
        ),
    ] = None,
    symbols: Annotated[
        str | None, typer.Option("--symbols", metavar="A,B", help="Only bars of these symbols.")
    ] = None,
    cash: Annotated[
        str | None, typer.Option("--cash", metavar="AMOUNT", help="What the account begins with.")
    ] = None,
    timeframe: Annotated[
        str | None, typer.Option("--timeframe", help="Of the bars: 1m, 1h, 1d; default 1d.")
    ] = None,
    seed: Annotated[
        int, typer.Option("--seed", help="Of every chance; the same gives the same.")
    ] = 0,
    freeze: Annotated[
        bool,
        typer.Option(
            "--freeze", help="datetime.now() and time.sleep() of tasks are simulated, too."
        ),
    ] = False,
    name: Annotated[str | None, typer.Option("--name", help="What to call it.")] = None,
    html_file: HtmlFile = None,
    no_store: Annotated[
        bool, typer.Option("--no-store", help="Keep it out of the database.")
    ] = False,
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    assignments: Assignments = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Run an app's tasks on historical prices, then say what came of it.

    Tasks, schedules, events and retries are the live ones, on simulated time and simulated money;
    what tasks print is kept with it. The result is stored, so that it can be shown and compared.
    """
    from closingbell.cli.access import app_of_target
    from closingbell.cli.backtest_progress import day_progress
    from closingbell.cli.output import Output
    from closingbell.cli.target import require_target

    app = app_of_target(require_target(target, app_target), database, assignments)
    out = Output(as_json, app.settings.timezone)
    page = None if html_file is None else require_place(html_file)
    given: dict[str, Any] = {
        "data": data,
        "symbols": None if symbols is None else _symbols(symbols),
        "cash": None if cash is None else _cash(cash),
        "timeframe": timeframe,
        "name": name,
    }
    chosen = {option: value for option, value in given.items() if value is not None}
    try:
        with day_progress(out, end) as progress, out.tasks_aside():
            report = app.backtest(
                start,
                end,
                seed=seed,
                freeze=freeze,
                store=not no_store,
                progress=progress,
                **chosen,
            )
        tell_report(report, out, page)
        if not as_json:
            kept = "was not stored" if no_store else f"is stored as {report.id}"
            took = "" if report.machine_s is None else f" in {report.machine_s:.1f} s"
            out.note(f"{report.events.total:,} events{took}; the backtest {kept}")
    finally:
        app.stop(0.0)


def _symbols(given: str) -> list[str]:
    found = [word.strip() for word in given.split(",") if word.strip()]
    if not found:
        raise SubmitError("symbols", given, "names such as AAPL,MSFT")
    return found


def _cash(given: str) -> Any:
    from decimal import Decimal, InvalidOperation

    try:
        amount = Decimal(given)
    except InvalidOperation:
        raise SubmitError("cash", given, "an amount such as 10000 or 2500.50") from None
    return amount


backtest_commands.command("list")(list_backtests)
for command in (show, compare, html, trades, firings, rm):
    backtest_commands.command()(command)
