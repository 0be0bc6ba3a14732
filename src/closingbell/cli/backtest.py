"""`backtest ...`: run the app's tasks on history, and look at what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
from closingbell.core.error import SubmitError, UnknownBacktest

if TYPE_CHECKING:
    from closingbell.app import App
    from closingbell.cli.output import Output
    from closingbell.core.ledger import BacktestRecord
    from closingbell.simulation.report import Report

backtest_commands = typer.Typer(cls=BacktestGroup)

BacktestId = Annotated[
    str, typer.Argument(metavar="ID", help="The backtest's id, or its first letters.")
]
AccountName = Annotated[
    str | None, typer.Option("--account", help="Whose; default main, or the only one.")
]
HtmlFile = Annotated[
    Path | None, typer.Option("--html", metavar="FILE", help="Write it as a page, too.")
]


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
            help="Prices: a CSV or Parquet file, or a folder of market data; default the app's own.",
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
    html: HtmlFile = None,
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
    what tasks print goes to stderr. The result is stored, so that it can be shown and compared.
    """
    from closingbell.cli.access import app_of_target
    from closingbell.cli.output import Output
    from closingbell.cli.target import require_target

    app = app_of_target(require_target(target, app_target), database, assignments)
    out = Output(as_json, app.settings.timezone)
    given: dict[str, Any] = {
        "data": data,
        "symbols": None if symbols is None else _symbols(symbols),
        "cash": None if cash is None else _cash(cash),
        "timeframe": timeframe,
        "name": name,
    }
    chosen = {option: value for option, value in given.items() if value is not None}
    try:
        with _progress(out, end) as progress, out.tasks_aside():
            report = app.backtest(
                start,
                end,
                seed=seed,
                freeze=freeze,
                store=not no_store,
                progress=progress,
                **chosen,
            )
        _tell(report, out, html)
        if not as_json:
            kept = "was not stored" if no_store else f"is stored as {report.id}"
            took = "" if report.machine_s is None else f" in {report.machine_s:.1f} s"
            out.note(f"{report.events.total:,} events{took}; the backtest {kept}")
    finally:
        app.stop(0.0)


@backtest_commands.command("list")
@guarded
def list_backtests(
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, max=10_000, help="At most so many.")
    ] = 20,
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """List stored backtests, the newest first."""
    from closingbell.cli.backtest_shape import record_shape
    from closingbell.core.clock import from_micros
    from closingbell.simulation.figure_text import percent, window_text

    with _stored(app_target, database, as_json) as (app, out):
        records = app.store.backtests.recent(limit)
    if as_json:
        out.document({"backtests": [record_shape(record) for record in records]})
        return

    def figure(record: BacktestRecord, metric: str) -> str | None:
        value = record.summary["metrics"][metric]
        if value is None:
            return None
        return f"{value:.2f}" if metric == "sharpe" else percent(value)

    rows = [
        (
            record.id,
            record.name,
            window_text(record.summary["start"], record.summary["end"], app.settings.timezone),
            figure(record, "total_return"),
            figure(record, "sharpe"),
            figure(record, "max_drawdown"),
            record.summary["trades"],
            from_micros(record.finished_at),
        )
        for record in records
    ]
    columns = ("id", "name", "window", "return", "sharpe", "drawdown", "trades", "made")
    out.table(columns, rows, "no backtests are stored")


