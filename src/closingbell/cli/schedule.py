"""`schedule ...`: when tasks run, why, and what became of each tick."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from closingbell.cli.failure import guarded
from closingbell.cli.option import (
    AppTarget,
    AsJson,
    DatabaseAddress,
    Debug,
    FromEnvironment,
    ServiceUrl,
    TokenFile,
)
from closingbell.core.error import SubmitError, UnknownSchedule

if TYPE_CHECKING:
    from closingbell.cli.desk_access import Place
    from closingbell.cli.output import Output
    from closingbell.core.schedule import Schedule
    from closingbell.wire.schedule import ScheduleInfo

_S = TypeVar("_S", "Schedule", "ScheduleInfo")

schedule_commands = typer.Typer(help="List, explain, pause, resume and remove schedules.")

ScheduleId = Annotated[str, typer.Argument(metavar="ID", help="The schedule's id or its task.")]


@schedule_commands.command("list")
@guarded
def list_schedules(
    task: Annotated[str | None, typer.Option("--task", help="Only this task's.")] = None,
    url: ServiceUrl = None,
    token_file: TokenFile = None,
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """List schedules: their rule in words, the last and the next firing, pauses."""
    from closingbell.cli.desk_access import desk, find_place

    with desk(find_place(url, token_file, app_target, database), as_json) as (client, out):
        schedules = list(client.schedules.all(task=task))
    if as_json:
        out.document({"schedules": schedules})
        return
    rows = [
        (one.id, one.task, one.when, one.last_fire_at, one.next_fire_at, _pause(one, out))
        for one in schedules
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
    count: Annotated[int, typer.Option("-n", "--count", min=1, max=100, help="How many.")] = 5,
    explain: Annotated[
        bool, typer.Option("--explain", help="Say why, and what does not fire in between.")
    ] = False,
    after: Annotated[
        str | None, typer.Option("--after", help="From this instant on (ISO); default now.")
    ] = None,
    url: ServiceUrl = None,
    token_file: TokenFile = None,
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Show the next firings, and with --explain why: holidays, early closes, clock changes.

    With a target it needs no database.
    """
    from closingbell.cli.desk_access import find_place

    place = find_place(url, token_file, app_target, database)
    if len(words) > 2:
        raise SubmitError("arguments", " ".join(words), "[TARGET] TASK")
    if len(words) == 2:
        if place.url is not None and not isinstance(url, FromEnvironment):
            raise SubmitError("arguments", " ".join(words), "either --url or a target")
        place = place._replace(url=None, target=words[0])
    look = _ahead_in_code if place.target is not None else _ahead_in_store
    out, found = look(place, words[-1], count, after, as_json)
    for one in found:
        if not explain:
            one["next"] = [line for line in one["next"] if line["fires"]]
    if as_json:
        out.document({"task": words[-1], "schedules": found})
        return
    for one in found:
        out.note(f"{one['schedule_id']}: {one['when']}")
        if one["paused"] is not None:
            out.note(f"paused: {one['paused']}")
        columns = ("fires", "local time", "why") if explain else ("fires", "local time")
        rows = [
            (line["fire_at"], line["local"], line["explanation"])[: len(columns)]
            for line in one["next"]
        ]
        out.table(columns, rows, "it never fires again")


_Ahead = tuple["Output", list[dict[str, Any]]]


def _ahead_in_code(place: Place, name: str, count: int, after: str | None, as_json: bool) -> _Ahead:
    """Return what an app's code declares will fire; no database is asked."""
    from closingbell.cli.access import app_of_target
    from closingbell.cli.instant import read_instant
    from closingbell.cli.output import Output
    from closingbell.outlook import outlook

    app = app_of_target(str(place.target), place.database)
    out = Output(as_json, app.settings.timezone)
    start = app.clock.now() if after is None else read_instant(after, "after", out.timezone)
    declared = list(app.declared_schedules.values())
    known = [task.name for task in app.registry]
    chosen = _named(declared, name)
    if not chosen and name in known:
        out.note(f"task {name!r} has no schedule: it runs when it is submitted, or by an event")
    elif not chosen:
        raise UnknownSchedule(name, [*(one.id for one in declared), *known])
    return out, [
        {
            "schedule_id": one.id,
            "when": one.trigger.describe(),
            "paused": None,
            "next": [
                {**line._asdict(), "fires": line.fires} for line in outlook(one, start, count)
            ],
        }
        for one in chosen
    ]


