"""`data ...`: the app's market data."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from closingbell.cli.failure import CheckFailed, guarded
from closingbell.cli.option import AppTarget, AsJson, DatabaseAddress, Debug

if TYPE_CHECKING:
    from datetime import datetime
    from decimal import Decimal

    from closingbell.app import App

data_commands = typer.Typer(help="Look at, import, check and archive market data.")

_EVER = 1 << 62

Symbol = Annotated[str, typer.Argument(metavar="SYMBOL", help="Such as AAPL or BTC/EUR.")]
Symbols = Annotated[
    list[str] | None, typer.Option("--symbol", metavar="SYMBOL", help="Only this one; may repeat.")
]


@data_commands.command("list")
@guarded
def list_data(
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Write which bars there are."""
    from closingbell.cli.output import Output

    with _opened(app_target, database) as app:
        files = app.market_data.manifest.files()
        series: dict[tuple[str, str], list[Any]] = {}
        for file in files:
            series.setdefault((file.symbol, file.timeframe), []).append(file)
        rows = []
        for (symbol, timeframe), parts in sorted(series.items()):
            away = sum(file.rows for file in parts if file.period.startswith("archive/"))
            rows.append(
                {
                    "symbol": symbol,
                    "timeframe": timeframe,
                    "bars": sum(file.rows for file in parts) - away,
                    "archived": away,
                    "from": _when(min(file.first for file in parts)),
                    "to": _when(max(file.last for file in parts)),
                }
            )
        out = Output(as_json, app.settings.timezone)
        _tell(out, rows, "no market data is stored; `closingbell data import` brings some")