@backtest_commands.command()
@guarded
def show(
    backtest_id: BacktestId,
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Show a stored backtest's figures, and how its tasks fared."""
    with _stored(app_target, database, as_json) as (app, out):
        _tell(_read(app, backtest_id), out, None)


@backtest_commands.command()
@guarded
def compare(
    left: Annotated[
        str, typer.Argument(metavar="LEFT", help="One backtest's id, or its first letters.")
    ],
    right: Annotated[str, typer.Argument(metavar="RIGHT", help="The other one's.")],
    account: AccountName = None,
    html: HtmlFile = None,
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Show what two stored backtests differ in, and the first trade where they part."""
    from closingbell.cli.backtest_shape import comparison_shape
    from closingbell.simulation.comparison import compare as compared

    with _stored(app_target, database, as_json) as (app, out):
        found = compared(_read(app, left), _read(app, right), account)
        if html is not None:
            out.note(f"the page is {found.to_html(_writable(html))}")
        if as_json:
            out.document(comparison_shape(found))
        else:
            out.say(found.text().rstrip())


@backtest_commands.command()
@guarded
def html(
    backtest_id: BacktestId,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write the page.")],
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Write a stored backtest as one page that needs no server and no network."""
    with _stored(app_target, database, as_json) as (app, out):
        report = _read(app, backtest_id)
        path = report.to_html(_writable(file))
    if as_json:
        out.document({"id": report.id, "html": str(path)})
    else:
        out.note(f"the page is {path}")


@backtest_commands.command()
@guarded
def trades(
    backtest_id: BacktestId,
    account: AccountName = None,
    symbol: Annotated[str | None, typer.Option("--symbol", help="Only of this symbol.")] = None,
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """List a stored backtest's trades; with --json one document for each."""
    from closingbell.cli.backtest_shape import trade_shape
    from closingbell.core.clock import from_micros

    with _stored(app_target, database, as_json) as (app, out):
        found = [
            trade
            for trade in _read(app, backtest_id).account(account).trades
            if symbol is None or trade.symbol == symbol
        ]
    if as_json:
        for trade in found:
            out.line(trade_shape(trade))
        return
    rows = [
        (
            from_micros(trade.at),
            "buy" if trade.quantity > 0 else "sell",
            trade.symbol,
            f"{abs(trade.quantity):f}",
            f"{trade.price:f}",
            f"{abs(trade.amount):.2f}",
            f"{trade.fee:.2f}",
            trade.currency,
            trade.task,
        )
        for trade in found
    ]
    columns = ("time", "side", "symbol", "quantity", "price", "amount", "fee", "currency", "task")
    out.table(columns, rows, "no trades match")


@backtest_commands.command()
@guarded
def firings(
    backtest_id: BacktestId,
    task: Annotated[str | None, typer.Option("--task", help="Only this task's.")] = None,
    state: Annotated[
        str | None, typer.Option("--state", help="Only in this state, such as skipped.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", "-n", min=1, help="At most so many.")
    ] = None,
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """List each firing and run of a stored backtest, and why it was skipped or failed.

    With --json it writes one document a line. They come in the order in which they ended.
    """
    from itertools import islice

    from closingbell.cli.backtest_shape import firing_shape
    from closingbell.core.clock import from_micros
    from closingbell.simulation.figure_text import seconds_text

    with _stored(app_target, database, as_json) as (app, out):
        matching = (
            line
            for line in _read(app, backtest_id).firings()
            if (task is None or line.task == task) and (state is None or line.state == state)
        )
        found = islice(matching, limit)
        if as_json:
            for line in found:
                out.line(firing_shape(line))
            return
        rows = [
            (
                from_micros(line.at),
                line.task,
                line.state,
                line.attempt,
                seconds_text(line.duration_s),
                line.reason,
                line.run_id,
            )
            for line in found
        ]
    columns = ("time", "task", "state", "attempt", "took", "why", "run")
    out.table(columns, rows, "no firings match")


@backtest_commands.command()
@guarded
def rm(
    backtest_id: BacktestId,
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Delete a stored backtest."""
    with _stored(app_target, database, as_json) as (app, out):
        found = app.store.backtests.get(backtest_id).id
        if not app.store.backtests.remove(found):
            raise UnknownBacktest(found)
    if as_json:
        out.document({"id": found, "removed": True})
    else:
        out.note(f"backtest {found} is deleted")


# --- shared ------------------------------------------------------------------------------


@contextmanager
def _stored(
    app_target: str | None, database: str | None, as_json: bool
) -> Iterator[tuple[App, Output]]:
    from closingbell.cli.access import app_of_settings, opened
    from closingbell.cli.output import Output

    app = app_of_settings(database, app_target)
    with opened(app):
        yield app, Output(as_json, app.settings.timezone)


def _read(app: App, backtest_id: str) -> Report:
    from closingbell.simulation.report import read_report

    return read_report(app.store.backtests, backtest_id)


def _tell(report: Report, out: Output, html_file: Path | None) -> None:
    from closingbell.cli.backtest_shape import report_shape

    path = None if html_file is None else report.to_html(_writable(html_file))
    if out.as_json:
        out.document({**report_shape(report), "html": None if path is None else str(path)})
        return
    out.say(report.summary().rstrip())
    if path is not None:
        out.note(f"the page is {path}")


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


def _writable(path: Path) -> Path:
    """Return a file's path, unless its folder is not there.

    Raises:
        SubmitError: the folder is missing, or the path is one.
    """
    if path.is_dir() or not path.parent.is_dir():
        raise SubmitError("file", str(path), "a file in a folder that is there")
    return path


@contextmanager
def _progress(out: Output, end: str | None) -> Iterator[Callable[[int], None]]:
    """Show the simulated day on stderr, where that is a terminal, and a bar where its end is known."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from closingbell.core.clock import from_micros

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    shown = not out.as_json and console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=not shown) as display:
        work = display.add_task("reading prices", total=None)
        first: list[int] = []

        def told(at: int) -> None:
            if not first:
                first.append(at)
                last = _last_instant(end)
                display.update(work, total=None if last is None else max(last - at, 1))
            display.update(work, completed=at - first[0], description=f"{from_micros(at):%Y-%m-%d}")

        yield told


def _last_instant(end: str | None) -> int | None:
    """Return about where a window ends: what the bar needs; the backtest reads it exactly."""
    from datetime import UTC, datetime

    from closingbell.core.clock import to_micros

    try:
        found = datetime.fromisoformat(end) if end is not None else None
    except ValueError:
        return None
    if found is None:
        return None
    return to_micros(found if found.tzinfo is not None else found.replace(tzinfo=UTC))
