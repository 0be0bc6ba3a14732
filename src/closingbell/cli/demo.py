"""`demo`: a trading desk's Thanksgiving week on one SQLite file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from closingbell.cli.failure import guarded, quieten
from closingbell.cli.option import AsJson, Debug


@guarded
def demo(
    database: Annotated[
        str | None,
        typer.Option("--database", help="A new SQLite file; default one in a temporary folder."),
    ] = None,
    once: Annotated[
        bool, typer.Option("--once", help="End after the summary, also on a terminal.")
    ] = False,
    speed: Annotated[
        float | None, typer.Option("--speed", help="Desk seconds in one real second.")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", help="End at this desk time (ISO, New York).")
    ] = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Run a desk's week over real prices on an accelerated clock, then say what happened.

    The days are 21 to 26 November 2012: a holiday and an early close are among them. It takes
    about 40 seconds. On a terminal the desk then goes on in real time until Ctrl-C; where
    stdin is no terminal, or with --once, the command ends after the summary.
    """
    import sys

    from closingbell.cli.instant import read_instant
    from closingbell.cli.output import Output
    from closingbell.demo.desk import ZONE
    from closingbell.demo.runner import END, SPEED, Demo
    from closingbell.demo.screen import Screen, show_summary

    quieten()
    out = Output(as_json, ZONE)
    path = _path(database)
    show = Demo(
        path,
        speed=SPEED if speed is None else speed,
        end=END if until is None else read_instant(until, "until", ZONE),
    )
    out.note("first, what trades is backtested on the half year before ...")
    report = show.backtest()
    out.note(report.summary())
    out.note(f"then a trading desk's days around Thanksgiving 2012, on {show.path}")
    with Screen(show) as screen:
        summary = show.play(screen.watch)
    summary["backtest"] = {"id": report.id, "page": str(show.page)}
    if as_json:
        out.document(summary)
    else:
        from rich.console import Console

        show_summary(summary, Console(width=None if sys.stdout.isatty() else 100))
    out.note(f"\nthe backtest's report: {show.page.as_uri()}")
    out.note(f"look closer: closingbell runs --database {show.path}")
    if once or not sys.stdin.isatty():
        return

    def tell(address: str, way_in: str) -> None:
        out.note(f"the desk goes on in real time at {address}; Ctrl-C ends it")
        out.note(f"sign in once, within 15 minutes: {way_in}")

    show.serve(tell)


def _path(database: str | None) -> Path:
    import tempfile

    from closingbell.cli.access import sqlite_path
    from closingbell.core.error import SettingError

    if database is None:
        return Path(tempfile.mkdtemp(prefix="closingbell-demo-")) / "desk.db"
    path = sqlite_path(database if "://" in database else f"sqlite:///{database}")
    if path is None:
        raise SettingError("database", database, "a SQLite file: the demo is one file")
    return path
