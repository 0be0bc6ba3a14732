"""`events`: what happened."""

from __future__ import annotations

from typing import Annotated

import typer

from closingbell.cli.failure import guarded
from closingbell.cli.option import AppTarget, AsJson, DatabaseAddress, Debug, ServiceUrl, TokenFile


@guarded
def events(
    kind: Annotated[str | None, typer.Option("--type", help="Only events of this type.")] = None,
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
    """List events, newest first, with their data and how many runs each started."""
    from closingbell.cli.desk_access import desk, find_place
    from closingbell.cli.listing import gathered

    with desk(find_place(url, token_file, app_target, database), as_json) as (client, out):
        found = gathered(lambda n, at: client.events.page(kind, limit=n, after=at), limit)
    if as_json:
        out.document({"events": found.items})
        return
    rows = [(one.happened_at, one.type, one.runs, one.data) for one in found.items]
    out.table(("happened", "type", "runs", "data"), rows, "no event is stored")
