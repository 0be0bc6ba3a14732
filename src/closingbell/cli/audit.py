"""`audit ...`: who did what, whether the record is whole, and copies of it."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from closingbell.cli.failure import CheckFailed, guarded
from closingbell.cli.option import AppTarget, AsJson, DatabaseAddress, Debug
from closingbell.core.error import SubmitError

if TYPE_CHECKING:
    from closingbell.app import App
    from closingbell.core.audit import Head

audit_commands = typer.Typer(help="List who did what, verify that record, or export it.")

From = Annotated[
    str | None, typer.Option("--from", metavar="ISO", help="Not before this day or instant.")
]
To = Annotated[
    str | None,
    typer.Option("--to", metavar="ISO", help="Until the end of this day, or before this instant."),
]


class Form(StrEnum):
    """What an export is written as."""

    CSV = "csv"
    JSONL = "jsonl"
    HTML = "html"


@audit_commands.command("list")
@guarded
def list_records(
    since: From = None,
    until: To = None,
    action: Annotated[
        str | None,
        typer.Option(
            "--action", help="Only this, such as schedule.paused; schedule. is all that begin so."
        ),
    ] = None,
    actor: Annotated[str | None, typer.Option("--actor", help="Only this one's.")] = None,
    of: Annotated[
        str | None, typer.Option("--of", metavar="ID", help="Only of this schedule, run, ...")
    ] = None,
    before: Annotated[
        int | None, typer.Option("--before", metavar="SEQ", help="The page after this record.")
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, max=10_000, help="At most so many.")
    ] = 20,
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """List who did what, the newest first."""
    from closingbell.cli.access import app_of_settings, opened
    from closingbell.cli.output import Output
    from closingbell.core.audit_export import record_shape

    app = app_of_settings(database, app_target)
    out = Output(as_json, app.settings.timezone)
    with opened(app):
        page = app.audit.records(
            since=_begin(since, app),
            until=_end(until, app),
            action=action,
            actor=actor,
            target=of,
            before_seq=before,
            limit=limit,
        )
    following = page[-1].seq if len(page) == limit and page[-1].seq > 1 else None
    if as_json:
        out.document(
            {"records": [record_shape(record) for record in page], "next_before": following}
        )
        return
    rows = [
        (r.seq, r.happened_at, r.actor, r.action, f"{r.target_kind} {r.target_id}", r.reason)
        for r in page
    ]
    out.table(("no.", "when", "who", "what", "of what", "why"), rows, "nothing is recorded")
    if following is not None:
        out.note(f"more: --before {following}")


@audit_commands.command()
@guarded
def verify(
    head: Annotated[
        list[str] | None,
        typer.Option(
            "--head",
            metavar="SEQ:HASH",
            help="What an earlier verify showed, kept elsewhere; repeatable.",
        ),
    ] = None,
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Find every altered, missing, moved or inserted record; exit 1 if there is one.

    Keep the head that it shows somewhere else: with --head a chain that was made anew as a
    whole, or cut off together with its own head, is found too.
    """
    from closingbell.cli.access import app_of_settings, opened
    from closingbell.cli.output import Output

    app = app_of_settings(database, app_target)
    out = Output(as_json, app.settings.timezone)
    known = [_head(text) for text in head or []]
    with opened(app):
        verdict = app.audit.verify(known)
    if as_json:
        out.document(
            {
                "ok": verdict.ok,
                "records": verdict.records,
                "head": str(verdict.head),
                "findings": [finding._asdict() for finding in verdict.findings],
            }
        )
    else:
        for finding in verdict.findings:
            out.say(f"{finding.problem}: {finding.sentence}")
        out.say(f"head {verdict.head}")
        state = "whole" if verdict.ok else f"{len(verdict.findings)} findings"
        out.note(f"{verdict.records} records: {state}")
    if not verdict.ok:
        raise CheckFailed


@audit_commands.command()
@guarded
def export(
    form: Annotated[
        Form,
        typer.Option("--format", metavar="csv|jsonl|html", help="For sheets, programs, people."),
    ] = Form.CSV,
    since: From = None,
    until: To = None,
    path: Annotated[
        str | None, typer.Option("--output", "-o", metavar="PATH", help="Default stdout.")
    ] = None,
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Write the records of a period, the oldest first.

    With --json, and a file to write to, stdout gets a document that says what was written.
    """
    from pathlib import Path

    from closingbell.cli.access import app_of_settings, opened
    from closingbell.cli.output import Output
    from closingbell.store.whole_file import written

    app = app_of_settings(database, app_target)
    out = Output(as_json, app.settings.timezone)
    if as_json and path is None:
        raise SubmitError("--json", "no --output", "a file to write to, or --format jsonl")
    begin, end = _begin(since, app), _end(until, app)
    with opened(app):
        pieces = _pieces(app, form, begin, end)
        if path is None:
            for piece in pieces:
                sys.stdout.write(piece)
            return
        with (
            written(Path(path)) as part,
            part.open("w", encoding="utf-8", newline="") as file,
        ):
            file.writelines(pieces)
    if as_json:
        out.document({"path": path, "format": form.value, "bytes": Path(path).stat().st_size})
    else:
        out.note(f"{path}: {Path(path).stat().st_size} bytes ({form.value})")


def _pieces(app: App, form: Form, since: datetime | None, until: datetime | None) -> Iterable[str]:
    from closingbell.core.audit_export import counted, csv_text, json_lines, report_page

    records = app.audit.walk(since, until)
    if form is Form.CSV:
        return csv_text(records)
    if form is Form.JSONL:
        return json_lines(records)
    return report_page(
        records,
        counted(app.audit.walk(since, until)),
        app.audit.verify(),
        since=since,
        until=until,
        made_at=app.clock.now(),
        timezone=app.settings.timezone,
    )


def _begin(given: str | None, app: App) -> datetime | None:
    from closingbell.cli.instant import read_instant

    return None if given is None else read_instant(given, "--from", app.settings.timezone)


def _end(given: str | None, app: App) -> datetime | None:
    """Return before which instant a period ends: a day belongs to it as a whole."""
    from closingbell.cli.instant import read_instant

    if given is None:
        return None
    try:
        day = date.fromisoformat(given)
    except ValueError:
        return read_instant(given, "--to", app.settings.timezone)
    following = (day + timedelta(days=1)).isoformat()
    return read_instant(following, "--to", app.settings.timezone)


def _head(text: str) -> Head:
    from closingbell.core.audit import read_head

    try:
        return read_head(text)
    except ValueError as problem:
        raise SubmitError("--head", text, "SEQ:HASH as `audit verify` shows it") from problem
