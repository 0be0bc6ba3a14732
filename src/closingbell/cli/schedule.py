"""`schedule ...`: when tasks run, why, and what became of each tick."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from closingbell.cli.failure import guarded
from closingbell.cli.option import AppTarget, AsJson, DatabaseAddress, Debug
from closingbell.core.error import SubmitError, UnknownSchedule

if TYPE_CHECKING:
    from closingbell.app import App
    from closingbell.cli.output import Output
    from closingbell.core.schedule import Schedule

schedule_commands = typer.Typer(help="List, explain, pause, resume and remove schedules.")

ScheduleId = Annotated[str, typer.Argument(metavar="ID", help="The schedule's id or its task.")]


@schedule_commands.command("list")
@guarded
def list_schedules(
    task: Annotated[str | None, typer.Option("--task", help="Only this task's.")] = None,
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """List schedules: their rule in words, the last and the next firing, pauses."""
    from closingbell.cli.access import app_of_settings, opened
    from closingbell.cli.output import Output
    from closingbell.cli.shape import schedule_shape

    app = app_of_settings(database, app_target)
    out = Output(as_json, app.settings.timezone)
    with opened(app):
        schedules = _stored(app, task)
        masked = app.store.masks.all()
    if as_json:
        shapes = [schedule_shape(one, masked.get(one.task, ())) for one in schedules]
        out.document({"schedules": shapes})
        return
    rows = [
        (
            schedule.id,
            schedule.task,
            schedule.trigger.describe(),
            schedule.last_fire_at,
            schedule.next_fire_at,
            _pause(schedule, out),
        )
        for schedule in schedules
    ]
    out.table(("id", "task", "when", "last", "next", "paused"), rows, "no schedules are stored")


@schedule_commands.command("next")
@guarded
def next_firings(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="[TARGET] TASK",
            help="A task or schedule; of the app, or, without one, of the database.",
            show_default=False,
        ),
    ],
    count: Annotated[int, typer.Option("-n", "--count", min=1, max=1000, help="How many.")] = 5,
    explain: Annotated[
        bool, typer.Option("--explain", help="Say why, and what does not fire in between.")
    ] = False,
    after: Annotated[
        str | None, typer.Option("--after", help="From this instant on (ISO); default now.")
    ] = None,
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Show the next firings, and with --explain why: holidays, early closes, clock changes.

    With a target it needs no database.
    """
    from closingbell.cli.access import app_of_settings, app_of_target, opened
    from closingbell.cli.instant import read_instant
    from closingbell.cli.output import Output

    if len(words) > 2:
        raise SubmitError("arguments", " ".join(words), "[TARGET] TASK")
    name = words[-1]
    target = words[0] if len(words) > 1 else app_target
    if target is not None:
        app = app_of_target(target, database)
        found = list(app.declared_schedules.values())
        known = [task.name for task in app.registry]
    else:
        app = app_of_settings(database, app_target)
        with opened(app):
            found = _stored(app, None)
        known = []
    out = Output(as_json, app.settings.timezone)
    start = app.clock.now()
    if after is not None:
        start = read_instant(after, "after", app.settings.timezone)
    chosen = [s for s in found if s.id == name] or [s for s in found if s.task == name]
    if not chosen and name in known:
        out.note(f"task {name!r} has no schedule: it runs when it is submitted, or by an event")
    elif not chosen:
        raise UnknownSchedule(name, [*(s.id for s in found), *known])
    told = [_told(schedule, start, count, explain) for schedule in chosen]
    if as_json:
        out.document({"task": name, "schedules": told})
        return
    for schedule, one in zip(chosen, told, strict=True):
        out.note(f"{schedule.id}: {one['describes']}")
        if schedule.paused_at is not None:
            out.note(f"paused: {_pause(schedule, out)}")
        columns = ("fires", "local time", "why") if explain else ("fires", "local time")
        rows = [
            (line["fire_at"], line["local"], line["why"])[: len(columns)] for line in one["next"]
        ]
        out.table(columns, rows, "it never fires again")


def _told(schedule: Schedule, start: datetime, count: int, explain: bool) -> dict[str, Any]:
    from closingbell.outlook import outlook

    shown = [
        {"fire_at": line.fire_at, "local": line.local, "why": line.explanation}
        for line in outlook(schedule, start, count)
        if explain or line.fire_at is not None
    ]
    return {
        "schedule_id": schedule.id,
        "describes": schedule.trigger.describe(),
        "paused_reason": schedule.paused_reason,
        "next": shown,
    }


