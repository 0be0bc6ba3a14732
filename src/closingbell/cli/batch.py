"""`batch ...`: runs that are submitted together."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from closingbell.cli.failure import guarded
from closingbell.cli.option import AppTarget, AsJson, DatabaseAddress, Debug, ServiceUrl, TokenFile
from closingbell.core.error import SubmitError

batch_commands = typer.Typer(help="Submit many runs at once; see how far they are; stop them.")

BatchId = Annotated[str, typer.Argument(metavar="ID", help="The batch's id.")]
Reason = Annotated[str | None, typer.Option("--reason", help="For the audit ledger.")]


@batch_commands.command()
@guarded
def submit(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="[TARGET] TASK FILE",
            help="The app unless --app or --url name one; the task; a file with a JSON object on "
            "each line, one for each run, or -.",
            show_default=False,
        ),
    ],
    name: Annotated[
        str | None, typer.Option("--name", help="For people; default the task's name.")
    ] = None,
    priority: Annotated[
        int | None, typer.Option("--priority", help="1 runs first, 9 last.")
    ] = None,
    tag: Annotated[list[str] | None, typer.Option("--tag", help="A label; repeatable.")] = None,
    reason: Reason = None,
    url: ServiceUrl = None,
    token_file: TokenFile = None,
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Submit a run for each line of a file, all of them or none; write the batch's id."""
    from closingbell.cli.desk_access import desk, find_place, split_words

    place, rest = split_words(words, find_place(url, token_file, app_target, database))
    if len(rest) != 2:
        raise SubmitError("arguments", " ".join(words), "[TARGET] TASK FILE")
    payloads = _payloads(rest[1])
    with desk(place, as_json, with_tasks=True, makes=True) as (client, out):
        batch = client.batches.submit(
            rest[0], payloads, name=name, priority=priority, tags=tag or (), reason=reason
        )
    if as_json:
        out.document(batch)
    else:
        out.say(batch.id)
        out.note(f"{batch.size} runs of {batch.task}")


@batch_commands.command("list")
@guarded
def list_batches(
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
    """List batches, the newest first."""
    from itertools import islice

    from closingbell.cli.desk_access import desk, find_place

    with desk(find_place(url, token_file, app_target, database), as_json) as (client, out):
        found = list(islice(client.batches.all(), limit))
    if as_json:
        out.document({"batches": found})
        return
    rows = [
        (one.id, one.name, one.task, one.size, one.requested_by, one.created_at) for one in found
    ]
    out.table(("id", "name", "task", "runs", "asked by", "made"), rows, "no batches are stored")


@batch_commands.command()
@guarded
def show(
    batch_id: BatchId,
    url: ServiceUrl = None,
    token_file: TokenFile = None,
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Show how far a batch has come."""
    from closingbell.cli.desk_access import desk, find_place

    with desk(find_place(url, token_file, app_target, database), as_json) as (client, out):
        batch = client.batches.get(batch_id)
    if as_json:
        out.document(batch)
        return
    facts: list[tuple[str, Any]] = [
        ("batch", batch.id),
        ("name", batch.name),
        ("task", batch.task),
        ("asked by", batch.requested_by),
        ("made", batch.created_at),
        ("started", batch.first_started_at),
        ("finished", batch.last_finished_at),
        ("left", out.length(batch.eta_s)),
        ("runs", batch.size),
        *((state, count) for state, count in batch.counts.items() if count),
    ]
    for what, value in facts:
        if value is not None:
            out.say(f"{what:<10} {out.cell(value)}")


@batch_commands.command()
@guarded
def cancel(
    batch_id: BatchId,
    reason: Reason = None,
    url: ServiceUrl = None,
    token_file: TokenFile = None,
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Cancel what of a batch has not ended."""
    from closingbell.cli.desk_access import desk, find_place
    from closingbell.cli.run_many import tell_many

    with desk(find_place(url, token_file, app_target, database), as_json) as (client, out):
        answer = client.batches.cancel(batch_id, reason)
    tell_many(out, "cancel", answer)


@batch_commands.command("retry-failed")
@guarded
def retry_failed(
    batch_id: BatchId,
    reason: Reason = None,
    url: ServiceUrl = None,
    token_file: TokenFile = None,
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Let what of a batch failed run again.

    Needs --app or --url: the policies of its tasks say how many attempts each run has from here.
    """
    from closingbell.cli.desk_access import desk, find_place
    from closingbell.cli.run_many import tell_many

    place = find_place(url, token_file, app_target, database)
    with desk(place, as_json, with_tasks=True) as (client, out):
        answer = client.batches.retry_failed(batch_id, reason)
    tell_many(out, "retry", answer)


def _payloads(file: str) -> list[dict[str, Any]]:
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise SubmitError("FILE", file, f"a readable file ({problem})") from problem
    payloads: list[dict[str, Any]] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            payload = json.loads(line)
        except (ValueError, RecursionError) as problem:
            raise SubmitError(f"line {number}", line[:200], f"JSON ({problem})") from problem
        if not isinstance(payload, dict):
            raise SubmitError(f"line {number}", line[:200], "a JSON object, with keys and values")
        payloads.append(payload)
    if not payloads:
        raise SubmitError("FILE", file, "a JSON object on each line, one at least")
    return payloads
