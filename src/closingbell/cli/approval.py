"""`run approve`, `run reject`, `run waiting`: what two persons must agree on."""

from __future__ import annotations

from typing import Annotated

import typer

from closingbell.cli.failure import guarded
from closingbell.cli.option import AppTarget, AsJson, DatabaseAddress, Debug
from closingbell.cli.runs import RunId, resolve_run, run_commands


@run_commands.command()
@guarded
def approve(
    run_id: RunId,
    reason: Annotated[
        str | None, typer.Option("--reason", help="Stored with your decision.")
    ] = None,
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Release a run that waits for a second person; not the one who asked for it."""
    from closingbell.cli.access import app_of_settings, opened
    from closingbell.cli.output import Output

    app = app_of_settings(database, app_target)
    out = Output(as_json, app.settings.timezone)
    with opened(app):
        found = resolve_run(app, run_id)
        standing = app.approve(found, reason)
        state = app.get_run(found).state
    if as_json:
        out.document({"id": found, "state": state, "needed": standing.needed})
    elif standing.needed:
        out.note(f"run {found} waits for {standing.needed} more")
    else:
        out.note(f"run {found} is released, and {state}")


@run_commands.command()
@guarded
def reject(
    run_id: RunId,
    reason: Annotated[str, typer.Option("--reason", help="Why; stored with the run.")],
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """End a run that waits for a second person: it is cancelled, with your reason."""
    from closingbell.cli.access import app_of_settings, opened
    from closingbell.cli.output import Output

    app = app_of_settings(database, app_target)
    out = Output(as_json, app.settings.timezone)
    with opened(app):
        found = resolve_run(app, run_id)
        app.reject(found, reason)
    if as_json:
        out.document({"id": found, "state": "cancelled"})
    else:
        out.note(f"run {found} is cancelled")


@run_commands.command()
@guarded
def waiting(
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, max=10_000, help="At most so many.")
    ] = 20,
    after: Annotated[
        str | None, typer.Option("--after", metavar="ID", help="The page after this run.")
    ] = None,
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """List the runs that wait for people, the oldest first."""
    from closingbell.cli.access import app_of_settings, opened
    from closingbell.cli.output import Output, compact_json
    from closingbell.cli.shape import held_shape
    from closingbell.core.mask import mask

    app = app_of_settings(database, app_target)
    out = Output(as_json, app.settings.timezone)
    with opened(app):
        page = app.approvals(limit, after)
        masked = app.store.masks.all()
    following = page[-1].run.id if len(page) == limit else None
    if as_json:
        shapes = [held_shape(held, masked) for held in page]
        out.document({"runs": shapes, "next_after": following})
        return
    rows = [
        (
            held.run.id,
            held.run.task,
            held.standing.asked_by or held.run.cause,
            ", ".join(held.standing.released_by),
            held.standing.needed,
            held.run.due_at,
            compact_json(mask(held.run.payload, masked.get(held.run.task, ()))),
        )
        for held in page
    ]
    columns = ("id", "task", "asked by", "released by", "needs", "due", "payload")
    out.table(columns, rows, "no run waits for approval")
    if following is not None:
        out.note(f"more: --after {following}")
