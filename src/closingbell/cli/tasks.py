"""`tasks`: how each task stands."""

from __future__ import annotations

from closingbell.cli.failure import guarded
from closingbell.cli.option import (
    AppTarget,
    AsJson,
    DatabaseAddress,
    Debug,
    ServiceUrl,
    TargetArgument,
    TokenFile,
)


@guarded
def tasks(
    target: TargetArgument = None,
    url: ServiceUrl = None,
    token_file: TokenFile = None,
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Show how each task stands: its last run, its last error, its next firing.

    With a target, its tasks; without one, every task that the database knows of.
    """
    from closingbell.cli.desk_access import desk, find_place

    place = find_place(url, token_file, target or app_target, database)
    with desk(place, as_json, with_tasks=True) as (client, out):
        # Of a target its own tasks are meant, and not what other apps left in its database.
        found = list(client.tasks.all(registered=None if place.target is None else True))
    if as_json:
        out.document({"tasks": found})
        return
    rows = [
        (
            task.name,
            task.standing.last_status,
            task.standing.last_run_at,
            task.standing.next_fire_at,
            task.standing.running,
            task.standing.last_error or task.description,
        )
        for task in found
    ]
    columns = ("task", "last", "last run", "next run", "running", "about")
    out.table(columns, rows, "no task is known yet")