@schedule_commands.command()
@guarded
def history(
    schedule_id: ScheduleId,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, max=10_000, help="At most so many.")
    ] = 20,
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Show what became of each tick, newest first: it ran, or was skipped and why."""
    from closingbell.cli.access import app_of_settings, opened
    from closingbell.cli.output import Output
    from closingbell.cli.shape import firing_shape

    app = app_of_settings(database, app_target)
    out = Output(as_json, app.settings.timezone)
    with opened(app):
        # Dependencies have ticks, too, under an id of their own.
        known = [str(row["id"]) for row in app.store.schedules.list_all()]
        found = next((i for i in (schedule_id, f"after:{schedule_id}") if i in known), None)
        if found is None:
            raise UnknownSchedule(schedule_id, known)
        ticks = [firing_shape(row) for row in app.store.schedules.firings(found, limit)]
    if as_json:
        out.document({"firings": ticks})
        return
    rows = [(t["fire_at"], t["outcome"], t["count"], t["reason"] or t["run_id"]) for t in ticks]
    out.table(("fired for", "outcome", "ticks", "why, or the run"), rows, "it has not fired yet")


@schedule_commands.command()
@guarded
def pause(
    schedule_id: ScheduleId,
    reason: Annotated[str, typer.Option("--reason", help="Shown to who asks why nothing runs.")],
    until: Annotated[
        str | None, typer.Option("--until", help="Fire again from this instant on (ISO).")
    ] = None,
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Stop a schedule from firing, until an instant or until it is resumed."""
    from closingbell.cli.access import app_of_settings, opened
    from closingbell.cli.instant import read_instant
    from closingbell.cli.output import Output
    from closingbell.schedule_handle import ScheduleHandle

    app = app_of_settings(database, app_target)
    out = Output(as_json, app.settings.timezone)
    end = None if until is None else read_instant(until, "until", app.settings.timezone)
    with opened(app):
        app.store.schedules.get(schedule_id)
        ScheduleHandle(schedule_id, app).pause(reason, end)
    if as_json:
        out.document({"id": schedule_id, "paused_reason": reason, "paused_until": end})
    else:
        out.note(f"schedule {schedule_id} is paused")


@schedule_commands.command()
@guarded
def resume(
    schedule_id: ScheduleId,
    catch_up: Annotated[
        bool, typer.Option("--catch-up", help="Count the firings kept back as missed.")
    ] = False,
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Let a schedule fire again, from its next instant on."""
    from closingbell.cli.access import app_of_settings, opened
    from closingbell.cli.output import Output
    from closingbell.schedule_handle import ScheduleHandle

    app = app_of_settings(database, app_target)
    out = Output(as_json, app.settings.timezone)
    with opened(app):
        handle = ScheduleHandle(schedule_id, app)
        handle.resume(catch_up=catch_up)
        following = handle.schedule.next_fire_at
    if as_json:
        out.document({"id": schedule_id, "next_fire_at": following})
    else:
        out.note(f"schedule {schedule_id} fires again, next at {out.cell(following)}")


@schedule_commands.command()
@guarded
def remove(
    schedule_id: ScheduleId,
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Delete a schedule; its runs and their history stay.

    One that an app still declares is back when that app starts: pause it instead.
    """
    from closingbell.cli.access import app_of_settings, opened
    from closingbell.cli.output import Output
    from closingbell.schedule_handle import ScheduleHandle

    app = app_of_settings(database, app_target)
    out = Output(as_json, app.settings.timezone)
    with opened(app):
        app.store.schedules.get(schedule_id)
        ScheduleHandle(schedule_id, app).remove()
    if as_json:
        out.document({"id": schedule_id, "removed": True})
    else:
        out.note(f"schedule {schedule_id} is removed")


def _stored(app: App, task: str | None) -> list[Schedule]:
    from closingbell.cli.stored import read_schedules

    schedules, unreadable = read_schedules(app.store, task)
    for schedule_id, problem in unreadable:
        typer.echo(f"schedule {schedule_id} cannot be read: {problem}", err=True)
    return schedules


def _pause(schedule: Schedule, out: Output) -> str | None:
    if schedule.paused_at is None:
        return None
    until = "" if schedule.paused_until is None else f" until {out.cell(schedule.paused_until)}"
    return f"{schedule.paused_reason}{until}"