@data_commands.command()
@guarded
def show(
    symbol: Symbol,
    timeframe: Annotated[str, typer.Option("--timeframe", help="Which: 1m, 1h, 1d, quote.")] = "1d",
    start: Annotated[
        str | None, typer.Option("--from", metavar="WHEN", help="Bars that start then or later.")
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", metavar="WHEN", help="Bars that are over by then.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Only the newest so many.")] = 20,
    adjusted: Annotated[bool, typer.Option("--adjusted", help="As if splits had always been.")] = (
        False
    ),
    archived: Annotated[bool, typer.Option("--archived", help="Those put away, too.")] = False,
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Write a symbol's bars, oldest first."""
    from closingbell.cli.output import Output
    from closingbell.core.error import UnknownSymbol
    from closingbell.trading.market.action import adjusted as adjusted_bars
    from closingbell.trading.market.soundness import require_timeframe

    require_timeframe(timeframe)
    with _opened(app_target, database) as app:
        catalogue = app.market_data
        low, high = _instant(app, start, "--from", -_EVER), _instant(app, end, "--to", _EVER)
        bars = catalogue.bars(symbol, timeframe, low, high, limit, archived=archived)
        if not bars and not catalogue.manifest.files(symbol):
            raise UnknownSymbol(symbol, {file.symbol for file in catalogue.manifest.files()})
        if adjusted:
            bars = adjusted_bars(bars, catalogue.manifest.actions())
        rows = [
            {"start": _when(bar.start), "end": _when(bar.end)}
            | {name: getattr(bar, name) for name in bar._fields[3:]}
            for bar in bars
        ]
        _tell(Output(as_json, app.settings.timezone), rows, f"no such bars of {symbol}")


@data_commands.command("import")
@guarded
def import_data(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE", help="CSV or Parquet; several are taken.")
    ],
    symbol: Annotated[
        str | None,
        typer.Option("--symbol", help="Whose; default the column symbol, or else the file's name."),
    ] = None,
    timeframe: Annotated[
        str | None, typer.Option("--timeframe", help="Of the bars; default told from the rows.")
    ] = None,
    timezone: Annotated[
        str | None,
        typer.Option("--timezone", help="Of times that name none; default the app's."),
    ] = None,
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Store the bars of files; bars that are there already with other values are replaced.

    Each symbol of each file is stored whole or not at all. With an app, tasks that wait for
    market_data_update start.
    """
    from closingbell.cli.output import Output
    from closingbell.core.zone import require_zone
    from closingbell.trading.market.load import by_symbol, read_file, symbol_of_file

    with _opened(app_target, database, writes=True) as app:
        zone = require_zone(timezone or app.settings.timezone)
        rows = []
        # All are read before the first is stored: a file that is missing stops it early.
        tables = [
            (file, by_symbol(read_file(file), symbol or symbol_of_file(file))) for file in files
        ]
        out = Output(as_json, app.settings.timezone)
        for file, parts in tables:
            for name, table in parts.items():
                result = app.market_data.store(name, table, timeframe=timeframe, timezone=zone)
                rows.append({"file": str(file), "symbol": name, **result._asdict()})
        _tell(out, rows, "nothing was imported")


@data_commands.command()
@guarded
def check(
    symbols: Symbols = None,
    repair: Annotated[
        bool,
        typer.Option(
            "--repair",
            help="Take in newer files than the database knows, as after an older one was put "
            "back, and delete files that nobody names.",
        ),
    ] = False,
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Read every file and say what is wrong, and where bars are missing; exit 1 if wrong.

    A gap is no error: a stock may have been halted.
    """
    from closingbell.cli.output import Output

    with _opened(app_target, database, writes=repair) as app:
        out, catalogue = Output(as_json, app.settings.timezone), app.market_data
        adopted = [file.file for file in catalogue.adopt()] if repair else []
        swept = catalogue.sweep() if repair else 0
        problems = list(catalogue.problems(symbols or None))
        view = catalogue.view()
        broken = {(problem.symbol, problem.timeframe) for problem in problems}
        series = {(file.symbol, file.timeframe) for file in catalogue.manifest.files()}
        gaps = [
            gap
            for name, timeframe in sorted(series - broken)
            if (not symbols or name in symbols) and view.bars(name, timeframe, -_EVER, _EVER, 1)
            for gap in catalogue.gaps(name, timeframe)
        ]
        if as_json:
            out.document(
                {
                    "ok": not problems,
                    "problems": [problem._asdict() for problem in problems],
                    "gaps": [
                        {**gap._asdict(), "start": _when(gap.start), "end": _when(gap.end)}
                        for gap in gaps
                    ],
                    "adopted": adopted,
                    "swept": swept,
                }
            )
        else:
            for problem in problems:
                out.say(f"problem: {problem.file}: {problem.sentence}")
            for gap in gaps:
                since, until = out.cell(_when(gap.start)), out.cell(_when(gap.end))
                bars = "bar" if gap.missing == 1 else "bars"
                out.say(
                    f"gap: {gap.symbol} {gap.timeframe}: {gap.missing} {bars}, {since} to {until}"
                )
            for file in adopted:
                out.say(f"taken in: {file}")
            if swept:
                out.say(f"deleted: {swept} files that nobody names")
            found = f"{len(problems)} problems" if problems else "sound"
            out.note(f"{found}, {len(gaps)} gaps in {len(series)} series")
        if problems:
            raise CheckFailed


@data_commands.command()
@guarded
def archive(
    before: Annotated[str, typer.Option("--before", metavar="WHEN", help="Bars over by then.")],
    symbols: Symbols = None,
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Put old bars away: they are kept, and read only when asked for."""
    from closingbell.cli.output import Output

    with _opened(app_target, database, writes=True) as app:
        out = Output(as_json, app.settings.timezone)
        moved = app.market_data.archive(_instant(app, before, "--before", 0), symbols)
        if as_json:
            out.document({"archived": moved})
        else:
            out.note(f"{moved} bars put away")


@data_commands.command()
@guarded
def actions(
    symbol: Annotated[
        str | None, typer.Argument(metavar="[SYMBOL]", help="Whose; default all.")
    ] = None,
    split: Annotated[
        str | None, typer.Option("--split", metavar="RATIO", help="Store one: new units per old.")
    ] = None,
    dividend: Annotated[
        str | None, typer.Option("--dividend", metavar="AMOUNT", help="Store one: per unit.")
    ] = None,
    at: Annotated[
        str | None, typer.Option("--at", metavar="WHEN", help="From when on; a date is enough.")
    ] = None,
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Write the splits and dividends that are stored, or store one."""
    from closingbell.cli.output import Output
    from closingbell.core.bar import Dividend, Split
    from closingbell.core.error import SubmitError

    adding = split is not None or dividend is not None
    if adding and (symbol is None or at is None or (split is not None and dividend is not None)):
        given = "split" if split is not None else "dividend"
        raise SubmitError(f"--{given}", split or dividend, "one of both, with a SYMBOL and --at")
    with _opened(app_target, database, writes=adding) as app:
        catalogue, out = app.market_data, Output(as_json, app.settings.timezone)
        if adding and symbol is not None:
            instant = _instant(app, at, "--at", 0)
            action = (
                Split(symbol, instant, _number(split, "--split"))
                if split is not None
                else Dividend(symbol, instant, _number(dividend, "--dividend"))
            )
            if not catalogue.put_actions([action]) and not as_json:
                out.note("it was stored already")
        rows = [
            {
                "symbol": action.symbol,
                "at": _when(action.at),
                "kind": type(action).__name__.lower(),
                "value": action[2],
            }
            for action in catalogue.manifest.actions()
            if symbol in (None, action.symbol)
        ]
        _tell(out, rows, "no splits or dividends are stored")


@contextmanager
def _opened(target: str | None, database: str | None, *, writes: bool = False) -> Iterator[App]:
    from closingbell.cli.access import app_of_settings, app_of_target, opened

    if writes and target is not None:
        # Its tasks may wait for what is stored; and its database is made if need be.
        app = app_of_target(target, database)
        try:
            yield app
        finally:
            app.stop(0.0)
        return
    with opened(app_of_settings(database, target)) as app:
        yield app


def _tell(out: Any, rows: list[dict[str, Any]], empty: str) -> None:
    if out.as_json:
        out.document(rows)
    elif not rows:
        out.note(empty)
    else:
        out.table(list(rows[0]), [list(row.values()) for row in rows], empty)


def _when(micros: int) -> datetime:
    from closingbell.core.clock import from_micros

    return from_micros(micros)


def _instant(app: App, given: str | None, option: str, default: int) -> int:
    from closingbell.cli.instant import read_instant
    from closingbell.core.clock import to_micros

    if given is None:
        return default
    return to_micros(read_instant(given, option, app.settings.timezone))


def _number(given: str | None, option: str) -> Decimal:
    from decimal import Decimal, InvalidOperation

    from closingbell.core.error import SubmitError

    try:
        return Decimal(given or "")
    except InvalidOperation as problem:
        raise SubmitError(option, given, "a number above 0") from problem
