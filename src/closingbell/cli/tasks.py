"""`tasks`: how each task stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from closingbell.cli.failure import guarded
from closingbell.cli.option import (
    AppTarget,
    AsJson,
    DatabaseAddress,
    Debug,
    TargetArgument,
)

if TYPE_CHECKING:
    from closingbell.app import App


@guarded
def tasks(
    target: TargetArgument = None,
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Show how each task stands: its last run, its last error, its next firing.

    With a target, its tasks; without one, every task that the database knows of.
    """
    from closingbell.cli.access import app_of_settings, app_of_target, opened
    from closingbell.cli.output import Output

    chosen = target or app_target
    app = app_of_settings(database) if chosen is None else app_of_target(chosen, database)
    out = Output(as_json, app.settings.timezone)
    with opened(app):
        status = _stored_status(app) if chosen is None else app.get_task_status()
        for task in app.registry:
            status[task.name] = {"description": task.description, **status[task.name]}
    if as_json:
        out.document({"tasks": status})
        return
    rows = [
        (
            name,
            one["last_status"],
            one["last_run"],
            one["next_run"],
            one["running"],
            one["last_error"] or one.get("description", ""),
        )
        for name, one in sorted(status.items())
    ]
    columns = ("task", "last", "last run", "next run", "running", "about")
    out.table(columns, rows, "no task is known yet")


def _stored_status(app: App) -> dict[str, dict[str, Any]]:
    """Return the status of every task that has runs or a schedule."""
    from closingbell.status import status_of

    store = app.store
    names = {str(row["task"]) for row in store.schedules.list_all()} | set(store.retention.tasks())
    return status_of(store, sorted(names | set(store.runs.running_counts())))
