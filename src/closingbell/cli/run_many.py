"""`run cancel-many` and `run retry-many`: one act on all runs that a filter means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from closingbell.cli.failure import CheckFailed, guarded
from closingbell.cli.option import AppTarget, AsJson, DatabaseAddress, Debug, ServiceUrl, TokenFile
from closingbell.cli.runs import run_commands

if TYPE_CHECKING:
    from closingbell.cli.output import Output
    from closingbell.wire.bulk import BulkAnswer

Filter = Annotated[
    str,
    typer.Option(
        "--filter", "-f", metavar="FILTER", help="Which runs, such as 'task:scan tag:eod'."
    ),
]
Reason = Annotated[str | None, typer.Option("--reason", help="Why; the audit ledger keeps it.")]
Most = Annotated[
    int, typer.Option("--most", min=1, max=1_000_000, help="Not with more, the newest first.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Count them, and change nothing.")]


@run_commands.command("cancel-many")
@guarded
def cancel_many(
    wanted: Filter,
    reason: Reason = None,
    most: Most = 10_000,
    dry_run: DryRun = False,
    url: ServiceUrl = None,
    token_file: TokenFile = None,
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Cancel all runs that a filter means; without states in it, all that have not ended."""
    from closingbell.cli.desk_access import desk, find_place

    with desk(find_place(url, token_file, app_target, database), as_json) as (client, out):
        answer = client.runs.cancel_many(wanted, reason, most=most, dry_run=dry_run)
    tell_many(out, "cancel", answer)


@run_commands.command("retry-many")
@guarded
def retry_many(
    wanted: Filter,
    reason: Reason = None,
    most: Most = 10_000,
    dry_run: DryRun = False,
    url: ServiceUrl = None,
    token_file: TokenFile = None,
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Run all runs again that a filter means; without states in it, those that failed.

    Needs --app or --url: the policies of its tasks say how many attempts each run has from here.
    """
    from closingbell.cli.desk_access import desk, find_place

    place = find_place(url, token_file, app_target, database)
    with desk(place, as_json, with_tasks=True) as (client, out):
        answer = client.runs.retry_many(wanted, reason, most=most, dry_run=dry_run)
    tell_many(out, "retry", answer)


def tell_many(out: Output, act: str, answer: BulkAnswer) -> None:
    """Tell what became of one act on many runs.

    Raises:
        CheckFailed: some were left as they are.
    """
    if out.as_json:
        out.document(answer)
    else:
        _tell(out, act, answer)
    if answer.refused_count:
        raise CheckFailed


def _tell(out: Output, act: str, answer: BulkAnswer) -> None:
    more = ", and there are more" if answer.more else ""
    if answer.dry_run:
        out.say(f"{answer.matched} runs would be asked to {act}{more}")
        return
    out.say(f"{answer.done} of {answer.matched} runs: {act}{more}")
    if answer.refused:
        rows = [(one.id, one.detail) for one in answer.refused]
        out.table(("id", "left as it is because"), rows, "")
    if answer.refused_count > len(answer.refused):
        out.note(f"{answer.refused_count - len(answer.refused)} more were left as they are")
