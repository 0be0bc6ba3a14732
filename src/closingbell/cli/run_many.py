"""`run cancel-many` and `run retry-many`: one act on all runs that a filter means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from closingbell.cli.failure import CheckFailed, guarded
from closingbell.cli.option import AppTarget, AsJson, DatabaseAddress, Debug
from closingbell.cli.runs import run_commands

if TYPE_CHECKING:
    from closingbell.app import App
    from closingbell.cli.output import Output
    from closingbell.core.bulk import BulkAct, BulkOutcome

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
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Cancel all runs that a filter means; without states in it, all that have not ended."""
    from closingbell.cli.access import app_of_settings
    from closingbell.core.bulk import BulkAct

    app = app_of_settings(database, app_target)
    _act(app, BulkAct.CANCEL, wanted, reason, most, dry_run, as_json)


@run_commands.command("retry-many")
@guarded
def retry_many(
    wanted: Filter,
    reason: Reason = None,
    most: Most = 10_000,
    dry_run: DryRun = False,
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Run all runs again that a filter means; without states in it, those that failed.

    Needs --app: the policies of its tasks say how many attempts each run has from here.
    """
    from closingbell.cli.access import app_of_settings, app_of_target
    from closingbell.core.bulk import BulkAct

    app = app_of_settings(database) if app_target is None else app_of_target(app_target, database)
    _act(app, BulkAct.RETRY, wanted, reason, most, dry_run, as_json)


def _act(
    app: App, act: BulkAct, wanted: str, reason: str | None, most: int, dry_run: bool, as_json: bool
) -> None:
    from zoneinfo import ZoneInfo

    from closingbell.bulk import act_on_all
    from closingbell.cli.access import opened
    from closingbell.cli.output import Output
    from closingbell.core.run_filter_text import read_filter

    out = Output(as_json, app.settings.timezone)
    meant = read_filter(wanted, ZoneInfo(app.settings.timezone))
    with opened(app):
        outcome = act_on_all(app.machinery, act, meant, reason=reason, most=most, dry_run=dry_run)
    if as_json:
        refused = [one._asdict() for one in outcome.refused]
        out.document({**outcome._asdict(), "refused": refused, "dry_run": dry_run})
    else:
        _tell(out, act, outcome, dry_run)
    if outcome.refused_count:
        raise CheckFailed


def _tell(out: Output, act: BulkAct, outcome: BulkOutcome, dry_run: bool) -> None:
    more = ", and there are more" if outcome.more else ""
    if dry_run:
        out.say(f"{outcome.matched} runs would be asked to {act}{more}")
        return
    out.say(f"{outcome.done} of {outcome.matched} runs: {act}{more}")
    if outcome.refused:
        rows = [(one.id, one.detail) for one in outcome.refused]
        out.table(("id", "left as it is because"), rows, "")
    if outcome.refused_count > len(outcome.refused):
        out.note(f"{outcome.refused_count - len(outcome.refused)} more were left as they are")
