"""`events` and `alerts`: what happened, and what a person must see."""

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


@guarded
def alerts(
    kind: Annotated[str | None, typer.Option("--type", help="Only alerts of this type.")] = None,
    clear: Annotated[
        bool, typer.Option("--clear", help="Clear them, after they were listed.")
    ] = False,
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """List the alerts that nobody cleared, oldest first."""
    from closingbell.cli.access import app_of_settings, opened
    from closingbell.cli.output import Output

    app = app_of_settings(database, app_target)
    out = Output(as_json, app.settings.timezone)
    cleared = 0
    with opened(app):
        found = app.store.alerts.open(kind)
        if clear:
            cleared = app.store.alerts.clear(app.clock.micros(), kind)
    if as_json:
        out.document({"alerts": found, "cleared": cleared})
        return
    rows = [
        (row["raised_at"], row["severity"], row["type"], row["message"], row["run_id"])
        for row in found
    ]
    out.table(("raised", "severity", "type", "message", "run"), rows, "no alert is open")
    if clear:
        out.note(f"{cleared} cleared")