def _ahead_in_store(
    place: Place, name: str, count: int, after: str | None, as_json: bool
) -> _Ahead:
    """Return what stored schedules will do."""
    from closingbell.cli.desk_access import desk
    from closingbell.cli.instant import read_instant

    with desk(place, as_json) as (client, out):
        start = None if after is None else read_instant(after, "after", out.timezone)
        stored = list(client.schedules.all())
        chosen = _named(stored, name)
        if not chosen:
            raise UnknownSchedule(name, [one.id for one in stored])
        return out, [
            {
                "schedule_id": one.id,
                "when": one.when,
                "paused": _pause(one, out),
                "next": [
                    {**line.model_dump(mode="json"), "fire_at": line.fire_at}
                    for line in client.schedules.next(one.id, count, start)
                ],
            }
            for one in chosen
        ]


def _named(schedules: list[_S], name: str) -> list[_S]:
    return [one for one in schedules if one.id == name] or [
        one for one in schedules if one.task == name
    ]


@schedule_commands.command()
@guarded
def history(
    schedule_id: ScheduleId,
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
    """Show what became of each tick, newest first: it ran, or was skipped and why."""
    from closingbell.cli.desk_access import desk, find_place
    from closingbell.cli.listing import gathered

    with desk(find_place(url, token_file, app_target, database), as_json) as (client, out):
        found = gathered(
            lambda n, at: client.schedules.ticks(schedule_id, limit=n, after=at), limit
        )
    if as_json:
        out.document({"firings": found.items})
        return
    rows = [(one.fire_at, one.outcome, one.count, one.reason or one.run_id) for one in found.items]
    out.table(("fired for", "outcome", "ticks", "why, or the run"), rows, "it has not fired yet")


@schedule_commands.command()
@guarded
def pause(
    schedule_id: ScheduleId,
    reason: Annotated[str, typer.Option("--reason", help="Shown to who asks why nothing runs.")],
    until: Annotated[
        str | None, typer.Option("--until", help="Fire again from this instant on (ISO).")
    ] = None,
    url: ServiceUrl = None,
    token_file: TokenFile = None,
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Stop a schedule from firing, until an instant or until it is resumed."""
    from closingbell.cli.desk_access import desk, find_place
    from closingbell.cli.instant import read_instant

    with desk(find_place(url, token_file, app_target, database), as_json) as (client, out):
        end = None if until is None else read_instant(until, "until", out.timezone)
        schedule = client.schedules.pause(schedule_id, reason, end)
    if as_json:
        out.document(schedule)
    else:
        out.note(f"schedule {schedule_id} is paused")


@schedule_commands.command()
@guarded
def resume(
    schedule_id: ScheduleId,
    catch_up: Annotated[
        bool, typer.Option("--catch-up", help="Count the firings kept back as missed.")
    ] = False,
    url: ServiceUrl = None,
    token_file: TokenFile = None,
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Let a schedule fire again, from its next instant on."""
    from closingbell.cli.desk_access import desk, find_place

    with desk(find_place(url, token_file, app_target, database), as_json) as (client, out):
        schedule = client.schedules.resume(schedule_id, catch_up=catch_up)
    if as_json:
        out.document(schedule)
    else:
        out.note(f"schedule {schedule_id} fires again, next at {out.cell(schedule.next_fire_at)}")


@schedule_commands.command("run-now")
@guarded
def run_now(
    schedule_id: ScheduleId,
    reason: Annotated[str | None, typer.Option("--reason", help="For the audit ledger.")] = None,
    url: ServiceUrl = None,
    token_file: TokenFile = None,
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Run a schedule's task at once, beside its firings; the run's id is written on stdout.

    Needs --app or --url: the app that knows the task checks its payload.
    """
    from closingbell.cli.desk_access import desk, find_place

    place = find_place(url, token_file, app_target, database)
    with desk(place, as_json, with_tasks=True) as (client, out):
        run = client.schedules.run_now(schedule_id, reason)
    if as_json:
        out.document(run)
    else:
        out.say(run.id)


@schedule_commands.command()
@guarded
def remove(
    schedule_id: ScheduleId,
    url: ServiceUrl = None,
    token_file: TokenFile = None,
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Delete a schedule that was made by hand; its runs and their history stay.

    With --app or --url also one that the app's code declared once. One that it still declares
    is refused: pause it instead.
    """
    from closingbell.cli.desk_access import desk, find_place

    place = find_place(url, token_file, app_target, database)
    with desk(place, as_json, with_tasks=True) as (client, out):
        client.schedules.remove(schedule_id)
    if as_json:
        out.document({"id": schedule_id, "removed": True})
    else:
        out.note(f"schedule {schedule_id} is removed")


def _pause(schedule: ScheduleInfo, out: Output) -> str | None:
    if not schedule.paused:
        return None
    until = "" if schedule.paused_until is None else f" until {out.cell(schedule.paused_until)}"
    return f"{schedule.paused_reason}{until}"
