"""Stored backtests: listed, shown, compared, written as pages, deleted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from closingbell.cli.failure import guarded
from closingbell.cli.option import AppTarget, AsJson, DatabaseAddress, Debug, ServiceUrl, TokenFile
from closingbell.core.error import SubmitError, UnknownBacktest

if TYPE_CHECKING:
    from closingbell.app import App
    from closingbell.cli.output import Output
    from closingbell.client import Client
    from closingbell.simulation.report import Report
    from closingbell.wire.backtest import BacktestInfo

BacktestId = Annotated[
    str, typer.Argument(metavar="ID", help="The backtest's id, or its first letters.")
]
AccountName = Annotated[
    str | None, typer.Option("--account", help="Whose; default main, or the only one.")
]
HtmlFile = Annotated[
    Path | None, typer.Option("--html", metavar="FILE", help="Write it as a page, too.")
]


@guarded
def list_backtests(
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, max=10_000, help="At most so many.")
    ] = 20,
    url: ServiceUrl = None,
    token_file: TokenFile = None,
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """List stored backtests, the newest first."""
    from itertools import islice

    from closingbell.cli.desk_access import desk, find_place
    from closingbell.core.clock import to_micros
    from closingbell.simulation.figure_text import percent, window_text

    with desk(find_place(url, token_file, app_target, database), as_json) as (client, out):
        found = list(islice(client.backtests.all(), limit))
    if as_json:
        out.document({"backtests": found})
        return

    def figure(backtest: BacktestInfo, metric: str) -> str | None:
        value = backtest.metrics[metric]
        if value is None:
            return None
        return f"{value:.2f}" if metric == "sharpe" else percent(value)

    rows = [
        (
            one.id,
            one.name,
            window_text(to_micros(one.start), to_micros(one.end), out.timezone),
            figure(one, "total_return"),
            figure(one, "sharpe"),
            figure(one, "max_drawdown"),
            one.trades,
            one.made_at,
        )
        for one in found
    ]
    columns = ("id", "name", "window", "return", "sharpe", "drawdown", "trades", "made")
    out.table(columns, rows, "no backtests are stored")


@guarded
def show(
    backtest_id: BacktestId,
    url: ServiceUrl = None,
    token_file: TokenFile = None,
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Show a stored backtest's figures, and how its tasks fared."""
    from closingbell.cli.desk_access import desk, find_place

    with desk(find_place(url, token_file, app_target, database), as_json) as (client, out):
        report = _report(client, backtest_id)
    tell_report(report, out, None)


@guarded
def compare(
    left: Annotated[
        str, typer.Argument(metavar="LEFT", help="One backtest's id, or its first letters.")
    ],
    right: Annotated[str, typer.Argument(metavar="RIGHT", help="The other one's.")],
    account: AccountName = None,
    html_file: HtmlFile = None,
    url: ServiceUrl = None,
    token_file: TokenFile = None,
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Show what two stored backtests differ in, and the first trade where they part."""
    from closingbell.cli.backtest_shape import comparison_shape
    from closingbell.cli.desk_access import desk, find_place
    from closingbell.simulation.comparison import compare as compared

    with desk(find_place(url, token_file, app_target, database), as_json) as (client, out):
        found = compared(_report(client, left), _report(client, right), account)
    if html_file is not None:
        out.note(f"the page is {found.to_html(require_place(html_file))}")
    if as_json:
        out.document(comparison_shape(found))
    else:
        out.say(found.text().rstrip())


@guarded
def html(
    backtest_id: BacktestId,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write the page.")],
    url: ServiceUrl = None,
    token_file: TokenFile = None,
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Write a stored backtest as one page that needs no server and no network."""
    from closingbell.cli.desk_access import desk, find_place
    from closingbell.store.whole_file import written

    with desk(find_place(url, token_file, app_target, database), as_json) as (client, out):
        found = client.backtests.get(backtest_id).id
        page = client.backtests.page(found)
        with written(require_place(file)) as part:
            part.write_text(page, encoding="utf-8")
    if as_json:
        out.document({"id": found, "html": str(file)})
    else:
        out.note(f"the page is {file}")


@guarded
def trades(
    backtest_id: BacktestId,
    account: AccountName = None,
    symbol: Annotated[str | None, typer.Option("--symbol", help="Only of this symbol.")] = None,
    url: ServiceUrl = None,
    token_file: TokenFile = None,
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """List a stored backtest's trades; with --json one document for each."""
    from closingbell.cli.backtest_shape import trade_shape
    from closingbell.cli.desk_access import desk, find_place
    from closingbell.cli.output import Output
    from closingbell.core.clock import from_micros

    with desk(find_place(url, token_file, app_target, database), as_json) as (client, _):
        report = _report(client, backtest_id)
    found = [
        trade
        for trade in report.account(account).trades
        if symbol is None or trade.symbol == symbol
    ]
    out = Output(as_json, report.timezone)
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
    from closingbell.cli.output import Output
    from closingbell.core.clock import from_micros
    from closingbell.simulation.figure_text import seconds_text
    from closingbell.simulation.report import read_report

    with _stored(app_target, database, as_json) as (app, _):
        report = read_report(app.store.backtests, backtest_id)
        out = Output(as_json, report.timezone)
        matching = (
            line
            for line in report.firings()
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


def _report(client: Client, backtest_id: str) -> Report:
    from closingbell.simulation.report import report_of_document

    found = client.backtests.get(backtest_id)
    return report_of_document(found.id, found.report)


def tell_report(report: Report, out: Output, html_file: Path | None) -> None:
    """Write a report's summary, or its document, and its page where one is asked for."""
    from closingbell.cli.backtest_shape import report_shape

    path = None if html_file is None else report.to_html(html_file)
    if out.as_json:
        out.document({**report_shape(report), "html": None if path is None else str(path)})
        return
    out.say(report.summary().rstrip())
    if path is not None:
        out.note(f"the page is {path}")


def require_place(path: Path) -> Path:
    """Return a page's path, unless it cannot be written there.

    Raises:
        SubmitError: the folder is missing, or the path is one.
    """
    if path.is_dir() or not path.parent.is_dir():
        raise SubmitError("file", str(path), "a file in a folder that is there")
    return path
