"""`audit ...`: who did what, whether the record is whole, and copies of it."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from closingbell.cli.failure import CheckFailed, guarded
from closingbell.cli.option import AppTarget, AsJson, DatabaseAddress, Debug, ServiceUrl, TokenFile
from closingbell.core.error import SubmitError

if TYPE_CHECKING:
    from closingbell.cli.output import Output

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
    after: Annotated[
        str | None, typer.Option("--after", metavar="PLACE", help="Go on where a list ended.")
    ] = None,
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
    """List who did what, the newest first."""
    from closingbell.cli.desk_access import desk, find_place
    from closingbell.cli.listing import gathered

    with desk(find_place(url, token_file, app_target, database), as_json) as (client, out):
        begin, end = _begin(since, out), _end(until, out)
        found = gathered(
            lambda n, at: client.audit.page(
                since=begin,
                until=end,
                action=action,
                actor=actor,
                target_id=of,
                limit=n,
                after=at,
            ),
            limit,
            after,
        )
    if as_json:
        out.document({"records": found.items, "next": found.next, "complete": found.complete})
        return
    rows = [
        (r.seq, r.at, r.actor, r.action, f"{r.target_kind} {r.target_id}", r.reason)
        for r in found.items
    ]
    out.table(("no.", "when", "who", "what", "of what", "why"), rows, "nothing is recorded")
    if found.next is not None:
        out.note(f"more: --after {found.next}")


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
    url: ServiceUrl = None,
    token_file: TokenFile = None,
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Find every altered, missing, moved or inserted record; exit 1 if there is one.

    Keep the head that it shows somewhere else: with --head a chain that was made anew as a
    whole, or cut off together with its own head, is found too.
    """
    from closingbell.cli.desk_access import desk, find_place

    for text in head or []:
        _require_head(text)
    with desk(find_place(url, token_file, app_target, database), as_json) as (client, out):
        verdict = client.audit.verify(head or [])
    if as_json:
        out.document(verdict)
    else:
        for finding in verdict.findings:
            out.say(f"{finding.problem}: {finding.sentence}")
        out.say(f"head {verdict.head}")
        state = "whole" if verdict.ok else f"{verdict.finding_count} findings"
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
    url: ServiceUrl = None,
    token_file: TokenFile = None,
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Write the records of a period, the oldest first.

    With --json, and a file to write to, stdout gets a document that says what was written.
    """
    from pathlib import Path

    from closingbell.cli.desk_access import desk, find_place
    from closingbell.store.whole_file import written

    if as_json and path is None:
        raise SubmitError("--json", "no --output", "a file to write to, or --format jsonl")
    with desk(find_place(url, token_file, app_target, database), as_json) as (client, out):
        begin, end = _begin(since, out), _end(until, out)
        pieces = client.audit.export(form.value, since=begin, until=end)
        if path is None:
            for piece in _texts(pieces):
                sys.stdout.write(piece)
            return
        with written(Path(path)) as part, part.open("wb") as file:
            file.writelines(pieces)
    if as_json:
        out.document({"path": path, "format": form.value, "bytes": Path(path).stat().st_size})
    else:
        out.note(f"{path}: {Path(path).stat().st_size} bytes ({form.value})")


def _texts(pieces: Iterable[bytes]) -> Iterator[str]:
    """Yield the text of bytes that may be cut anywhere."""
    import codecs

    decoder = codecs.getincrementaldecoder("utf-8")()
    for piece in pieces:
        yield decoder.decode(piece)
    yield decoder.decode(b"", final=True)


def _begin(given: str | None, out: Output) -> datetime | None:
    from closingbell.cli.instant import read_instant

    return None if given is None else read_instant(given, "--from", out.timezone)


def _end(given: str | None, out: Output) -> datetime | None:
    """Return before which instant a period ends: a day belongs to it as a whole."""
    from closingbell.cli.instant import read_instant

    if given is None:
        return None
    try:
        day = date.fromisoformat(given)
    except ValueError:
        return read_instant(given, "--to", out.timezone)
    following = (day + timedelta(days=1)).isoformat()
    return read_instant(following, "--to", out.timezone)


def _require_head(text: str) -> None:
    from closingbell.core.audit import read_head

    try:
        read_head(text)
    except ValueError as problem:
        raise SubmitError("--head", text, "SEQ:HASH as `audit verify` shows it") from problem
