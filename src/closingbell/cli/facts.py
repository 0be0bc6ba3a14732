"""`events`: what happened."""

from __future__ import annotations

from typing import Annotated

import typer

from closingbell.cli.failure import guarded
from closingbell.cli.option import AppTarget, AsJson, DatabaseAddress, Debug


@guarded
def events(
    kind: Annotated[str | None, typer.Option("--type", help="Only events of this type.")] = None,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, max=10_000, help="At most so many.")
    ] = 20,
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """List events, newest first, with their data and how many runs each started."""
    from closingbell.cli.access import app_of_settings, opened
    from closingbell.cli.output import Output
    from closingbell.core.clock import from_micros
    from closingbell.core.mask import mask

    app = app_of_settings(database, app_target)
    out = Output(as_json, app.settings.timezone)
    with opened(app):
        found = app.store.events.recent(kind, limit)
        masked = app.store.masks.by_event()
    for row in found:
        row["data"] = mask(row["data"], masked.get(row["type"], ()))
        row["happened_at"] = from_micros(row["happened_at"])
    if as_json:
        out.document({"events": found})
        return
    rows = [(row["happened_at"], row["type"], row["runs"], row["data"]) for row in found]
    out.table(("happened", "type", "runs", "data"), rows, "no event is stored")
