"""`run approve`, `run reject`, `run waiting`: what two persons must agree on."""

from __future__ import annotations

from typing import Annotated

import typer

from closingbell.cli.failure import guarded
from closingbell.cli.option import AppTarget, AsJson, DatabaseAddress, Debug, ServiceUrl, TokenFile
from closingbell.cli.runs import RunId, run_commands


@run_commands.command()
@guarded
def approve(
    run_id: RunId,
    reason: Annotated[
        str | None, typer.Option("--reason", help="Stored with your decision.")
    ] = None,
    url: ServiceUrl = None,
    token_file: TokenFile = None,
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Release a run that waits for a second person; not the one who asked for it."""
    from closingbell.cli.desk_access import desk, find_place

    with desk(find_place(url, token_file, app_target, database), as_json) as (client, out):
        found = client.runs.find(run_id)
        standing = client.approvals.approve(found, reason)
    if as_json:
        out.document(standing)
    elif standing.needed:
        out.note(f"run {found} waits for {standing.needed} more")
    else:
        out.note(f"run {found} is released")


@run_commands.command()
@guarded
def reject(
    run_id: RunId,
    reason: Annotated[str, typer.Option("--reason", help="Why; stored with the run.")],
    url: ServiceUrl = None,
    token_file: TokenFile = None,
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """End a run that waits for a second person: it is cancelled, with your reason."""
    from closingbell.cli.desk_access import desk, find_place

    with desk(find_place(url, token_file, app_target, database), as_json) as (client, out):
        found = client.runs.find(run_id)
        standing = client.approvals.reject(found, reason)
    if as_json:
        out.document(standing)
    else:
        out.note(f"run {found} is cancelled")


@run_commands.command()
@guarded
def waiting(
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, max=10_000, help="At most so many.")
    ] = 20,
    after: Annotated[
        str | None, typer.Option("--after", metavar="PLACE", help="Go on where a list ended.")
    ] = None,
    url: ServiceUrl = None,
    token_file: TokenFile = None,
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """List the runs that wait for people, the oldest first."""
    from closingbell.cli.desk_access import desk, find_place
    from closingbell.cli.listing import gathered

    with desk(find_place(url, token_file, app_target, database), as_json) as (client, out):
        found = gathered(lambda n, at: client.approvals.page(limit=n, after=at), limit, after)
    if as_json:
        out.document({"runs": found.items, "next": found.next})
        return
    rows = [
        (
            one.run_id,
            one.task,
            one.asked_by or one.cause,
            ", ".join(one.released_by),
            one.needed,
            one.due_at,
            one.payload,
        )
        for one in found.items
    ]
    columns = ("id", "task", "asked by", "released by", "needs", "due", "payload")
    out.table(columns, rows, "no run waits for approval")
    if found.next is not None:
        out.note(f"more: --after {found.next}")
